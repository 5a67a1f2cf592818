"""PyTorch's two ONNX exporters side by side, and what each smaller form costs: the figures of docs/export.md.

Run: ``python benchmarks/export.py [--photos FOLDER] [BACKBONE...]``. With photos, SFace with its published
weights is quantised on one half of their faces and judged on the other.
"""

from __future__ import annotations

import argparse
import io
import logging
import time
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from history import record
from torch import nn

from facerec_cli.backbones import Preprocessing, build
from facerec_cli.export import GraphOptions, compress
from facerec_cli.export.crops import from_folder
from facerec_cli.export.onnx_graph import ExportedNetwork, to_onnx
from facerec_cli.export.parity import compare, open_session
from facerec_cli.faces.runtime.rewrites import rewrite_prelu

BATCH, ROUNDS = 8, 7
ROWS: list[dict[str, object]] = []  # what --json writes


def main() -> None:
    """Print one table for the exporters and one for the forms."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("backbones", nargs="*", default=["mobilefacenet", "iresnet18", "sface"])
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--json", type=Path, help="append the figures to this file")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.manual_seed(0)
    print("network        exporter      nodes     MB   s to export   largest distance   images/s")
    for name in given.backbones:
        exporters(name)
    if given.photos:
        forms(given.photos)
    if given.json:
        about = {"backbones": given.backbones, "batch": BATCH, "rounds": ROUNDS, "threads": 1}
        record("export", ROWS, about, given.json)


def exporters(name: str) -> None:
    """Both exporters, and ours after the rewrite of PReLU."""
    backbone = build(name)
    lively(backbone)
    network = ExportedNetwork(backbone, backbone.preprocessing, GraphOptions()).eval()
    inputs = torch.rand(BATCH, 3, 112, 112) * 2 - 1
    with torch.inference_mode():
        reference = network(inputs).numpy()
    start = time.perf_counter()
    ours = to_onnx(network, (112, 112))
    ours_seconds = time.perf_counter() - start
    start = time.perf_counter()
    legacy = torchscript(network, inputs[:2])
    legacy_seconds = time.perf_counter() - start
    models = {
        "torch.export": (ours, ours_seconds),
        "TorchScript": (legacy, legacy_seconds),
        "ours": (rewrite_prelu(ours), ours_seconds),
    }
    sessions = {key: open_session(model, threads=1) for key, (model, _) in models.items()}
    rates = speeds(sessions, inputs.numpy())
    for key, (model, seconds) in models.items():
        distance = compare(reference, sessions[key].run(None, {"input": inputs.numpy()})[0]).largest_distance
        print(
            f"{name:14} {key:12} {len(model.graph.node):6} {model.ByteSize() / 1e6:6.1f} {seconds:13.1f} "
            f"{distance:18.1e} {rates[key]:10.1f}"
        )
        ROWS.append({"name": f"{name}, {key}", "value": rates[key], "unit": "images/s"})


def torchscript(network: nn.Module, inputs: torch.Tensor) -> onnx.ModelProto:
    """The exporter that PyTorch had before."""
    out = io.BytesIO()
    batch = {0: "batch"}
    torch.onnx.export(
        network,
        (inputs,),
        out,
        dynamo=False,
        opset_version=18,
        input_names=["input"],
        output_names=["embedding"],
        dynamic_axes={"input": batch, "embedding": batch},
    )
    return onnx.load_from_string(out.getvalue())


def forms(photos: Path) -> None:
    """What each smaller form of the default pack's network costs on faces it was not calibrated on."""
    from facerec_cli.training.config import BackboneSettings
    from facerec_cli.training.start import make_backbone, open_start

    start = open_start(BackboneSettings(init="sface"), "sface")
    backbone = make_backbone(start, start.embedding_size).eval()
    own: Preprocessing = backbone.preprocessing
    faces = from_folder(photos, own, aligned=False).crops
    inputs = np.ascontiguousarray(faces[..., ::-1].transpose(0, 3, 1, 2)).astype(np.float32)
    half = len(inputs) // 2
    plain = to_onnx(ExportedNetwork(backbone, own, GraphOptions()), own.size)
    models = {"fp32": rewrite_prelu(plain)}
    for form, make in compress.FORMS.items():
        models[form] = make(plain if form == "int8" else models["fp32"], inputs[:half])
    sessions = {form: open_session(model, threads=1) for form, model in models.items()}
    with torch.inference_mode():
        reference = backbone(torch.from_numpy(inputs[half:])).embeddings.numpy()
    rates = speeds(sessions, inputs[:BATCH])
    print(f"\nSFace, {half} faces to calibrate on, {len(inputs) - half} others to judge by")
    print("form              MB   smallest cosine   mean cosine   images/s")
    for form, session in sessions.items():
        found = session.run(None, {"input": inputs[half:]})[0]
        norms = np.linalg.norm(reference, axis=1) * np.linalg.norm(found, axis=1)
        mean = float(((reference * found).sum(1) / norms).mean())
        smallest = compare(reference, found).smallest_cosine
        size = models[form].ByteSize() / 1e6
        print(f"{form:13} {size:6.1f} {smallest:17.5f} {mean:13.5f} {rates[form]:10.1f}")
        ROWS.append({"name": f"SFace, {form}", "value": rates[form], "unit": "images/s"})


def speeds(sessions: dict[str, object], inputs: np.ndarray) -> dict[str, float]:
    """Images a second on one thread; the sessions take turns, so that a busy moment hits them all."""
    seconds: dict[str, list[float]] = {key: [] for key in sessions}
    for turn in range(ROUNDS + 1):
        for key, session in sessions.items():
            start = time.perf_counter()
            session.run(None, {"input": inputs})  # type: ignore[attr-defined]
            if turn:
                seconds[key].append(time.perf_counter() - start)
    return {key: len(inputs) / float(np.median(values)) for key, values in seconds.items()}


def lively(module: nn.Module) -> None:
    """Statistics and slopes as training leaves them, so that nothing folds away by chance."""
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d | nn.BatchNorm1d):
            nn.init.normal_(layer.running_mean, 0, 0.1)
            nn.init.uniform_(layer.running_var, 0.5, 1.5)
        elif isinstance(layer, nn.PReLU):
            nn.init.uniform_(layer.weight, 0.1, 0.4)
        elif isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)


if __name__ == "__main__":
    main()
