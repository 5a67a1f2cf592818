"""The parts of an export that need no export: pairs, thresholds, insightface's layout, registering."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from made_checkpoint import cosines
from numpy.typing import NDArray
from typer.testing import CliRunner

from facerec_cli.errors import UsageError
from facerec_cli.export import ExportReport
from facerec_cli.export.insightface import to_insightface
from facerec_cli.export.measure import FARS, threshold
from facerec_cli.export.pack import write_pack
from facerec_cli.export.parity import compare, open_session
from facerec_cli.faces.preprocess import network_input
from facerec_cli.metrics.thresholds import choose
from facerec_cli.pairs.pairlist import PairList
from facerec_cli.verify.pair_crops import PairCrops, evaluate_crops


def make_pairs(scores: NDArray[np.float64], same: NDArray[np.bool_]) -> tuple[NDArray[np.float32], PairCrops]:
    """Two-dimensional vectors whose pairs have the given cosines."""
    angles = np.arccos(scores)
    second = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    vectors = np.concatenate([np.tile([[1.0, 0.0]], (len(scores), 1)), second]).astype(np.float32)
    n = len(scores)
    pairs = PairList(
        format="labeled",
        images=(b"",) * (2 * n),
        names=("x",) * (2 * n),
        first=np.arange(n),
        second=np.arange(n, 2 * n),
        same=same,
    )
    return vectors, PairCrops("x", pairs, np.zeros((2 * n, 1, 1, 3), np.uint8), np.zeros(2 * n, bool))


def test_verification_scores_cosines_whatever_the_length() -> None:
    generator = np.random.default_rng(0)
    scores, same = generator.uniform(-1, 1, 400), np.arange(400) % 2 == 0
    vectors, pairs = make_pairs(scores, same)
    judged = evaluate_crops(pairs, vectors * generator.uniform(0.1, 9, (800, 1)).astype(np.float32), FARS)
    np.testing.assert_allclose(judged.scores, scores, atol=1e-6)
    assert judged.evaluation.pairs.genuine == 200
    other = dataclasses.replace(judged, scores=judged.scores + np.float32(0.25))
    assert judged.largest_change(other) == pytest.approx(0.25)


def test_photos_without_a_face_fail_their_pairs() -> None:
    vectors, pairs = make_pairs(np.linspace(-0.9, 0.9, 40), np.arange(40) >= 20)
    missing = pairs.missing.copy()
    missing[[0, 25]] = True
    judged = evaluate_crops(dataclasses.replace(pairs, missing=missing), vectors, FARS)
    assert (judged.evaluation.pairs.failed_genuine, judged.evaluation.pairs.failed_impostor) == (1, 1)


def test_a_figure_that_is_missing_has_its_reason() -> None:
    vectors, pairs = make_pairs(np.linspace(-0.9, 0.9, 40), np.arange(40) >= 20)
    judged = evaluate_crops(pairs, vectors, (0.001, 0.2))
    (told,) = [line for line in judged.evaluation.reasons() if "FAR 1 in 1,000" in line]
    assert "20 different pairs" in told and "20 %" not in told
    assert not [line for line in judged.evaluation.reasons() if "(20 %)" in line]


def test_a_threshold_says_what_it_rests_on() -> None:
    different, genuine = np.linspace(-0.5, 0.49, 100), np.linspace(0.3, 0.99, 100)
    vectors, pairs = make_pairs(np.concatenate([different, genuine]), np.arange(200) >= 100)
    judged = evaluate_crops(pairs, vectors, (0.001, 0.1))
    card = threshold(judged, 0.1, "mine.txt", flip=False)
    assert not isinstance(card, str)
    accepted = int((judged.scores[:100] >= card.value).sum())
    assert accepted <= 10 and (judged.scores[:100] >= card.value - 0.011).sum() > 10
    assert (card.far, card.impostor_pairs, card.data) == (0.1, 100, "mine.txt, 200 pairs, no flip")
    chosen = choose(judged.evaluation, 0.1, data=card.data)
    assert card == chosen  # by the rule of cards and groups
    few = threshold(judged, 0.001, "mine.txt", flip=False)  # 100 pairs cannot tell 0.001
    assert isinstance(few, str) and "100 different pairs" in few


def test_agreement_is_of_rows() -> None:
    a = np.array([[3, 4], [0, 2]], np.float32)
    agreement = compare(a, np.array([[3, 4.5], [0, 2]], np.float32))
    assert agreement.largest_difference == pytest.approx(0.5)
    assert agreement.largest_distance == pytest.approx(0.1)
    assert agreement.smallest_cosine == pytest.approx(27 / (5 * np.hypot(3, 4.5)))


@pytest.mark.parametrize("color", ("rgb", "bgr"))
def test_insightface_feeds_any_preprocessing_rightly(
    tmp_path: Path, exported: ExportReport, crops: NDArray[np.uint8], color: str
) -> None:
    zoo = pytest.importorskip("insightface.model_zoo", reason="needs the insightface package")
    model = onnx.load(str(exported.files[0].path))
    pack = exported.files[0].pack
    encoder = dataclasses.replace(
        pack.encoder, color=color, mean=(100.0, 110.0, 120.0), std=(64.0, 128.0, 32.0)
    )
    session = open_session(model)
    expected = session.run(None, {"input": network_input(crops, encoder)})[0]
    changed, spec = to_insightface(model, encoder)
    onnx.checker.check_model(changed, full_check=True)
    assert (spec.color, spec.mean, spec.std) == ("rgb", (0.0,) * 3, (1.0,) * 3)
    write_pack(changed, dataclasses.replace(pack, encoder=spec), tmp_path / "x.onnx")
    loaded = zoo.get_model(str(tmp_path / "x.onnx"), providers=["CPUExecutionProvider"])
    assert (loaded.input_mean, loaded.input_std) == (0.0, 1.0)
    np.testing.assert_allclose(
        loaded.get_feat(list(crops)), expected, atol=5e-5 * float(np.abs(expected).max())
    )


def test_what_insightface_cannot_feed(exported: ExportReport) -> None:
    model = onnx.load(str(exported.files[0].path))
    encoder = exported.files[0].pack.encoder
    with pytest.raises(UsageError, match="--uint8"):
        to_insightface(model, dataclasses.replace(encoder, layout="nhwc"))
    with pytest.raises(UsageError, match="96 x 112"):
        to_insightface(model, dataclasses.replace(encoder, input_size=(96, 112)))


def test_the_command_registers_and_measures(
    tmp_path: Path, best: Path, crops: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One export through the command line, with pairs, a threshold and a name; then the name is used."""
    from facerec_cli.cli import app
    from facerec_cli.faces import open_model
    from facerec_cli.packs.resolve import open_pack

    monkeypatch.chdir(tmp_path)
    for i, crop in enumerate(crops):
        cv2.imwrite(f"{i}.png", crop)
        darker = (crop * 0.8).astype(np.uint8)
        cv2.imwrite(f"{i}d.png", darker)
    lines = [f"{i}.png {i}d.png 1" for i in range(33)] + [f"{i}.png {(i + 1) % 33}d.png 0" for i in range(33)]
    Path("pairs.txt").write_text("\n".join(lines))
    arguments = [
        "export",
        str(best),
        "--name",
        "mine",
        "--pairs",
        "pairs.txt",
        "--aligned",
        "--json",
        "--quiet",
    ]
    done = CliRunner().invoke(app, [*arguments, "--threshold", "0.1", "--int8-weights"])
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert report["registered"] == ["mine", "mine_int8_weights"]
    assert [Path(file["path"]).name for file in report["files"]] == ["mine.onnx", "mine_int8_weights.onnx"]
    assert {row["batch"] for row in report["parity"]} == {1, 7, 32}
    assert not report["real_crops"] or "pairs" in report["crops"]
    torch_row, full, small = report["verification"]
    assert torch_row["model"] == "PyTorch" and full["largest_score_change"] < 1e-5
    assert small["largest_score_change"] > full["largest_score_change"]
    # The printed change, recomputed from the files alone.
    darker = np.stack([cv2.imread(f"{i}d.png") for i in range(33)])
    models = [open_model(name, device="cpu", detector=False) for name in report["registered"]]
    scores = [cosines(model.encode(crops), model.encode(darker)) for model in models]
    assert np.abs(scores[0] - scores[1]).max() <= small["largest_score_change"] + 1e-5
    pack = open_pack("mine")
    assert pack.threshold is not None and (pack.threshold.far, pack.threshold.impostor_pairs) == (0.1, 33)
    assert pack.license.weights == "unspecified" and "Nobody has stated" in pack.license.notice
    again = CliRunner().invoke(app, arguments)
    assert again.exit_code == 2 and "--overwrite" in again.output


