"""What a gallery's index costs and brings, beside an exact search and other kinds of indexes.

    python benchmarks/search_index.py --people 1000000 --json benchmarks/results/search_index.jsonl
    python benchmarks/search_index.py --embeddings lfw.npz      # paths .../PERSON/FILE

People are made up much as LFW's embeddings of the default model are found to be: photos of one person have a
cosine of 0.65 +- 0.11, of two people 0.07 +- 0.10, spread over 104 of 128 dimensions; two photos each, their
mean enrolled, in memory-mapped files. Time is CPU time of this process, all threads together, on a batch of
probes, ways taking turns. Recall, and what becomes of both error rates, is measured by the tool itself
(``facerec gallery index``) on people who are held out; other indexes are measured on the same people, and
their candidates are compared exactly too.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from history import record
from measuring import medians

import facerec_cli
from facerec_cli.gallery.enrolled import EnrolledPeople
from facerec_cli.gallery.search_engines.codes import one_thread, take
from facerec_cli.gallery.search_engines.engine import open_search_engine
from facerec_cli.gallery.search_engines.index import build_index
from facerec_cli.gallery.search_engines.index_file import live_rows, read_index, write_index
from facerec_cli.gallery.search_engines.index_measure import Faces, hold_out
from facerec_cli.gallery.search_engines.refine import refine
from facerec_cli.gallery.search_engines.scan import CodeScan
from facerec_cli.gallery.search_engines.settings import IndexSettings, SearchEngineOptions
from facerec_cli.metrics.scores import unit_vectors
from facerec_cli.metrics.search import top_k

BLOCK = 1 << 16  # people who are made together, and rows of a file, as in a gallery
MEAN, DECAY, NOISE = 0.34, 0.0064, 0.70  # what makes the cosines above


def make_people(count: int, dimensions: int, folder: Path) -> tuple[EnrolledPeople, Faces]:
    """Made-up people in files of a folder."""
    spread = np.exp(-DECAY * np.arange(dimensions)).astype(np.float32)
    mean = np.zeros(dimensions, np.float32)
    mean[dimensions // 2] = MEAN
    templates, faces = [], []

    def direction(random: np.random.Generator, shape: tuple[int, ...]) -> Any:
        drawn = random.standard_normal((*shape, dimensions), dtype=np.float32) * spread
        return drawn / np.linalg.norm(drawn, axis=-1, keepdims=True)

    for number, start in enumerate(range(0, count, BLOCK)):
        random = np.random.default_rng(number)
        size = min(BLOCK, count - start)
        center = mean + np.sqrt(1 - MEAN**2) * direction(random, (size, 1))
        strength = np.exp(random.normal(np.log(NOISE), 0.34, (size, 2, 1))).astype(np.float32)
        photos = center + strength * direction(random, (size, 2))
        photos /= np.linalg.norm(photos, axis=-1, keepdims=True)
        for name, values, files in (("faces", photos, faces), ("templates", photos.mean(axis=1), templates)):
            path = folder / f"{name}-{number}.npy"
            np.save(path, unit_vectors(values) if name == "templates" else values)
            files.append(np.load(path, mmap_mode="r"))
    names = tuple(f"{i}" for i in range(count))
    people = EnrolledPeople("made up", names, tuple(templates), np.arange(count), np.full(count, 2))
    return people, lambda person: np.asarray(faces[person // BLOCK][person % BLOCK])


def read_people(path: Path, folder: Path) -> tuple[EnrolledPeople, Faces]:
    """People of an embeddings file, told by the folders of their photos."""
    table = facerec_cli.open_table(path)
    names, person = np.unique([Path(name).parent.name for name in table.paths or ()], return_inverse=True)
    sums = np.zeros((len(names), table.vectors.shape[1]))
    np.add.at(sums, person, table.vectors)
    np.save(folder / "templates.npy", unit_vectors(sums.astype(np.float32)))
    mapped = np.load(folder / "templates.npy", mmap_mode="r")
    people = EnrolledPeople(
        path.name, tuple(names.tolist()), (mapped,), np.arange(len(names)), np.bincount(person)
    )
    return people, lambda one: table.vectors[person == one]


@contextmanager
def cpu(seconds: dict[str, float], name: str) -> Iterator[None]:
    """CPU seconds of a block."""
    start = time.process_time()
    yield
    seconds[name] = time.process_time() - start


def other_indexes(graph: bool) -> dict[str, tuple[str, str, tuple[int, ...], int]]:
    """Name -> faiss's description, what is varied, its values, candidates that are compared exactly."""
    kinds = {"lists, 8 bits": ("IVF{lists},SQ8", "nprobe", (32, 128, 512), 200)}
    if graph:
        kinds["graph, 16 neighbors"] = ("HNSW16", "efSearch", (64, 256, 1024), 50)
    return kinds


