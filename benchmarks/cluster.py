"""Groups of faces beside other methods on the same vectors, one table, with the raw figures as JSON.

    facerec embed lfw/images --faces main -o lfw.npz
    python benchmarks/cluster.py lfw.npz --halves --json benchmarks/results/cluster.json
    python benchmarks/cluster.py fgnet.npz umist.npz --json benchmarks/results/cluster.json
    python benchmarks/cluster.py --degrade low lfw/images low.npz
    python benchmarks/cluster.py --size 200000

A photo's person is the folder that it lies in. Ours is run with ``--false-links 0.1`` and nothing else, in
three orders of the input. With ``--halves`` a file is also measured on two halves of its people, and on the
people with one photo. Nothing is tuned. The other methods take the threshold of ours for single
links, and once more one that is higher by 0.06, since links of two faces need a higher one. They are

* scikit-learn's DBSCAN (min_samples 2) and HDBSCAN (min_cluster_size 2), noise as single faces;
* Chinese whispers (Biemann 2006), written here: at most 20 rounds over all pairs above the threshold, labels
  weighted by scores, faces in random order;
* the rule of immich as its documentation tells it, written here: faces come in random order; one joins the
  person of its most similar neighbor above the threshold, and a new person takes three faces above it. Those
  that found nobody come once more at the end.

``--size`` groups made-up faces (people of 1 to 40 photos) and says CPU seconds and memory. With
``--graph made`` nothing is searched: neighbors are the person's own faces. That measures what comes after.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from measuring import forget_peak, peak_memory

from facerec_cli import cluster, open_model, open_table
from facerec_cli.clusters.grouping import Constraints, group_faces
from facerec_cli.clusters.neighbors import build_graph
from facerec_cli.clusters.nodes import make_nodes
from facerec_cli.embed import EmbedOptions, embed_photos
from facerec_cli.images import find_images, read_image
from facerec_cli.metrics.clustering import evaluate_clustering
from facerec_cli.metrics.search import top_k
from facerec_cli.runtime import installed_versions, one_blas_thread

Labels = np.ndarray[Any, np.dtype[np.int64]]
Vectors = np.ndarray[Any, np.dtype[np.float32]]


def graph_of(vectors: Vectors, threshold: float) -> list[tuple[Labels, Vectors]]:
    """For each face the others above the threshold, and their scores."""
    found = []
    for start in range(0, len(vectors), 512):
        scores = vectors[start : start + 512] @ vectors.T
        for row, line in enumerate(scores, start):
            line[row] = -1
            near = np.flatnonzero(line >= threshold)
            found.append((near, line[near]))
    return found


def chinese_whispers(vectors: Vectors, threshold: float, *, rounds: int = 20) -> Labels:
    """Each face takes the label that weighs most among its neighbors, again and again."""
    near = graph_of(vectors, threshold)
    random = np.random.default_rng(0)
    labels = np.arange(len(vectors))
    for _ in range(rounds):
        changed = False
        for face in random.permutation(len(vectors)):
            others, scores = near[face]
            if not len(others):
                continue
            names, place = np.unique(labels[others], return_inverse=True)
            best = names[np.argmax(np.bincount(place, weights=scores))]
            changed |= best != labels[face]
            labels[face] = best
        if not changed:
            break
    return labels


def immich_rule(vectors: Vectors, threshold: float, *, core: int = 3) -> Labels:
    """The most similar neighbor's person; a new person takes ``core`` faces, itself counted."""
    near = graph_of(vectors, threshold)
    labels = np.full(len(vectors), -1)
    seen = np.zeros(len(vectors), bool)
    following = 0
    for turn in range(2):
        for face in np.random.default_rng(0).permutation(len(vectors)):
            seen[face] = True
            if labels[face] >= 0:
                continue
            others, scores = near[face]
            there = seen[others]
            others, scores = others[there], scores[there]
            if len(others) + 1 < core and turn == 0:
                continue  # it comes once more at the end
            order = np.argsort(-scores, kind="stable")
            named = [labels[other] for other in others[order] if labels[other] >= 0]
            if named:
                labels[face] = named[0]
            elif len(others) + 1 >= core:
                labels[face] = following
                following += 1
    return labels


