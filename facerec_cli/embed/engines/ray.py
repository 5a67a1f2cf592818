"""The engine of a cluster: shards embedded by Ray actors.

What travels is small: paths to the actors, packed shards back (nothing, where an actor stores them itself);
photos are read where they are embedded. A shard's content and name follow from the photos alone, so whatever
Ray runs again after a lost machine replaces what was there.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from facerec_cli.embed.engines.engine import StartedModel, Work
from facerec_cli.embed.engines.ray_start import brief, connect, import_ray
from facerec_cli.embed.engines.ray_worker import Order, ShardEmbedder, portable, versions
from facerec_cli.embed.settings import EmbedOptions
from facerec_cli.errors import ResourceError, UsageError, of_code
from facerec_cli.images.remote import is_url
from facerec_cli.packs.manifest import ModelPack
from facerec_cli.packs.resolve import open_pack, pack_hash
from facerec_cli.wording import counted

log = logging.getLogger("facerec")

_THREADS = 4  # of a worker on the CPU, at most
_MAX_RESTARTS = 50  # of a worker that died: a photo that kills its worker must not do so for ever
_IN_FLIGHT = 2  # shards of a worker: the next one is there when one is done


class RayEngine:
    """Runs on a Ray cluster, or on a Ray that it starts on this machine.

    Args:
        address: "auto" for the cluster that this machine belongs to, ``HOST:PORT`` of its head,
            ``ray://HOST:PORT`` through its client server; None starts a Ray here and ends it afterwards.
        actors: How many workers at most; None takes as many as the cluster has room for.
        actor_gpus: GPUs that a worker takes, a fraction where several share one; None takes 1 where the
            device is a GPU, else 0.
    """

    _pack: ModelPack
    _device: str
    _threads: int
    _files: Any

    def __init__(
        self, address: str | None = None, actors: int | None = None, actor_gpus: float | None = None
    ) -> None:
        if actors is not None and actors < 1:
            raise UsageError(f"--actors {actors} is below 1.")
        if actor_gpus is not None and not (0 <= actor_gpus <= 1 or float(actor_gpus).is_integer()):
            raise UsageError(
                f"--actor-gpus {actor_gpus} is neither a fraction nor a whole number.",
                hint="Give 0.25 for a quarter of a GPU, or 1, 2, ...",
            )
        self._address = address
        self._actors = actors
        self._gpus = actor_gpus
        self._connected = False

    def start(
        self, model: str | Path | ModelPack, device: str, threads: int | None, options: EmbedOptions
    ) -> StartedModel:
        """Connect, see how many workers there is room for, and send the model's files to the cluster.

        Raises:
            MissingExtraError: Ray is not installed.
            ResourceError: The cluster cannot be reached, or has other versions.
            UsageError: No machine of the cluster has room for a worker.
            ModelError: The model cannot be used.
        """
        ray = import_ray()
        pack = model if isinstance(model, ModelPack) else open_pack(model)
        self._connected = connect(ray, self._address)
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        if device == "auto":
            device = "cuda" if self._gpus != 0 and any(node.get("GPU") for node in nodes) else "cpu"
        if self._gpus is None:
            self._gpus = 0 if device in ("cpu", "openvino", "coreml") else 1
        largest = max((int(node.get("CPU", 0)) for node in nodes), default=0)
        cores = max(1, min(_THREADS, largest)) if threads is None else threads
        room = sum(workers_of(node, cores, self._gpus) for node in nodes)
        if room < 1:
            raise UsageError(
                f"No machine of the cluster has {cores} CPUs and {self._gpus:g} GPUs for a worker.",
                hint="Lower --threads or --actor-gpus; `ray status` shows what there is.",
            )
        self._actors = min(self._actors or room, room)
        travelling, files = portable(pack)
        self._threads = cores
        self._pack, self._files = travelling, ray.put(files)
        workers, machines = counted(self._actors, "worker"), counted(len(nodes), "machine")
        where = f"{workers} of {counted(cores, 'thread')}, {machines}"
        self._device = device
        return StartedModel(pack, pack_hash(pack), device, where)

    def run(self, work: Work) -> None:
        """Have the actors make the shards, and store what comes back."""
        done = work.done
        work.progress(done, len(work.photos))
        if not work.shards:
            return
        ray = import_ray()
        sample = next((name for name in work.photos if not is_url(name) and os.path.exists(name)), None)  # noqa: PTH110
        order = Order(
            self._pack,
            self._device,
            self._threads,
            work.options,
            work.store,
            str(Path.cwd()),
            sample,
            versions(),
            self._files,
        )
        try:
            for number, content in self._shards_done(order, work):
                if not work.store.shared:
                    work.store.store(number, content)
                done += len(work.inputs(number))
                work.progress(done, len(work.photos))
        except ray.exceptions.RayError as error:
            raise lost(error) from error

    def _shards_done(self, order: Order, work: Work) -> Iterator[tuple[int, bytes]]:
        """The shards as they are done, in any order: the number of each and what is stored of it.

        A worker gets its shards once it is ready. When a machine is lost, Ray starts its worker on another
        one as soon as there is room, and gives it the same shards; so a worker without shards left is ended.
        """
        ray = import_ray()
        assert self._actors is not None
        kind = ray.remote(ShardEmbedder).options(
            num_cpus=self._threads,
            num_gpus=self._gpus,
            max_restarts=_MAX_RESTARTS,
            max_task_retries=-1,  # each attempt to reach a lost machine counts as one
        )
        workers = [kind.remote(order) for _ in range(min(self._actors, len(work.shards)))]
        running: dict[Any, tuple[Any, int | None]] = {w.ready.remote(): (w, None) for w in workers}
        left, missing = deque(work.shards), len(work.shards)
        try:
            while missing:
                (reference,), _ = ray.wait(list(running), num_returns=1)
                worker, number = running.pop(reference)
                content, fault = ray.get(reference)
                raise_fault(fault)
                for _ in range(_IN_FLIGHT if number is None else 1):
                    if left:
                        following = left.popleft()
                        photos = list(work.inputs(following))
                        running[worker.embed.remote(following, photos)] = worker, following
                if all(busy is not worker for busy, _ in running.values()):
                    ray.kill(worker)
                if number is not None:
                    missing -= 1
                    yield number, content
        finally:
            with contextlib.suppress(ray.exceptions.RayError, ConnectionError):  # the connection is lost
                for worker in workers:
                    ray.kill(worker)

    def close(self) -> None:
        """Leave the cluster, or end the Ray that was started here."""
        if self._connected:
            import_ray().shutdown()
            self._connected = False


def workers_of(resources: dict[str, float], threads: int, gpus: float) -> int:
    """How many workers a machine has room for.

    Args:
        resources: What Ray says the machine has.
        threads: CPUs of a worker.
        gpus: GPUs of a worker; of a fraction, only whole workers share a GPU.
    """
    room = int(resources.get("CPU", 0) // threads)
    if gpus > 0:
        there = resources.get("GPU", 0)
        room = min(room, int(there) * int(1 / gpus + 1e-9) if gpus < 1 else int(there // gpus))
    return room


def raise_fault(described: str) -> None:
    """Raise the fault that a worker met, as if it had happened here.

    Raises:
        FacerecError: What the worker said, of the class that it was there.
    """
    if described:
        fault = json.loads(described)
        raise of_code(fault["exit_code"], fault["message"], hint=fault["hint"])


def lost(error: Exception) -> ResourceError:
    """What a fault of Ray means to a user."""
    text = str(error)
    if "No module named 'facerec_cli" in text:
        return ResourceError(
            "facerec is not installed on a machine of the cluster.",
            hint="Install it there in the same version: pip install 'facerec-cli[ray]'",
        )
    return ResourceError(
        f"The cluster gave up: {brief(error)}",
        hint="What is done is safe; go on with --resume. A worker that dies again and again lacks memory "
        "(fewer --threads, a smaller --batch-size) or met a photo that its decoder does not survive.",
    )
