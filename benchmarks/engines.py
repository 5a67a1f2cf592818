"""The engines of ``facerec embed`` on the same photos: this process, and Ray on this machine.

    python benchmarks/engines.py PHOTOS --count 1000 --rounds 3

Every round runs each layout once, one after the other, so that a busy machine hurts all alike; the table has
medians. Start-up is what a run of one photo takes: finding it, opening the model (Ray's workers do), writing
the result. "Ray running" connects to a cluster that is there; "Ray started" starts and ends its own. Bytes
are those of a photo's way through Ray's object store, and of the result on disk. Ray's workers give way to
other programs unless told otherwise; here they are told to take their share, as the local engine does.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from history import record
from ray.cluster_utils import Cluster

from facerec_cli.embed import Summary, embed_to_file
from facerec_cli.embed.engines.ray import RayEngine
from facerec_cli.embeddings.npz_shards import NpzShards
from facerec_cli.images import find_images, quiet_decoders
from facerec_cli.runtime import usable_cores

Run = Callable[[Sequence[str], str], Summary]


@contextmanager
def returned() -> Iterator[list[int]]:
    """The sizes of the shards that come back through the object store."""
    sizes: list[int] = []
    store = NpzShards.store

    def note(self: NpzShards, index: int, content: bytes) -> None:
        sizes.append(len(content))
        store(self, index, content)

    NpzShards.store = note  # type: ignore[method-assign]
    try:
        yield sizes
    finally:
        NpzShards.store = store  # type: ignore[method-assign]


def measure(runs: dict[str, Run], photos: Sequence[str], rounds: int, folder: Path) -> dict[str, list[float]]:
    """Seconds of every run in every round, its photos embedded into a folder of its own."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(rounds):
        for number, (name, run) in enumerate(runs.items()):
            target = Path(tempfile.mkdtemp(prefix=f"{turn}-{number}-", dir=folder))
            began = time.perf_counter()
            run(photos, str(target / "out.npy"))
            seconds[name].append(time.perf_counter() - began)
    return seconds


def bytes_a_photo(photos: Sequence[str], address: str, folder: Path) -> dict[str, float]:
    """What a photo costs in the object store and in the result, in bytes."""
    with returned() as sizes:
        summary = embed_to_file(photos, folder / "bytes.npy", engine=RayEngine(address))
    embed_to_file(photos, folder / "bytes.parquet", engine=RayEngine(address))
    embed_to_file(photos, f"{folder}/bytes/", engine=RayEngine(address))
    beside = sum(Path(path).stat().st_size for path in summary.files) - (folder / "bytes.npy").stat().st_size
    found = {
        "object store: path to a worker": len(json.dumps(photos)),
        "object store: row and vector back": sum(sizes),
        "result: .npy": (folder / "bytes.npy").stat().st_size,
        "result: table beside it": beside,
        "result: .parquet": (folder / "bytes.parquet").stat().st_size,
        "result: folder of Parquet shards": sum(path.stat().st_size for path in (folder / "bytes").iterdir()),
    }
    return {name: size / len(photos) for name, size in found.items()}


def main() -> None:
    """Measure, print, and record where that is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="append the figures to this file")
    arguments = parser.parse_args()
    photos = find_images([arguments.photos])[: arguments.count]
    cores = usable_cores()

    def local(sources: Sequence[str], output: str) -> Summary:
        return embed_to_file(sources, output)

    def on(address: str | None, threads: int) -> Run:
        def run(sources: Sequence[str], output: str) -> Summary:
            return embed_to_file(sources, output, engine=RayEngine(address), threads=threads)

        return run

    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 - Ray spells it so
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": cores, "include_dashboard": False})
    runs: dict[str, Run] = {
        "local": local,
        f"Ray running, 1 worker of {cores} threads": on(cluster.address, cores),
        f"Ray running, {cores} workers of 1 thread": on(cluster.address, 1),
    }
    rows: list[dict[str, Any]] = []
    with quiet_decoders(), tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        rate = measure(runs, photos, arguments.rounds, folder)
        first = measure(runs, photos[:1], arguments.rounds, folder)
        sizes = bytes_a_photo(photos, cluster.address, folder)
        cluster.shutdown()
        first |= measure({"Ray started": on(None, cores)}, photos[-1:], arguments.rounds, folder)
    print(f"{len(photos)} photos, {cores} cores, Ray {ray.__version__}, {arguments.rounds} rounds")
    print(f"{'':42}{'s':>9}{'start-up s':>12}{'photos/s':>10}{'without start-up':>18}")
    for name, seconds in rate.items():
        whole, start = statistics.median(seconds), statistics.median(first[name])
        steady = (len(photos) - 1) / (whole - start)
        print(f"{name:42}{whole:>9.1f}{start:>12.2f}{len(photos) / whole:>10.1f}{steady:>18.1f}")
        peer = {} if name == "local" else {"peer": "local"}
        rows.append({"name": name, "value": len(photos) / whole, "unit": "photos/s", **peer})
        rows.append({"name": f"{name}: start-up", "value": start, "unit": "s"})
    start = statistics.median(first["Ray started"])
    print(f"{'Ray started, one photo':42}{start:>9.1f}")
    rows.append({"name": "Ray started: start-up", "value": start, "unit": "s"})
    print("\nbytes a photo")
    for name, size in sizes.items():
        print(f"{name:42}{size:>9.0f}")
        rows.append({"name": name, "value": size, "unit": "bytes"})
    if arguments.json:
        settings = {"photos": len(photos), "rounds": arguments.rounds, "cores": cores, "ray": ray.__version__}
        record("engines", rows, settings, arguments.json)


if __name__ == "__main__":
    main()
