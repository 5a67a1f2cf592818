"""The exported file, looked at from outside: by programs that know nothing of facerec."""

from __future__ import annotations

import json
import re
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
from made_checkpoint import SIZE, cosines, torch_embeddings
from numpy.typing import NDArray

from facerec_cli.backbones import Backbone
from facerec_cli.export import ExportOptions, ExportReport, GraphOptions, export
from facerec_cli.faces import open_model
from facerec_cli.packs.resolve import open_pack

BATCHES = (1, 2, 7, 32, 33)


def by_metadata(path: Path, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Plain ONNX Runtime and NumPy, by what the file says of itself; ``crops`` (N, H, W, 3) uint8 BGR."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    manifest = json.loads(session.get_modelmeta().custom_metadata_map["facerec.manifest"])
    encoder = manifest["encoder"]
    images = crops if encoder["color"] == "bgr" else crops[..., ::-1]
    if encoder["layout"] == "nhwc":
        return session.run(["embedding"], {"input": np.ascontiguousarray(images)})[0]
    values = (images.astype(np.float32) - np.float32(encoder["mean"])) / np.float32(encoder["std"])
    return session.run(["embedding"], {"input": np.ascontiguousarray(values.transpose(0, 3, 1, 2))})[0]


def shape(port: onnx.ValueInfoProto) -> list[str | int]:
    return [d.dim_param or d.dim_value for d in port.type.tensor_type.shape.dim]


def test_the_graph_is_what_the_documentation_says(exported: ExportReport) -> None:
    model = onnx.load(str(exported.files[0].path))
    onnx.checker.check_model(model, full_check=True)
    (source,), (out,) = model.graph.input, model.graph.output
    assert (source.name, shape(source)) == ("input", ["batch", 3, 112, 112])
    assert (out.name, shape(out)) == ("embedding", ["batch", SIZE])
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 18)]
    kinds = [node.op_type for node in model.graph.node]
    assert "PRelu" not in kinds and kinds.count("Conv") == 49
    # All that is left of batch norm is the exact form of PReLU: two scalings each.
    assert kinds.count("BatchNormalization") == 2 * kinds.count("Relu") == 66


def test_the_file_says_nothing_of_the_machine_that_wrote_it(exported: ExportReport, best: Path) -> None:
    for file in exported.files:
        content = file.path.read_bytes()
        for secret in (b"/secret", b"site-packages", b".py", str(Path.home()).encode() + b"/"):
            assert secret not in content, (file.form, secret)
        assert str(best.parent).encode() not in content


@pytest.mark.parametrize("batch", BATCHES)
def test_plain_numpy_by_the_metadata_gives_pytorchs_embeddings(
    exported: ExportReport, mobile: Backbone, crops: NDArray[np.uint8], batch: int
) -> None:
    found = by_metadata(exported.files[0].path, crops[:batch])
    expected = torch_embeddings(mobile, crops[:batch])
    assert found.shape == (batch, SIZE)
    np.testing.assert_allclose(found, expected, atol=2e-5 * np.abs(expected).max())


@pytest.mark.parametrize("batch", (1, 2, 33))
@pytest.mark.parametrize("form", ("fp32", "fp16_weights", "int8_weights"))
def test_opencv_runs_the_file(
    exported: ExportReport, crops: NDArray[np.uint8], batch: int, form: str
) -> None:
    file = next(file for file in exported.files if file.form == form)
    network = cv2.dnn.readNetFromONNX(str(file.path))
    blob = cv2.dnn.blobFromImages(list(crops[:batch]), 1 / 127.5, (112, 112), (127.5,) * 3, swapRB=True)
    network.setInput(blob)
    found = network.forward()
    expected = by_metadata(file.path, crops[:batch])
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def test_our_own_model_gives_the_same_and_flips_outside(
    exported: ExportReport, mobile: Backbone, crops: NDArray[np.uint8]
) -> None:
    model = open_model(exported.files[0].path, device="cpu", detector=False)
    expected = torch_embeddings(mobile, crops, flip=True)
    np.testing.assert_allclose(model.encode(crops, flip=True), expected, atol=2e-5 * np.abs(expected).max())