def dbscan(vectors: Vectors, threshold: float) -> Labels:
    """scikit-learn's."""
    from sklearn.cluster import DBSCAN

    distance = float(np.sqrt(2 - 2 * threshold))  # of unit vectors
    return np.asarray(DBSCAN(eps=distance, min_samples=2, algorithm="brute").fit_predict(vectors), np.int64)


def hdbscan(vectors: Vectors, threshold: float) -> Labels:
    """scikit-learn's, which has no threshold."""
    from sklearn.cluster import HDBSCAN

    return np.asarray(HDBSCAN(min_cluster_size=2, copy=True).fit_predict(vectors), np.int64)


METHODS: dict[str, Callable[[Vectors, float], Labels]] = {
    "DBSCAN, min_samples 2 (scikit-learn)": dbscan,
    "Chinese whispers, 20 rounds": chinese_whispers,
    "rule of immich, core of 3": immich_rule,
    "HDBSCAN, min_cluster_size 2 (scikit-learn)": hdbscan,
}


def measured(
    name: str, labels: Labels, people: Labels, cpu: float, threshold: float | None
) -> dict[str, Any]:
    """One line of the table."""
    quality = evaluate_clustering(labels, people, rounds=200)
    return {"method": name, "threshold": threshold, "cpu_seconds": round(cpu, 2), **quality.document()}


def compare(
    name: str, vectors: Vectors, people: Labels, photos: list[str], *, others: bool
) -> dict[str, Any]:
    """All methods on one set."""
    rows = []
    began = time.process_time()
    ours = cluster(vectors, false_links=0.1, tail="sface", photos=photos)
    value = ours.threshold.value
    rows.append(measured("facerec cluster", ours.labels, people, time.process_time() - began, value))
    began = time.process_time()
    nodes = make_nodes(vectors, photos)
    build_graph(nodes.vectors, 10)
    rows[0]["cpu_seconds_graph"] = round(time.process_time() - began, 2)
    for method, run in METHODS.items() if others else ():
        for threshold in (value, value + 0.06) if "HDBSCAN" not in method else (value,):
            began = time.process_time()
            labels = run(vectors, threshold)
            used = None if "HDBSCAN" in method else threshold
            rows.append(measured(method, labels, people, time.process_time() - began, used))
    result = {"set": name, "faces": len(vectors), "people": len(set(people.tolist())), "rows": rows}
    show(result)
    return result


COLUMNS = {
    "pair F": "pairwise_f", "P": "pairwise_precision", "R": "pairwise_recall",
    "B3 F": "bcubed_f", "B3 P": "bcubed_precision", "B3 R": "bcubed_recall",
}  # fmt: skip


def show(result: dict[str, Any]) -> None:
    """The table of a set."""
    print(f"\n{result['set']}: {result['faces']:,} faces of {result['people']:,} people", flush=True)
    print(f"{'method':44}{'t':>7}", *(f"{name:>7}" for name in COLUMNS), f"{'groups':>8}{'CPU s':>8}")
    for row in result["rows"]:
        figures = [100 * (row["figures"][key]["value"] or 0) for key in COLUMNS.values()]
        threshold = "" if row["threshold"] is None else f"{row['threshold']:.3f}"
        counts = f"{row['clusters']:8,}{row['cpu_seconds']:8.1f}"
        print(f"{row['method']:44}{threshold:>7}", *(f"{one:7.2f}" for one in figures), counts, flush=True)


