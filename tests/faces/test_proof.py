"""Networks that work are served as ONNX Runtime alone runs them; those that do not are refused when added."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from odd_networks import DIMENSION, PIXELS, SERVED, WEIGHTS, plain, write
from onnx import TensorProto, helper
from typer.testing import CliRunner

from facerec_cli.cli import build_app
from facerec_cli.doctor.user import models
from facerec_cli.errors import ModelError
from facerec_cli.faces import open_model
from facerec_cli.faces.proof import made_picture
from facerec_cli.packs.catalog import installed
from facerec_cli.packs.overrides import PackOverrides
from facerec_cli.packs.resolve import open_pack
from facerec_cli.store.check import check
from facerec_cli.store.install import register

HALF = (127.5, 127.5, 127.5)
ARCFACE = PackOverrides(color="rgb", mean=HALF, std=HALF, template="arcface", input_size=(112, 112))
RAW = replace(ARCFACE, mean=(0.0,) * 3, std=(1.0,) * 3)
CROPS = np.stack([made_picture(112, 112, seed=seed) for seed in range(40, 51)])


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEREC_HOME", str(tmp_path / "home"))


@pytest.mark.parametrize("kind", SERVED)
def test_a_network_that_can_be_served_gives_what_onnx_runtime_gives(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path / "odd.onnx", **SERVED[kind])
    named = {} if kind != "shape not told" else {"embedding_size": DIMENSION}
    register(path, "odd", overrides=replace(ARCFACE, **named))
    right = plain(path, CROPS)
    for batch in (1, 4, 16):  # eleven crops: the last batch is never full
        found = open_model("odd", device="cpu", threads=2, detector=False).encode(CROPS, batch_size=batch)
        np.testing.assert_allclose(found, right, rtol=1e-5, atol=1e-6)
    assert [finding.status for finding in check("odd")] == ["ok"]


@pytest.mark.parametrize("kind", PIXELS)
def test_a_network_that_takes_pixels_gets_them_and_no_scale(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path / "odd.onnx", **PIXELS[kind])
    found = open_model(register(path, "odd", overrides=RAW), device="cpu", detector=False).encode(CROPS)
    np.testing.assert_allclose(found, plain(path, CROPS, scaled=False), rtol=1e-5)
    with pytest.raises(ModelError, match="whole numbers") as caught:
        register(path, "scaled", overrides=ARCFACE)
    assert "--mean 0 --std 1" in caught.value.hint


def test_an_int8_input_gets_pixels_moved_to_its_range(tmp_path: Path) -> None:
    path = write(tmp_path / "odd.onnx", kind="int8")
    pack = register(path, "odd", overrides=replace(RAW, mean=(128.0,) * 3))
    moved = WEIGHTS.sum(axis=(1, 2, 3))  # of a crop that is 128 + 1 throughout
    crop = np.full((1, 112, 112, 3), 129, np.uint8)
    found = open_model(pack, device="cpu", detector=False).encode(crop)
    np.testing.assert_allclose(found[0], np.maximum(moved, 0), rtol=1e-4, atol=1e-5)
    with pytest.raises(ModelError, match="whole numbers"):
        register(path, "other", overrides=RAW)


def test_mean_and_std_count_for_floats_with_channels_last(tmp_path: Path) -> None:
    path = write(tmp_path / "odd.onnx", last=True)
    pack = register(path, "odd", overrides=replace(ARCFACE, mean=(10.0, 20.0, 30.0), std=(1.0, 2.0, 4.0)))
    first = write(tmp_path / "first.onnx")
    other = register(first, "first", overrides=replace(ARCFACE, mean=(10.0, 20.0, 30.0), std=(1.0, 2.0, 4.0)))
    found, right = (open_model(p, device="cpu", detector=False).encode(CROPS) for p in (pack, other))
    np.testing.assert_allclose(found, right, rtol=1e-5)


def two_vectors(path: Path) -> Path:
    return write(
        path,
        tail=lambda: [
            ("Flatten", ["pooled"], ["early"], {}),
            ("Mul", ["early", "two"], ["late"], {}),
        ],
        outputs={"early": ["n", DIMENSION], "late": ["n", DIMENSION]},
        constants={"two": np.array([2.0], np.float32)},
    )


def test_of_several_vectors_the_user_says_which(tmp_path: Path) -> None:
    path = two_vectors(tmp_path / "odd.onnx")
    with pytest.raises(ModelError, match="2 outputs that can be the embedding") as caught:
        register(path, "odd", overrides=ARCFACE)
    assert "--output-name early" in caught.value.hint
    done = CliRunner().invoke(
        build_app(["models"]),
        f"models add {path} --name odd --color rgb --mean 127.5 --std 127.5 --template arcface --output late",
    )
    assert done.exit_code == 0, done.stderr
    found = open_model("odd", device="cpu", detector=False).encode(CROPS)
    np.testing.assert_allclose(found, 2 * plain(path, CROPS), rtol=1e-5)
    assert 'output_name = "late"' in (open_pack("odd").folder / "pack.toml").read_text()
    with pytest.raises(ModelError, match="no output 'none'"):
        register(path, "none", overrides=replace(ARCFACE, output_name="none"))


def _flat(*after: Any) -> Callable[[], list[Any]]:
    return lambda: [("Flatten", ["pooled"], ["flat"], {}), *after]


def external(path: Path) -> Path:
    model = onnx.load(write(path))
    onnx.save(model, str(path), save_as_external_data=True, location=f"{path.name}.data", size_threshold=0)
    return path


def escaping(path: Path) -> Path:
    """Weights that are to be read from a place that is none of the model's business."""
    model = onnx.load(write(path))
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../../../../../etc/passwd")
    path.write_bytes(model.SerializeToString())
    return path


