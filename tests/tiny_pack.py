"""A pack of a few kilobytes whose embeddings can be computed by hand, for tests of everything around it.

The encoder takes 112 x 112 crops and gives four numbers: the mean blue, green and red of the crop and its
brightness in the upper half, each minus 127.5. There is no detector: the default pack's serves, or
``aligned`` crops.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from facerec_cli.files import sha256_of
from facerec_cli.packs.manifest import EncoderSpec, License, ModelPack, Provenance
from facerec_cli.packs.manifest_toml import write_manifest

SIZE = 112
EMBEDDING_SIZE = 4


def expected(crops: NDArray[np.uint8]) -> NDArray[np.float64]:
    """What the pack's encoder gives for (N, 112, 112, 3) uint8 BGR crops."""
    values = crops.astype(np.float64) - 127.5
    colors = values.mean(axis=(1, 2))
    upper = values[:, : SIZE // 2].mean(axis=(1, 2, 3))
    return np.concatenate([colors, upper[:, None]], axis=1)


def write_encoder(path: Path, *, batch: int | str = "batch") -> Path:
    """Write the encoder's ONNX file."""
    columns = np.full((SIZE, 1), 1 / SIZE, np.float32)
    rows = np.zeros((2, SIZE), np.float32)
    rows[0, :] = 1 / SIZE
    rows[1, : SIZE // 2] = 2 / SIZE
    pick = np.zeros((6, EMBEDDING_SIZE), np.float32)  # (channel, all or upper half) -> output
    pick[[0, 2, 4], [0, 1, 2]] = 1
    pick[[1, 3, 5], 3] = 1 / 3
    constants = {"columns": columns, "rows": rows, "pick": pick}
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["input", "columns"], ["strip"]),
            helper.make_node("MatMul", ["rows", "strip"], ["means"]),
            helper.make_node("Flatten", ["means"], ["flat"]),
            helper.make_node("MatMul", ["flat", "pick"], ["embedding"]),
        ],
        "tiny",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [batch, 3, SIZE, SIZE])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [batch, EMBEDDING_SIZE])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(path))
    return path


def write_tiny_pack(folder: Path, name: str = "tiny", *, batch: int | str = "batch") -> ModelPack:
    """Write the pack into ``folder`` and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = write_encoder(folder / "tiny.onnx", batch=batch)
    encoder = EncoderSpec(
        file=path.name,
        sha256=sha256_of(path),
        embedding_size=EMBEDDING_SIZE,
        color="bgr",
        mean=(127.5, 127.5, 127.5),
        std=(1.0, 1.0, 1.0),
    )
    pack = ModelPack(
        name=name,
        description="Mean colors, for tests",
        folder=folder,
        license=License(code="Apache-2.0", weights="Apache-2.0", commercial=True),
        provenance=Provenance(source="tests/tiny_pack.py", training_data="none"),
        encoder=encoder,
    )
    write_manifest(pack)
    return pack