def sets_of(path: Path, *, halves: bool) -> list[tuple[str, Vectors, Labels, list[str], bool]]:
    """What of a file is measured: (name, vectors, people, photos, whether others are compared)."""
    table = open_table(path)
    photos = list(table.paths or ())
    names = np.array([photo.rsplit("/", 2)[-2] for photo in photos])
    _, people = np.unique(names, return_inverse=True)
    sets = []
    if halves:
        half = np.random.default_rng(0).random(int(people.max()) + 1) < 0.5
        counts = np.bincount(people)
        sets = [
            (f"{path.stem}, one half of the people", np.flatnonzero(half[people]), True),
            (f"{path.stem}, the other half", np.flatnonzero(~half[people]), True),
            (f"{path.stem}, people with one photo", np.flatnonzero(counts[people] == 1), False),
        ]
    sets.append((path.stem, np.arange(len(people)), True))
    return [
        (name, table.vectors[rows], people[rows], [photos[row] for row in rows], others)
        for name, rows, others in sets
    ]


def orders(vectors: Vectors, photos: list[str]) -> bool:
    """Whether three orders of the input give the same labels, and the same margins to the bit."""
    first = cluster(vectors, false_links=0.1, tail="sface", photos=photos)
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(vectors))
        again = cluster(vectors[order], false_links=0.1, tail="sface", photos=[photos[i] for i in order])
        if not (again.labels == first.labels[order]).all():
            return False
        if not np.array_equal(again.margins, first.margins[order], equal_nan=True):
            return False
    return True