def hidden_external(path: Path) -> Path:
    """The same in a constant of a node."""
    path = write(
        path, tail=_flat(("Add", ["flat", "c"], ["embedding"], {})), constants={"c": np.zeros(1, "f")}
    )
    model = onnx.load(path)
    tensor = model.graph.initializer.pop()
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    model.graph.node.insert(0, helper.make_node("Constant", [], ["c"], value=tensor))
    path.write_bytes(model.SerializeToString())
    return path


def wrong_sizes(path: Path) -> Path:
    model = onnx.load(write(path))
    model.graph.initializer[0].dims[0] = 0
    path.write_bytes(model.SerializeToString())
    return path


def custom(path: Path) -> Path:
    model = onnx.load(write(path))
    model.graph.node[0].domain = "mine"
    model.opset_import.add(domain="mine", version=1)
    path.write_bytes(model.SerializeToString())
    return path


def spatial(path: Path) -> Path:
    """Batch norm as old versions of MXNet exported it."""
    ones = np.ones(3, np.float32)
    names = dict.fromkeys(("scale", "shift", "mean", "variance"), ones)
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [3]) for name in names]
    ports.append(helper.make_tensor_value_info("weights", TensorProto.FLOAT, list(WEIGHTS.shape)))
    node = ("BatchNormalization", ["crops", *names], ["normed"], {"spatial": 0})
    return write(path, batch=1, opset=7, ir=3, head=(node,), constants=names, more_inputs=tuple(ports))


def sequence(path: Path) -> Path:
    write(path, tail=_flat(("SequenceConstruct", ["flat"], ["embedding"], {})))
    model = onnx.load(path)
    tensor = helper.make_tensor_type_proto(TensorProto.FLOAT, None)
    model.graph.output[0].type.CopyFrom(helper.make_sequence_type_proto(tensor))
    path.write_bytes(model.SerializeToString())
    return path


def text(content: str) -> Callable[[Path], Path]:
    def make(path: Path) -> Path:
        path.write_text(content)
        return path

    return make


def variant(**settings: Any) -> Callable[[Path], Path]:
    return lambda path: write(path, **settings)


