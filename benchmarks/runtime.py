"""How fast recognition networks run on this CPU: facerec's loader beside ONNX Runtime as it comes and peers.

    python benchmarks/runtime.py                                  # the default pack's network
    python benchmarks/runtime.py --random mobilefacenet iresnet50 # networks with random weights (needs torch)
    python benchmarks/runtime.py --onnx FILE.onnx

Every round runs all ways one after the other on the same crops, so that a busy machine hurts all of them
alike; the table has medians over the rounds and ratios to ONNX Runtime as it comes. "difference" is the
largest difference of an embedding's number from ONNX Runtime's, in units of the largest number.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
from onnx import numpy_helper

from facerec_cli.faces.runtime.rewrites import rewrite_prelu
from facerec_cli.faces.runtime.session import Network
from facerec_cli.packs.resolve import open_pack
from facerec_cli.runtime import import_onnxruntime, usable_cores

onnxruntime = import_onnxruntime()  # after facerec, which turns its telemetry off

BATCH = 16
OURS = "facerec: both, last layer once a batch"
Way = Callable[[], np.ndarray]


def with_prelu(path: Path, target: Path) -> Path:
    """The default pack's network with its activations put back as PRelu, as everybody else ships it."""
    model = onnx.load(path)
    values = {entry.name: numpy_helper.to_array(entry) for entry in model.graph.initializer}
    makers = {node.output[0]: node for node in model.graph.node}
    removed: set[str] = set()
    nodes = []
    for node in model.graph.node:
        left = makers.get(node.input[0]) if node.op_type == "Add" else None
        if left is None or left.op_type != "BatchNormalization" or not left.name.startswith("facerec.prelu"):
            nodes.append(node)
            continue
        slope = f"{node.output[0]}.slope"
        channels = values[left.input[1]].reshape(-1, 1, 1)
        model.graph.initializer.append(numpy_helper.from_array(channels, slope))
        nodes.append(onnx.helper.make_node("PRelu", [left.input[0], slope], [node.output[0]]))
        prefix = left.output[0].removesuffix("left")
        removed |= {name for name in makers if name.startswith(prefix)}
    del model.graph.node[:]
    model.graph.node.extend(node for node in nodes if node.output[0] not in removed)
    onnx.checker.check_model(model)
    onnx.save(model, str(target))
    return target


