"""From a checkpoint to embeddings: ``export``, ``embed`` on both devices, inputs that are bound to a GPU."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from measuring import medians
from numpy.typing import DTypeLike, NDArray

from facerec_cli.export.settings import TOLERANCE
from facerec_cli.faces.runtime.session import Network
from facerec_cli.registry import DEVICES
from facerec_cli.runtime import import_onnxruntime, install_command
from facerec_cli.training.train import train
from gpu_kit.alone import facerec, run_alone
from gpu_kit.photos import crops
from gpu_kit.recipes import make_recipe
from gpu_kit.report import Kit, Report

ALLOWED = {"distance": 1e-3, "cosine": 1e-5}
"""``distance``: of two embeddings of one crop, as a part of their length; ``cosine``: 1 less their cosine."""


def prove_packs(kit: Kit, report: Report) -> None:
    """Train for a moment, export with parity, embed on both devices, feed the GPU in two ways."""
    device = kit.device.partition(":")[0]  # ONNX Runtime's name of it
    assert device in DEVICES
    network = kit.folder / "kit.onnx"
    with report.attempt("export"):
        settings = {
            "data.path": "synthetic:8:8",
            "backbone.name": "iresnet18",
            "run.batch_size": kit.size(32, 8),
            "schedule.steps": 2,
            "run.out": str(kit.folder / "short"),
        }
        notes = kit.folder / "notes.txt"
        run_alone(train, make_recipe(kit, settings), notes=notes, seconds=report.left)
        said = kit.folder / "export.json"
        words = ["export", str(kit.folder / "short"), "-o", str(network), "--json", "--quiet"]
        run_alone(facerec, words, said, notes=notes, seconds=report.left)
        for row in _document(said)["parity"]:
            about = f"export: ONNX on {row['provider']}, batches of {row['batch']}"
            report.proof(about, {"distance": row["largest_distance"]}, {"distance": TOLERANCE})
    if not network.exists():
        return
    if kit.on_gpu and "CUDAExecutionProvider" not in import_onnxruntime().get_available_providers():
        why = f"this ONNX Runtime is built for CPUs; {install_command('cuda')}"
        report.left_out("embed on the GPU, inputs bound to it", why)
        return
    with report.attempt(f"embed --device {device}"):
        vectors = {place: _embedded(kit, network, place, report) for place in dict.fromkeys((device, "cpu"))}
        found = vectors[device] + (0.01 * np.roll(vectors[device], 1) if kit.plant == "packs" else 0)
        report.proof(f"embed --device {device} against cpu", _apart(vectors["cpu"], found), ALLOWED)
    with report.attempt("bound inputs"):
        _feed(kit, report, network, device)


def _embedded(kit: Kit, network: Path, device: str, report: Report) -> NDArray[np.float32]:
    """(N, D) of the command ``facerec embed`` on ready crops."""
    folder, table = kit.folder / "crops", kit.folder / f"{device}.npy"
    if not folder.exists():
        folder.mkdir()
        for number, crop in enumerate(crops(kit.size(64, 6), kit.photos)):
            cv2.imwrite(str(folder / f"{number:04d}.png"), crop)
    words = ["embed", str(folder), "--aligned", "--model", str(network), "--device", device, "-o", str(table)]
    run_alone(
        facerec,
        [*words, "--quiet"],
        kit.folder / "embed.txt",
        notes=kit.folder / "notes.txt",
        seconds=report.left,
    )
    vectors: NDArray[np.float32] = np.load(table)
    return vectors


def _apart(expected: NDArray[np.float32], found: NDArray[np.float32]) -> dict[str, float]:
    a, b = expected.astype(np.float64), found.astype(np.float64)
    length = np.linalg.norm(a, axis=1)
    cosine = (a * b).sum(1) / (length * np.linalg.norm(b, axis=1))
    return {
        "distance": float((np.linalg.norm(a - b, axis=1) / length).max()),
        "cosine": float(1 - cosine.min()),
    }


def _feed(kit: Kit, report: Report, path: Path, device: str) -> None:
    """Inputs in page-locked memory that are bound to the session, beside inputs that are handed over."""
    count, batch = kit.size((512, 64), (4, 2))
    values = np.random.default_rng(0).standard_normal((count, 3, 112, 112)).astype(np.float32)

    def make(rows: slice, empty: Callable[[tuple[int, ...], DTypeLike], NDArray[Any]]) -> NDArray[Any]:
        own = empty(values[rows].shape, np.float32)
        own[...] = values[rows]
        return own

    networks = {
        "bound": Network(path, device=device, bind=True),
        "handed over": Network(path, device=device, bind=False),
    }
    made = {
        name: np.concatenate([outputs[0] for _, outputs in network.run(count, make, batch_size=batch)])
        for name, network in networks.items()
    }
    report.proof("inputs bound against handed over", _apart(made["handed over"], made["bound"]), ALLOWED)
    ways = {
        name: (lambda one=network: one.run(count, make, batch_size=batch))
        for name, network in networks.items()
    }
    for name, seconds in medians(ways, 3).items():
        peer = f"inputs handed over, batches of {batch}" if name == "bound" else ""
        report.figure(f"inputs {name}, batches of {batch}", count / seconds, "crops/s", peer)


def _document(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