def measure_others(
    people: EnrolledPeople, faces: Faces, probes: int, graph: bool
) -> Iterator[dict[str, Any]]:
    """Cost and recall of other indexes on the people whom the tool holds out, on one thread."""
    held = hold_out(people, faces, probes)
    _, scores = top_k(held.blocks, held.probes, 10, live=held.live)
    rows = np.flatnonzero(held.live)
    vectors = take(held.blocks, rows)
    mated = len(held.mates)
    for name, (kind, knob, values, candidates) in other_indexes(graph).items():
        index = faiss.index_factory(
            vectors.shape[1], kind.format(lists=max(16, int(len(rows) ** 0.5))), faiss.METRIC_INNER_PRODUCT
        )
        spent: dict[str, float] = {}
        with one_thread(faiss):
            with cpu(spent, "build"):
                if not index.is_trained:
                    index.train(vectors[:: max(1, len(vectors) // 100_000)])
                index.add(vectors)
            yield {"name": f"{name}: build", "value": spent["build"], "unit": "s"}
            for value in values:
                setattr(index.hnsw if knob == "efSearch" else index, knob, value)
                with cpu(spent, "search"):
                    found = index.search(held.probes, candidates)[1]
                    best, values_found = refine(held.blocks, held.probes, np.append(rows, -1)[found], 10)
                same = values_found[:, 0] >= scores[:, 0] - 1e-6
                label = f"{name}, {knob} {value}"
                yield {"name": label, "value": 1000 * spent["search"] / len(best), "unit": "ms"}
                yield from recalls(label, same[:mated], same[mated:])


def recalls(label: str, mated: Any, strangers: Any) -> Iterator[dict[str, Any]]:
    """Rows of the share of searches with the right first person."""
    for kind, same in (("mates", mated), ("strangers", strangers)):
        yield {"name": f"{label}: first of {kind}", "value": 100 * float(np.mean(same)), "unit": "%"}


def measure_index(
    people: EnrolledPeople, faces: Faces, probes: int, rounds: int, folder: Path
) -> Iterator[dict]:
    """Cost and recall of ours, beside an exact search."""
    spent: dict[str, float] = {}
    with cpu(spent, "build and measurement"):
        built = build_index(people, faces=faces)
    tried = build_index(people, IndexSettings(recall=1.0), faces=faces).measured
    with cpu(spent, "write"):
        path = write_index(folder, built.index, people, built.templates)
    later = time.time() - 60
    for block in people.templates:  # files that are older than the index
        os.utime(block.filename, (later, later))
    write_index(folder, built.index, people, built.templates)
    with cpu(spent, "open"):
        kept = read_index(folder, people)
        assert kept is not None
        scan = CodeScan(kept.codes, live_rows(people), people.templates)
    batch = hold_out(people, faces, probes).probes
    ways: dict[str, Callable[[], object]] = {"exact": lambda: people.search(batch, 10)}
    for one in tried:
        ways[f"index, {one.candidates} candidates"] = lambda one=one: scan.search(batch, 10, one.candidates)
    times = medians(ways, rounds, time.process_time)
    alone = {
        "exact, one probe alone": lambda: people.search(batch[:1], 10),
        "index, one probe alone": lambda: scan.search(batch[:1], 10, built.chosen.candidates),
    }
    times |= {
        name: value * len(batch) for name, value in medians(alone, 3 * rounds, time.process_time).items()
    }
    for name, value in times.items():
        peer = {"peer": "exact"} if name.startswith("index, ") and "alone" not in name else {}
        peer |= {"peer": "exact, one probe alone"} if name == "index, one probe alone" else {}
        yield {"name": name, "value": 1000 * value / len(batch), "unit": "ms", **peer}
    for name, value in spent.items():
        yield {"name": f"index: {name}", "value": value, "unit": "s"}
    yield {"name": "index: file", "value": path.stat().st_size / 1e6, "unit": "MB"}
    yield {"name": "index: candidates chosen", "value": built.chosen.candidates, "unit": "candidates"}
    for one in tried:
        label = f"index, {one.candidates} candidates"
        yield from recalls(label, one.first_mated or 1.0, one.first_strangers or 1.0)
        yield {"name": f"{label}: of the first 10", "value": 100 * one.listed, "unit": "%"}
        yield {"name": f"{label}: mates named", "value": one.named_index, "unit": f"of {one.named_exact}"}
        yield {"name": f"{label}: strangers named", "value": one.false_index, "unit": f"of {one.false_exact}"}


def measure_engines(
    people: EnrolledPeople, faces: Faces, names: Sequence[str], probes: int, folder: Path
) -> Iterator[dict[str, Any]]:
    """Wall time of engines: of the first search, which starts or fills them, and of the next one."""
    batch = np.resize(hold_out(people, faces, probes).probes, (probes, people.templates[0].shape[1]))
    for name in ("exact", *names):
        table = str(folder / "tables") if name == "lancedb" else None
        engine = open_search_engine(SearchEngineOptions(name, table=table), folder)
        try:
            for turn in ("first", "next"):
                began = time.perf_counter()
                engine.search(people, batch, 10)
                took = time.perf_counter() - began
                yield {"name": f"--engine {name}: {turn} {probes} probes, wall", "value": took, "unit": "s"}
        finally:
            engine.close()
        if table:
            size = sum(path.stat().st_size for path in Path(table).rglob("*") if path.is_file())
            yield {"name": f"--engine {name}: table", "value": size / 1e6, "unit": "MB"}


def main() -> None:
    """Measure, print, and keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--dimensions", type=int, default=128)
    parser.add_argument("--embeddings", type=Path, help="a file of `facerec embed` instead of made-up people")
    parser.add_argument("--probes", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--others", action="store_true", help="also lists of neighbors of faiss")
    parser.add_argument("--graph", action="store_true", help="also a graph of neighbors, which builds long")
    parser.add_argument("--engines", nargs="*", default=(), help="also these: ray, lancedb")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if chosen.embeddings:
            people, faces = read_people(chosen.embeddings, folder)
        else:
            people, faces = make_people(chosen.people, chosen.dimensions, folder)
        rows = list(measure_index(people, faces, chosen.probes, chosen.rounds, folder))
        if chosen.others or chosen.graph:
            rows += measure_others(people, faces, chosen.probes, chosen.graph)
        if chosen.engines:
            rows += measure_engines(people, faces, chosen.engines, chosen.probes, folder)
    for row in rows:
        print(f"{row['name']:50} {row['value']:12.3f} {row['unit']}")
    if chosen.json:
        source = "LFW" if chosen.embeddings else "made up"
        settings = {"people": len(people), "dimensions": people.templates[0].shape[1], "source": source}
        settings |= {"probes": chosen.probes, "rounds": chosen.rounds, "faiss": faiss.__version__}
        record("search_index", rows, settings, chosen.json)


if __name__ == "__main__":
    main()
