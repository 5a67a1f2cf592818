"""Exact search on a Ray cluster: every worker compares some probes with a part of the gallery.

Parts of the gallery and batches of probes travel through Ray's object store, so nothing need be on a shared
disk; a few are under way at a time, so memory does not grow with the gallery. A pair has one score wherever
it is made (``metrics.search``), and lists are merged by score and row: the bytes are those of one machine.
What a lost worker had in hand, Ray gives to another.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerec_cli._version import __version__
from facerec_cli.errors import FacerecError, ResourceError, of_code
from facerec_cli.gallery.enrolled import EnrolledPeople
from facerec_cli.gallery.search_engines.engine import Candidates
from facerec_cli.gallery.search_engines.settings import SearchEngineOptions
from facerec_cli.metrics.scores import Vectors
from facerec_cli.metrics.search import top_k
from facerec_cli.progress import Progress, silent

ROWS, PROBES = 1 << 16, 1 << 14  # of a task: about two seconds of a core at 128 dimensions
_PASS = 64 << 20  # bytes of probes that are searched for while the gallery is sent once
_RETRIES = 50  # of a task whose worker died: one that kills its worker must not do so for ever


@dataclass(frozen=True, slots=True, eq=False)
class GalleryPart:
    """Rows of the gallery that a worker takes at a time.

    Attributes:
        first: Number of the first row.
        vectors: (R, D) float32.
        live: (R,) bool.
    """

    first: int
    vectors: Vectors
    live: NDArray[np.bool_]


def gallery_parts(people: EnrolledPeople) -> Iterator[GalleryPart]:
    """The gallery in parts; where nobody is, there is none."""
    start = 0
    for block in people.templates:
        for begin in range(0, len(block), ROWS):
            vectors = block[begin : begin + ROWS]
            live = people.person[start + begin : start + begin + len(vectors)] >= 0
            if live.any():
                yield GalleryPart(start + begin, np.ascontiguousarray(vectors), live)
        start += len(block)


def merge(
    rows: NDArray[np.int64], scores: NDArray[np.float32], more: NDArray[np.int64], others: NDArray[np.float32]
) -> None:
    """Keep the best of two lists for each probe in the first one: by score, of equal ones by row."""
    every, values = np.concatenate([rows, more], axis=1), np.concatenate([scores, others], axis=1)
    best = np.lexsort((every, -values))[:, : rows.shape[1]]
    rows[:] = np.take_along_axis(every, best, axis=1)
    scores[:] = np.take_along_axis(values, best, axis=1)


def search_part(
    part: GalleryPart, probes: Vectors, k: int, versions: Mapping[str, str]
) -> tuple[NDArray[np.int64], NDArray[np.float32], str]:
    """What a worker does: the best ``k`` rows of a part, and a fault as JSON or "".

    A fault of ours is not raised but returned: it has to reach the user as it is, and Ray would wrap it.
    """
    from facerec_cli.embed.engines.ray_worker import check_versions, describe_fault

    try:
        check_versions(versions, software())
        rows, scores = top_k(part.vectors, probes, k, live=part.live, threads=1)
    except FacerecError as fault:
        return np.empty((0, k), np.int64), np.empty((0, k), np.float32), describe_fault(fault)
    return np.where(rows < 0, -1, rows + part.first), scores, ""


def software() -> dict[str, str]:
    """The versions that decide the bytes of a result."""
    return {"facerec": __version__, "NumPy": np.__version__}


class RaySearch:
    """Compares all with all, on a cluster or on a Ray that is started here.

    Args:
        options: ``address`` of the cluster and the number of ``actors``; see ``embed``'s engine.
        folder: Not asked for.
    """

    def __init__(self, options: SearchEngineOptions, folder: Path | None = None) -> None:
        self._address = options.address
        self._actors = options.actors
        self._connected = False

    def search(
        self, people: EnrolledPeople, probes: Vectors, k: int, *, progress: Progress = silent
    ) -> Candidates:
        """See :class:`SearchEngine`.

        Raises:
            MissingExtraError: Ray is not installed.
            ResourceError: The cluster cannot be reached, has other versions, or gave up.
        """
        from facerec_cli.embed.engines.ray_start import brief, connect, import_ray

        ray = import_ray()
        self._connected |= connect(ray, self._address)
        rows = np.full((len(probes), k), -1, np.int64)
        scores = np.full((len(probes), k), -np.inf, np.float32)
        top_k(people.templates, probes[:0], k, live=people.person >= 0)  # refuses what does not fit, here
        step = PROBES * max(1, _PASS // (PROBES * 4 * max(1, probes.shape[1])))
        try:
            for start in range(0, len(probes), step):
                here = slice(start, min(start + step, len(probes)))
                self._pass(ray, people, probes[here], k, rows[here], scores[here])
                progress(here.stop, len(probes))
        except ray.exceptions.RayError as error:
            text = str(error)
            if "No module named 'facerec_cli" in text:
                raise ResourceError(
                    "facerec is not installed on a machine of the cluster.",
                    hint="Install it there in the same version: pip install 'facerec-cli[ray]'",
                ) from error
            raise ResourceError(
                f"The cluster gave up: {brief(error)}", hint="`ray status` shows its machines; search again."
            ) from error
        return np.append(people.person, -1)[rows], scores

    def _pass(
        self,
        ray: Any,
        people: EnrolledPeople,
        probes: Vectors,
        k: int,
        rows: NDArray[np.int64],
        scores: NDArray[np.float32],
    ) -> None:
        """All parts of the gallery for some probes, merged into their lists as they come."""
        task = ray.remote(search_part).options(num_cpus=1, max_retries=_RETRIES)
        cores = sum(int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"])
        at_once = self._actors or 2 * max(1, cores)
        batches = [slice(start, start + PROBES) for start in range(0, len(probes), PROBES)]
        sent = [ray.put(np.ascontiguousarray(probes[batch])) for batch in batches]
        running: dict[Any, slice] = {}

        def take(left: int) -> None:
            """Merge what is done until ``left`` are under way."""
            while len(running) > left:
                (done,), _ = ray.wait(list(running), num_returns=1)
                more, others, fault = ray.get(done)
                batch = running.pop(done)
                if fault:
                    told = json.loads(fault)
                    raise of_code(told["exit_code"], told["message"], hint=told["hint"])
                merge(rows[batch], scores[batch], more, others)

        try:
            for part in gallery_parts(people):
                reference = ray.put(part)
                for batch, there in zip(batches, sent, strict=True):
                    take(at_once - 1)
                    running[task.remote(reference, there, k, software())] = batch
            take(0)
        finally:
            with contextlib.suppress(ray.exceptions.RayError, ConnectionError):
                for reference in running:
                    ray.cancel(reference, force=True)

    def close(self) -> None:
        """Leave the cluster, or end the Ray that was started here."""
        if self._connected:
            from facerec_cli.embed.engines.ray_start import import_ray

            import_ray().shutdown()
            self._connected = False