def test_flip_unit_length_and_pixels_inside_the_graph(
    tmp_path: Path, best: Path, mobile: Backbone, crops: NDArray[np.uint8]
) -> None:
    graph = GraphOptions(normalize=True, flip=True, uint8="bgr")
    report = export(best, ExportOptions(output=tmp_path / "all.onnx", graph=graph, keep_prelu=True))
    expected = torch_embeddings(mobile, crops, flip=True)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    for batch in BATCHES:
        np.testing.assert_allclose(
            by_metadata(tmp_path / "all.onnx", crops[:batch]), expected[:batch], atol=2e-6
        )
    encoder = report.files[0].pack.encoder
    assert (encoder.layout, encoder.color, encoder.normalized) == ("nhwc", "bgr", True)
    model = onnx.load(str(tmp_path / "all.onnx"))
    assert shape(model.graph.input[0]) == ["batch", 112, 112, 3]
    assert shape(model.graph.output[0]) == ["batch", SIZE]
    assert [node.op_type for node in model.graph.node].count("PRelu") == 33
    opened = open_model(tmp_path / "all.onnx", device="cpu", detector=False)
    np.testing.assert_allclose(opened.encode(crops), expected, atol=2e-6)


def test_the_manifest_tells_where_the_network_comes_from(exported: ExportReport, best: Path) -> None:
    from facerec_cli.files import sha256_of

    pack = open_pack(exported.files[0].path)
    assert pack.name == "full"
    assert (pack.license.weights, pack.license.commercial) == ("CC-BY-4.0", True)
    assert pack.provenance.training_data == "synthetic:40:1"
    assert pack.training["loss"] == "otface"
    assert json.loads(pack.training["recipe"]) == {"loss": {"name": "otface", "k": 6}}
    assert pack.training["checkpoint_sha256"] == sha256_of(best)
    assert pack.encoder.sha256 == sha256_of(exported.files[0].path)
    assert pack.threshold is None


def test_each_form_tells_its_own_agreement_with_pytorch(exported: ExportReport) -> None:
    for file in exported.files:
        (cosine,) = re.findall(r"smallest cosine ([\d.]+)", file.pack.training["parity"])
        assert float(cosine) == pytest.approx(file.measured.agreement.smallest_cosine, abs=2e-6)
        assert file.measured.size == file.path.stat().st_size
    assert file.measured.agreement.smallest_cosine < 0.99999  # 8 bits cost something


@pytest.mark.parametrize("position", (0.3, 0.9))
def test_one_changed_byte_is_refused(tmp_path: Path, exported: ExportReport, position: float) -> None:
    from facerec_cli.errors import ModelError

    content = bytearray(exported.files[0].path.read_bytes())
    content[int(len(content) * position)] ^= 1
    changed = tmp_path / "changed.onnx"
    changed.write_bytes(content)
    with pytest.raises(ModelError):
        open_pack(changed)


def test_smaller_forms_cost_what_is_printed(
    exported: ExportReport, mobile: Backbone, crops: NDArray[np.uint8]
) -> None:
    expected = torch_embeddings(mobile, crops)
    sizes = {file.form: file.path.stat().st_size for file in exported.files}
    least = {"fp32": 0.9999999, "fp16": 0.9999, "fp16_weights": 0.99999, "int8": 0.9, "int8_weights": 0.995}
    for file in exported.files:
        onnx.checker.check_model(str(file.path), full_check=True)
        found = by_metadata(file.path, crops)
        measured = file.measured
        assert measured.size == sizes[file.form]
        assert measured.agreement.smallest_cosine == pytest.approx(cosines(expected, found).min(), abs=1e-4)
        assert measured.mean_cosine == pytest.approx(cosines(expected, found).mean(), abs=1e-4)
        assert cosines(expected, found).min() > least[file.form]
        assert measured.crops_per_second > 0
        assert open_pack(file.path).training["precision"] == file.form
    assert max(sizes["fp16"], sizes["fp16_weights"]) < 0.75 * sizes["fp32"]  # the graph itself is a part
    assert sizes["int8"] < 0.75 * sizes["fp32"] and sizes["int8_weights"] < sizes["fp16_weights"]


def test_insightface_gives_the_same_embeddings(
    exported: ExportReport, mobile: Backbone, crops: NDArray[np.uint8]
) -> None:
    zoo = pytest.importorskip("insightface.model_zoo", reason="needs the insightface package")
    model = zoo.get_model(str(exported.insightface), providers=["CPUExecutionProvider"])
    assert (model.input_mean, model.input_std, model.input_size) == (127.5, 127.5, (112, 112))
    found = model.get_feat(list(crops))
    expected = torch_embeddings(mobile, crops)
    np.testing.assert_allclose(found, expected, atol=2e-5 * np.abs(expected).max())