def random_network(name: str, folder: Path) -> Path:
    """One of facerec's backbones with random weights, exported."""
    import torch

    from facerec_cli.backbones import build

    logging.disable(logging.INFO)
    torch.manual_seed(0)
    network = build(name).eval()
    for module in network.modules():  # slopes as they are after training: different for every channel
        if isinstance(module, torch.nn.PReLU):
            torch.nn.init.uniform_(module.weight, -0.3, 0.7)

    class Embeddings(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return network(images).embeddings

    path = folder / f"{name}.onnx"
    wrapped = Embeddings()
    wrapped.network = network
    torch.onnx.export(
        wrapped.eval(),
        (torch.zeros(2, 3, 112, 112),),
        str(path),
        dynamo=True,
        opset_version=18,
        input_names=["input"],
        output_names=["embedding"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        external_data=False,
        verbose=False,
    )
    return path


def session(content: str | bytes, threads: int) -> onnxruntime.InferenceSession:
    """ONNX Runtime as it comes, apart from the number of threads."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def ways(path: Path, crops: np.ndarray, threads: int) -> dict[str, Way]:
    """Name of each way -> a function that embeds all crops; the first is the yardstick."""
    batch = np.ascontiguousarray(crops[..., ::-1].transpose(0, 3, 1, 2)).astype(np.float32)
    parts = [batch[start : start + BATCH] for start in range(0, len(batch), BATCH)]
    rewritten = rewrite_prelu(onnx.load(path)).SerializeToString()
    name = session(str(path), 1).get_inputs()[0].name
    pool = ThreadPoolExecutor(threads)

    def in_batches(content: str | bytes) -> Way:
        plain = session(content, threads)
        return lambda: np.concatenate([plain.run(None, {name: part})[0] for part in parts])

    def side_by_side(content: str | bytes) -> Way:
        single = session(content, 1)
        pairs = [batch[start : start + 2] for start in range(0, len(batch), 2)]
        return lambda: np.concatenate(list(pool.map(lambda part: single.run(None, {name: part})[0], pairs)))

    network = Network(path, device="cpu", threads=threads)
    found: dict[str, Way] = {
        f"ONNX Runtime, batches of {BATCH}": in_batches(str(path)),
        "  PReLU rewritten": in_batches(rewritten),
        "  one thread a call, two crops": side_by_side(str(path)),
        OURS: lambda: np.concatenate(
            [out[0] for _, out in network.run(len(batch), lambda rows, _: batch[rows])]
        ),
    }
    opencv = opencv_dnn(path, batch, threads)
    if opencv is not None:
        found["OpenCV dnn, one by one"] = opencv
    if find_spec("insightface"):
        from insightface.model_zoo.arcface_onnx import ArcFaceONNX

        peer: Any = ArcFaceONNX(str(path), session=session(str(path), threads))
        peer.input_mean, peer.input_std = 0.0, 1.0  # the same raw pixels for all
        images = list(crops)
        found[f"insightface ArcFaceONNX, lists of {BATCH}"] = lambda: np.concatenate(
            [peer.get_feat(images[start : start + BATCH]) for start in range(0, len(images), BATCH)]
        )
    return found


def opencv_dnn(path: Path, batch: np.ndarray, threads: int) -> Way | None:
    """OpenCV's own runtime, or None where it cannot read the file."""
    try:
        cv2.setNumThreads(threads)
        network = cv2.dnn.readNetFromONNX(str(path))

        def run() -> np.ndarray:
            rows = []
            for crop in batch:
                network.setInput(crop[None])
                rows.append(network.forward().copy())
            return np.concatenate(rows)

        run()
    except cv2.error:
        return None
    return run


def measure(title: str, path: Path, crops: np.ndarray, threads: int, rounds: int) -> list[dict[str, Any]]:
    """Print one table; its rows for the history."""
    candidates = ways(path, crops, threads)
    results = {name: way() for name, way in candidates.items()}  # also warms up
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, way in candidates.items():
            start = time.perf_counter()
            way()
            times[name].append(time.perf_counter() - start)
    yardstick = next(iter(candidates))
    reference = results[yardstick]
    base = statistics.median(times[yardstick])
    rows = []
    print(f"\n{title}: {len(crops)} crops, {threads} threads, median of {rounds} rounds")
    print(f"{'':40} {'crops/s':>8} {'ratio':>6} {'difference':>11}")
    for name in candidates:
        seconds = statistics.median(times[name])
        difference = np.abs(results[name] - reference).max() / np.abs(reference).max()
        print(f"{name:40} {len(crops) / seconds:8.1f} {base / seconds:6.2f} {difference:11.1e}")
        rows.append({"name": f"{title}: {name.strip()}", "value": len(crops) / seconds, "unit": "crops/s"})
    peer = next((row["name"] for row in rows if "insightface" in row["name"]), rows[0]["name"])
    next(row for row in rows if row["name"] == f"{title}: {OURS}")["peer"] = peer
    return rows


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--random", nargs="*", default=[], help="backbones with random weights")
    parser.add_argument("--onnx", nargs="*", type=Path, default=[], help="files (N, 3, 112, 112) -> (N, D)")
    parser.add_argument("--threads", type=int, default=usable_cores())
    parser.add_argument("--crops", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path, help="append a line to this file")
    wanted = parser.parse_args()
    random = np.random.default_rng(0)
    small = random.integers(0, 256, (wanted.crops, 14, 14, 3), dtype=np.uint8)
    crops = np.stack([cv2.resize(image, (112, 112), interpolation=cv2.INTER_CUBIC) for image in small])
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        files = {str(path): path for path in wanted.onnx}
        files |= {f"{name}, random weights": random_network(name, folder) for name in wanted.random}
        if not files:
            files["sface"] = with_prelu(open_pack("pack:sface").encoder_path, folder / "sface.onnx")
        rows = []
        for title, path in files.items():
            rows += measure(title, path, crops, wanted.threads, wanted.rounds)
    if wanted.json:
        from history import record

        settings = {"crops": wanted.crops, "threads": wanted.threads, "rounds": wanted.rounds}
        record("runtime", rows, settings, wanted.json)


if __name__ == "__main__":
    main()