# What is written, what the refusal says of it, and a word of what would help.
REFUSED: dict[str, tuple[Callable[[Path], Path], str, str]] = {
    "a fixed reshape inside": (
        variant(
            tail=lambda: [("Reshape", ["pooled", "shape"], ["embedding"], {})],
            constants={"shape": np.array([1, DIMENSION])},
        ),
        "fails on 2 crops at once, in a Reshape node",
        "make_dynamic_shape_fixed --input_name crops --input_shape 1,3,112,112",
    ),
    "batch last": (
        variant(
            tail=lambda: [("Flatten", ["pooled"], ["flat"], {}), ("Transpose", ["flat"], ["turned"], {}),
                          ("Unsqueeze", ["turned", "axes"], ["embedding"], {})],
            outputs={"embedding": [1, DIMENSION, "n"]}, constants={"axes": np.array([0])},
        ),
        "not its first axis", "dynamic batch",
    ),
    "a double constant": (
        variant(
            head=(("Sub", ["crops", "offset"], ["moved"], {}),), constants={"offset": np.float64(127.5)}
        ),
        "a Sub node mixes float and double", "float32",
    ),
    "double precision inside": (
        variant(kind="float64", inside="float64"), "ONNX Runtime cannot compute", "float32"
    ),
    "a future IR version": (variant(ir=99), "IR version 99", "pip install --upgrade onnxruntime"),
    "a future operator set": (variant(opset=99), "operator set 99", "pip install --upgrade onnxruntime"),
    "spatial=0": (spatial, "BatchNormalization", "spatial"),
    "160 x 160": (variant(size=160), "160 x 160", "112"),
    "bfloat16": (variant(kind="bfloat16"), "takes bfloat16", "float32"),
    "two inputs": (
        variant(more_inputs=(helper.make_tensor_value_info("training", TensorProto.BOOL, [1]),)),
        "'training' \\(1\\) bool", "only input",
    ),
    "weights in a second file": (external, "second file, 'odd.onnx.data'", "onnx.save"),
    "weights elsewhere": (escaping, "second file", "onnx.save"),
    "a constant elsewhere": (hidden_external, "second file, '/etc/passwd'", "onnx.save"),
    "a shape that its bytes do not have": (wrong_sizes, "damaged", "again"),
    "operators of its own": (custom, "mine::Conv", "standard"),
    "a sequence": (sequence, "'embedding' \\(\\) sequence", "One input"),
    "whole numbers out": (
        variant(tail=_flat(("Cast", ["flat"], ["embedding"], {"to": 7})), out_kind="int32"),
        "int32", "One input",
    ),
    "probabilities": (
        variant(tail=_flat(("Softmax", ["flat"], ["embedding"], {"axis": 1}))), "add up to 1", "before"
    ),
    "logarithms of probabilities": (
        variant(tail=_flat(("LogSoftmax", ["flat"], ["embedding"], {"axis": 1}))), "logarithms", "before"
    ),
    "dropout that is not off": (
        variant(
            tail=_flat(("Dropout", ["flat", "ratio", "training"], ["embedding"], {})),
            constants={"ratio": np.float32(0.5), "training": np.array(True)},
        ),
        "another embedding each time", "model.eval",
    ),
    "rows that see each other": (
        variant(
            tail=_flat(("ReduceMean", ["flat"], ["mean"], {"axes": [0], "keepdims": 1}),
                       ("Add", ["flat", "mean"], ["embedding"], {})),
        ),
        "among 2 crops than alone", "dynamic batch",
    ),
    "the first row for all": (
        variant(
            tail=_flat(("Slice", ["flat", "zero", "one"], ["first"], {}), ("Shape", ["flat"], ["shape"], {}),
                       ("Expand", ["first", "shape"], ["embedding"], {})),
            constants={"zero": np.array([0]), "one": np.array([1])},
        ),
        "among 2 crops than alone", "dynamic batch",
    ),
    "one vector for all crops": (
        variant(tail=_flat(("Mul", ["flat", "zero"], ["none"], {}),
                           ("Add", ["none", "one"], ["embedding"], {})),
                constants={"zero": np.float32(0), "one": np.linspace(-1, 1, DIMENSION, dtype=np.float32)}),
        "the same embedding for different crops", "damaged",
    ),
    "one number a face": (
        variant(tail=_flat(("ReduceSum", ["flat", "axis"], ["embedding"], {"keepdims": 1})),
                outputs={"embedding": ["n", 1]}, constants={"axis": np.array([1])}),
        "embeddings of 1 dimension;", "no face network",
    ),
    "more numbers than an embedding has": (
        variant(tail=_flat(("MatMul", ["flat", "classes"], ["embedding"], {})),
                outputs={"embedding": ["n", 70_000]},
                constants={"classes": np.ones((DIMENSION, 70_000), np.float32)}),
        "70,000 dimensions", "classifier",
    ),
    "the sum of the batch": (
        variant(tail=_flat(("ReduceSum", ["flat", "axis"], ["embedding"], {"keepdims": 1})),
                constants={"axis": np.array([0])}),
        "for 2 crops", "dynamic batch",
    ),
    "only the first four": (
        variant(tail=_flat(("Slice", ["flat", "from", "to"], ["embedding"], {})),
                constants={"from": np.array([0]), "to": np.array([4])}),
        "for 5 crops", "dynamic batch",
    ),
    "a feature map of a size that it does not tell": (
        variant(tail=lambda: [("Identity", ["positive"], ["embedding"], {})],
                outputs={"embedding": ["n", DIMENSION, "h", "w"]}),
        "for one crop", "dynamic batch",
    ),
    "zeros": (
        variant(tail=_flat(("Mul", ["flat", "zero"], ["embedding"], {})), constants={"zero": np.float32(0)}),
        "all zero", "mean and std",
    ),
    "NaN": (
        variant(tail=_flat(("Neg", ["flat"], ["minus"], {}), ("Sub", ["minus", "one"], ["below"], {}),
                           ("Sqrt", ["below"], ["embedding"], {})), constants={"one": np.float32(1)}),
        "not finite", "float32",
    ),
    "overflow": (
        variant(kind="float16", inside="float16", tail=_flat(("Mul", ["flat", "much"], ["m"], {}),
                                                             ("Mul", ["m", "much"], ["embedding"], {})),
                constants={"much": np.float16(60000)}),
        "not finite", "float16",
    ),
    "no network": (text("GIF89a" + 200 * "x"), "not an ONNX file", "again"),
    "a pointer of Git LFS": (text("version https://git-lfs.github.com/spec/v1\n"), "pointer", "git lfs pull"),
    "a web page": (text("<!doctype html><html>"), "web page", "download"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_a_network_that_does_not_work_is_refused_in_our_words(tmp_path: Path, kind: str) -> None:
    make, says, helps = REFUSED[kind]
    path = make(tmp_path / "odd.onnx")
    with pytest.raises(ModelError, match=says) as caught:
        register(path, "odd", overrides=replace(ARCFACE, input_size=None))
    assert helps in str(caught.value) and "odd.onnx" in caught.value.message
    assert "ONNXRuntimeError" not in str(caught.value) and "onnxruntime_src" not in str(caught.value)
    assert "odd" not in [pack.name for pack in installed()]


@pytest.mark.parametrize("kind", ["a fixed reshape inside", "rows that see each other", "probabilities"])
def test_a_bare_file_is_run_when_it_is_opened(tmp_path: Path, kind: str) -> None:
    make, says, _ = REFUSED[kind]
    pack = open_pack(make(tmp_path / "odd.onnx"), overrides=ARCFACE)
    with pytest.raises(ModelError, match=says):
        open_model(pack, device="cpu", threads=1, detector=False)


def test_check_and_doctor_run_what_was_registered_before(tmp_path: Path) -> None:
    """By an older facerec, or for an older ONNX Runtime."""
    folder = register(write(tmp_path / "good.onnx"), "odd", overrides=ARCFACE).folder
    broken = REFUSED["a fixed reshape inside"][0](tmp_path / "bad.onnx")
    (folder / "good.onnx").write_bytes(broken.read_bytes())
    manifest = folder / "pack.toml"
    lines = [line if "sha256" not in line else 'sha256 = ""' for line in manifest.read_text().splitlines()]
    manifest.write_text("\n".join(lines))
    (finding,) = check("odd")
    assert finding.status == "broken" and "fails on 2 crops at once" in finding.detail
    (told,) = [one for one in models() if one.subject == "model odd"]
    assert told.status == "broken" and told.mend == "facerec models remove odd"
    (unrun,) = check("odd", run=False)
    assert unrun.status == "ok"


def test_the_cure_for_spatial_zero_and_for_a_fixed_reshape_cures(tmp_path: Path) -> None:
    import shlex
    import subprocess
    import sys

    for kind in ("spatial=0", "a fixed reshape inside"):
        make, _, _ = REFUSED[kind]
        with pytest.raises(ModelError) as caught:
            register(make(tmp_path / "odd.onnx"), "odd", overrides=ARCFACE)
        words = shlex.split(caught.value.hint[caught.value.hint.index("python ") :])
        subprocess.run([sys.executable, *words[1:]], check=True, cwd=tmp_path, capture_output=True)
        register(tmp_path / "FIXED.onnx", "fixed", overrides=ARCFACE, force=True)
        found = open_model("fixed", device="cpu", detector=False).encode(CROPS[:3])
        right = plain(tmp_path / "FIXED.onnx", CROPS[:3])
        np.testing.assert_allclose(found, right, rtol=1e-5)


def test_a_sparse_or_quantised_network_is_held_to_what_its_bits_allow(tmp_path: Path) -> None:
    """A network quantised at run time takes its scale from the batch, and is no fault."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    weights = np.random.default_rng(3).standard_normal((DIMENSION, DIMENSION)).astype(np.float32)
    tail = _flat(("MatMul", ["flat", "mix"], ["embedding"], {}))
    path = write(tmp_path / "full.onnx", tail=tail, constants={"mix": weights})
    quantize_dynamic(
        path, tmp_path / "odd.onnx", weight_type=QuantType.QInt8, op_types_to_quantize=["MatMul"]
    )
    register(tmp_path / "odd.onnx", "odd", overrides=ARCFACE)
    found = open_model("odd", device="cpu", detector=False).encode(CROPS)
    right = plain(path, CROPS)
    cosines = (found * right).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(right, axis=1)
    assert cosines.min() > 0.98


def test_proof_leaves_the_network_as_it_was(tmp_path: Path) -> None:
    pack = open_pack(write(tmp_path / "odd.onnx"), overrides=ARCFACE)
    proved = open_model(pack, device="cpu", threads=1, detector=False)
    unproved = open_model(replace(pack, unproved=False), device="cpu", threads=1, detector=False)
    assert proved._encoder.network.rows == unproved._encoder.network.rows
    assert np.array_equal(proved.encode(CROPS), unproved.encode(CROPS))


def test_identities_are_those_from_before_outputs_had_names() -> None:
    from facerec_cli.packs.resolve import pack_hash

    stored = open_pack("sface").folder / "evaluations"
    import json

    known = {json.loads(path.read_text())["model"]["sha256"] for path in stored.glob("*.json")}
    assert known == {pack_hash(open_pack("sface"))}