def test_face_analysis_takes_the_folder_once_a_detector_lies_in_it(
    tmp_path: Path, exported: ExportReport, crops: NDArray[np.uint8]
) -> None:
    app = pytest.importorskip("insightface.app", reason="needs the insightface package")
    from types import SimpleNamespace

    folder = tmp_path / "models" / "ours"
    folder.mkdir(parents=True)
    assert exported.insightface is not None
    (folder / "ours.onnx").write_bytes(exported.insightface.read_bytes())
    write_detector(folder / "det.onnx")
    analysis = app.FaceAnalysis("ours", root=str(tmp_path), providers=["CPUExecutionProvider"])
    assert set(analysis.models) == {"detection", "recognition"}
    # A face whose landmarks are the template's: what insightface cuts is the crop itself.
    from facerec_cli.faces import open_model
    from facerec_cli.faces.align import template

    landmarks = template("arcface", (112, 112)).astype(np.float32)
    found = analysis.models["recognition"].get(crops[0], SimpleNamespace(kps=landmarks))
    ours = open_model(exported.files[0].path, device="cpu", detector=False).encode(crops[:1])[0]
    assert cosines(found[None], ours[None])[0] > 0.9999


def write_detector(path: Path) -> None:
    """The outside of an SCRFD, which is all that insightface looks at while loading."""
    from onnx import TensorProto, helper

    nodes, outputs = [], []
    for i, width in enumerate([1] * 3 + [4] * 3 + [10] * 3):
        name = f"out{i}"
        nodes.append(helper.make_node("ReduceMean", ["input"], [f"m{i}"], keepdims=0))
        nodes.append(helper.make_node("Expand", [f"m{i}", f"s{i}"], [name]))
        outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, width]))
    shapes = [
        onnx.numpy_helper.from_array(np.array([1, width], np.int64), f"s{i}")
        for i, width in enumerate([1] * 3 + [4] * 3 + [10] * 3)
    ]
    source = helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, 640, 640])
    graph = helper.make_graph(nodes, "det", [source], outputs, shapes)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(path))