def degraded(image: Any, kind: str, seed: int) -> Any:
    """A photo at a quarter of its size, or in the dark with shot noise."""
    if kind == "low":
        small = cv2.resize(image, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
        return cv2.resize(small, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    random = np.random.default_rng(seed)
    light = (image / 255.0) ** 2.2 * 0.06
    seen = random.poisson(light * 400) / 400
    return np.clip(255 * seen ** (1 / 2.2), 0, 255).astype(np.uint8)


def degrade(kind: str, folder: str, output: Path, every: int) -> None:
    """Embed the main face of each degraded photo; what has no face is left out."""
    photos = find_images([folder])
    people = sorted({Path(photo).parent.name for photo in photos})
    kept = set(people[::every])
    photos = [photo for photo in photos if Path(photo).parent.name in kept]
    model = open_model("sface", threads=1)
    vectors, paths = [], []
    for start in range(0, len(photos), 256):
        part = photos[start : start + 256]
        pictures = [
            cv2.imencode(".png", degraded(read_image(photo), kind, start + at))[1].tobytes()
            for at, photo in enumerate(part)
        ]
        results = embed_photos(pictures, model, EmbedOptions(faces="main"), workers=1)
        for photo, found in zip(part, results, strict=True):
            if found.faces:
                vectors.append(found.faces[0].embedding)
                paths.append(photo)
    np.savez(output, embeddings=np.stack(vectors), path=np.array(paths), face=np.zeros(len(paths), np.int64))
    print(f"{output}: {len(paths):,} of {len(photos):,} photos have a face")


def made_up(size: int, dimensions: int) -> tuple[Vectors, Labels]:
    """Faces of people with 1 to 40 photos, as alike as LFW's are: 0.66 within, 0.08 across."""
    random = np.random.default_rng(0)
    who = np.repeat(np.arange(size), random.geometric(0.3, size).clip(1, 40))[:size]
    common = random.standard_normal(dimensions)
    centers = random.standard_normal((who[-1] + 1, dimensions), np.float32) + 0.35 * common.astype(np.float32)
    vectors = np.empty((size, dimensions), np.float32)
    for start in range(0, size, 50_000):
        part = centers[who[start : start + 50_000]]
        vectors[start : start + 50_000] = part + 0.72 * random.standard_normal(part.shape, np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors, who


def made_neighbors(vectors: Vectors, who: Labels) -> Callable[..., tuple[Labels, Vectors]]:
    """Neighbors without a search: others of the same person, and faces by chance where there are too few."""
    random = np.random.default_rng(1)
    sizes, order = np.bincount(who), np.argsort(who, kind="stable")
    begin = np.cumsum(sizes) - sizes
    place = np.empty(len(who), np.int64)
    place[order] = np.arange(len(who))
    done = 0

    def search(
        table: Vectors, probes: Vectors, k: int, /, *, progress: object = None
    ) -> tuple[Labels, Vectors]:
        nonlocal done
        rows = np.arange(done, done + len(probes))
        done += len(probes)
        person, step = who[rows], np.arange(k)
        mates = begin[person, None] + (place[rows, None] - begin[person, None] + step) % sizes[person, None]
        found = order[mates]
        chance = (rows[:, None] + 1 + random.integers(0, len(who) - 1, found.shape)) % len(who)  # not itself
        found = np.where(step < sizes[person, None], found, chance)
        scores = np.einsum("nkd,nd->nk", vectors[found], probes)
        best = np.argsort(-scores, axis=1)
        return np.take_along_axis(found, best, axis=1), np.take_along_axis(scores, best, axis=1)

    return search


def scale(size: int, dimensions: int, *, whole: bool) -> dict[str, Any]:
    """CPU seconds and the most memory of grouping made-up faces."""
    vectors, who = made_up(size, dimensions)
    photos = tuple(f"{face}.jpg" for face in range(size))
    seconds: dict[str, float] = {}

    class Timed:
        def __init__(self, name: str, unit: str = "") -> None:
            self.name = name

        def __enter__(self) -> Callable[..., None]:
            self.began = time.process_time()
            return lambda done, total=None: None

        def __exit__(self, *_: object) -> None:
            seconds[self.name] = round(time.process_time() - self.began, 2)

    search: Any = top_k
    if not whole:
        nodes = make_nodes(vectors)
        own = np.empty(size, np.int64)
        own[nodes.of_face] = who
        search = made_neighbors(nodes.vectors, own)
    forget_peak()
    began = time.process_time()
    found = group_faces(vectors, 0.5, Constraints(photos), search=search, steps=Timed)  # type: ignore[arg-type]
    seconds["all"] = round(time.process_time() - began, 2)
    result = {
        "set": f"{size:,} made-up faces x {dimensions}" + ("" if whole else ", graph without a search"),
        "cpu_seconds": seconds,
        "after_the_graph": round(seconds["all"] - seconds["Comparing faces"], 2),
        "peak_mb": round(peak_memory()),
        "vectors_mb": round(vectors.nbytes / 1e6),
        "bcubed_f": evaluate_clustering(found.labels, who)["bcubed_f"].value,
    }
    print(json.dumps(result), flush=True)
    return result


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="*", help="embeddings with paths")
    parser.add_argument("--halves", action="store_true", help="measure halves of the people too")
    parser.add_argument("--ours", action="store_true", help="measure no other method")
    parser.add_argument("--degrade", choices=["low", "dark"], help="make embeddings: FOLDER OUTPUT")
    parser.add_argument("--every", type=int, default=1, help="of the people, for --degrade")
    parser.add_argument("--size", type=int, help="group so many made-up faces")
    parser.add_argument("--graph", choices=["exact", "made"], default="exact", help="of --size")
    parser.add_argument("--dimensions", type=int, default=128)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    if asked.degrade:
        degrade(asked.degrade, asked.files[0], Path(asked.files[1]), asked.every)
        return
    with one_blas_thread():
        if asked.size:
            keep(scale(asked.size, asked.dimensions, whole=asked.graph == "exact"), asked.json)
        for name in asked.files:
            for what, vectors, people, photos, others in sets_of(Path(name), halves=asked.halves):
                result = compare(what, vectors, people, photos, others=others and not asked.ours)
                if what == Path(name).stem:
                    same = result["same_labels_in_three_orders"] = orders(vectors, photos)
                    print(f"three orders of the input give the same labels: {same}")
                keep(result, asked.json)


def keep(result: dict[str, Any], path: Path | None) -> None:
    """Put the figures of a set into the file, instead of earlier ones of that set."""
    if path is None:
        return
    versions = installed_versions(("numpy", "scikit-learn"))
    about = {"processor": platform.machine(), "cores": os.cpu_count(), "versions": versions}
    before = json.loads(path.read_text())["sets"] if path.exists() else []
    sets = [old for old in before if old["set"] != result["set"]] + [result]
    path.write_text(json.dumps({**about, "sets": sets}, indent=1) + "\n")


if __name__ == "__main__":
    main()
