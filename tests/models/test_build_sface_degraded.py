"""A fine-tuned SFace becomes an embedded pack: the same graph with other weights, beside the default."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from facerec_cli.backbones.sface import SFace, load_onnx
from facerec_cli.metrics.evaluate import evaluate
from facerec_cli.metrics.thresholds import choose
from facerec_cli.packs import catalog as catalog_module
from facerec_cli.packs.catalog import catalog
from facerec_cli.packs.model_card import model_card
from facerec_cli.packs.resolve import open_pack
from facerec_cli.training.config import BackboneSettings
from facerec_cli.training.start import open_start


@pytest.fixture(scope="module")
def program(repository: Path) -> ModuleType:
    path = repository / "models" / "build_sface_degraded.py"
    spec = importlib.util.spec_from_file_location("build_sface_degraded", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["build_sface_degraded"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def first() -> dict[str, torch.Tensor]:
    """The weights of the default pack."""
    return load_onnx(open_pack("pack:sface").encoder_path)


@pytest.fixture(scope="module")
def tuned(first: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """They, moved a little from the third unit on."""
    random = torch.Generator().manual_seed(0)
    return {
        name: value
        if name.startswith(("body.conv_1.", "body.conv_2"))
        else value + 0.02 * value.std() * torch.randn(value.shape, generator=random)
        for name, value in first.items()
    }


def numpy_of(state: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    return {name: value.double().numpy() for name, value in state.items()}


def base() -> onnx.ModelProto:
    return onnx.load(str(open_pack("pack:sface").encoder_path))


def weights(model: onnx.ModelProto) -> dict[str, bytes]:
    return {entry.name: onnx.numpy_helper.to_array(entry).tobytes() for entry in model.graph.initializer}


def test_the_same_weights_give_the_same_bytes(
    program: ModuleType, first: dict[str, torch.Tensor], tuned: dict[str, torch.Tensor]
) -> None:
    was = weights(base())
    same = weights(program.build(numpy_of(first), base(), "int8"))
    blocks = [name for name in was if name.endswith((".q", ".zero", ".scale", ".slope"))]
    assert len(blocks) > 80 and all(same[name] == was[name] for name in blocks if ".prelu" not in name)
    moved = {
        name
        for name, value in weights(program.build(numpy_of(tuned), base(), "int8")).items()
        if value != was[name]
    }
    assert "conv_3_conv2d.weight.q" in moved and "embedding.weight.q" in moved
    assert not [name for name in moved if name.startswith(("conv_1_", "conv_2_"))]


@pytest.mark.parametrize(
    ("storage", "least"), [("float32", 0.999999), ("float16", 0.99999), ("mixed", 0.9999), ("int8", 0.998)]
)
def test_the_graph_computes_what_was_trained(
    program: ModuleType,
    first: dict[str, torch.Tensor],
    tuned: dict[str, torch.Tensor],
    storage: str,
    least: float,
) -> None:
    images = torch.rand(4, 3, 112, 112, generator=torch.Generator().manual_seed(1)) * 255
    rows = {}
    for name, state in (("first", first), ("tuned", tuned)):
        network = SFace(bn=False).eval()
        network.load_state_dict(state)
        with torch.no_grad():
            rows[name] = network(images).embeddings.numpy()
    model = program.build(numpy_of(tuned), base(), storage)
    if storage == "mixed":
        kinds = {entry.name: entry.data_type for entry in model.graph.initializer}
        assert kinds["embedding.weight.q"] == kinds["conv_2_conv2d.weight.q"] == onnx.TensorProto.INT8
        assert kinds["conv_3_conv2d.weight.f16"] == onnx.TensorProto.FLOAT16
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"input": images.numpy()})

    def cosines(one: np.ndarray, two: np.ndarray) -> np.ndarray:
        return (one * two).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(two, axis=1)

    assert cosines(found, rows["tuned"]).min() > least
    assert cosines(found, rows["first"]).max() < 0.997  # it is not the network that it came from


def test_the_pack_is_found_beside_the_default_one(
    program: ModuleType, tuned: dict[str, torch.Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, random = tmp_path / "run", np.random.default_rng(0)
    run.mkdir()
    (run / "last.pt").write_bytes(b"a checkpoint")
    monkeypatch.setattr(program, "read_state", lambda path, share: numpy_of(tuned))
    (run / "recipe.toml").write_text(
        '[loss]\nname = "epl"\ndistill = 30.0\ndistill_hard = false\n[run]\nbatch_size = 32\n'
        "seed = 0\n[schedule]\nsteps = 80\n"
        '[data]\ndegraded = 0.5\ndegradations = ["occlusion"]\nversions = ["runs/hard/0"]\n'
    )
    people = np.repeat(np.arange(60), 3)
    rows = random.normal(size=(60, 128))[people] + random.normal(size=(180, 128))
    unit = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    monkeypatch.setattr(program, "embed", lambda model, photos: (unit, people))

    room = tmp_path / "packs"
    default = open_pack("pack:sface")
    room.mkdir()
    (room / "sface").symlink_to(default.folder)
    written = program.write(room / program.NAME, run, 0.5, tmp_path, "mixed")
    monkeypatch.setattr(catalog_module, "embedded_packs", lambda: room)
    pack = open_pack("sface-degraded")
    assert pack.encoder.sha256 == written.encoder.sha256 and pack.detector is None
    assert open_pack().name == "sface"
    assert [(e.name, e.status, e.commercial) for e in catalog()][:2] == [
        ("sface", "embedded", True),
        ("sface-degraded", "embedded", False),
    ]
    scores = (unit @ unit.T)[np.arange(180)[:, None] // 3 != np.arange(180) // 3]
    assert pack.threshold is not None and pack.threshold.impostor_pairs == scores.size // 2
    assert (scores > pack.threshold.value).mean() == pytest.approx(1e-3, abs=2e-4)
    first, second = np.triu_indices(180, 1)
    chosen = choose(evaluate((unit @ unit.T)[first, second], first // 3 == second // 3), 1e-3)
    assert pack.threshold.value == round(chosen.value, 3)  # by the rule of cards and exports
    card = model_card(pack)
    for text in (
        "Labeled Faces in the Wild",
        "30, clean photos",
        "0.5 of them: whole photos before detection, occlusion",
        "research",
        "50",
        "0.5 of the way",
        "Commercial use | not allowed",
    ):
        assert text in card
    start = open_start(BackboneSettings(init="sface-degraded"), "")
    assert start.backbone == "sface" and start.state is not None
    change = start.state["pre_fc1.weight"] - tuned["pre_fc1.weight"]
    assert change.abs().max() < 0.02 * tuned["pre_fc1.weight"].abs().max()


def test_the_network_is_part_of_the_way(
    program: ModuleType,
    first: dict[str, torch.Tensor],
    tuned: dict[str, torch.Tensor],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = SFace(bn=False)
    network.load_state_dict(tuned)
    info = SimpleNamespace(backbone="sface")
    monkeypatch.setattr("facerec_cli.training.checkpoint.load_backbone", lambda path: (network, info))
    found = program.read_state(Path("run"), 0.25)["pre_fc1.weight"]
    expected = 0.75 * first["pre_fc1.weight"] + 0.25 * tuned["pre_fc1.weight"]
    assert np.abs(found - expected.double().numpy()).max() < 1e-6
    info.backbone = "iresnet50"
    with pytest.raises(SystemExit, match="not a fine-tuned sface"):
        program.read_state(Path("run"), 0.25)


def test_clean_pairs_are_of_two_people_who_are_tested(program: ModuleType, tmp_path: Path) -> None:
    split, lfw = tmp_path / "split.json", tmp_path / "lfw"
    people = [f"Person_{i}" for i in range(30)]
    for person in people:
        (lfw / "images" / person).mkdir(parents=True)
        for photo in range(1, 5):
            (lfw / "images" / person / f"{person}_{photo:04}.jpg").touch()
    rows = ["1\t3", "Person_0\t1\t2", "Person_20\t1\t2", "Person_21\t3\t4"]
    rows += ["Person_0\t1\tPerson_20\t2", "Person_20\t1\tPerson_21\t2", "Person_1\t1\tPerson_2\t2"]
    (lfw / "pairs.txt").write_text("\n".join(rows) + "\n")
    split.write_text(json.dumps({"people": {"train": people[:20], "test": people[20:]}}))
    lists = program.heldout_lists(lfw, split)
    assert lists["view2"].splitlines() == [
        "Person_20/Person_20_0001.jpg\tPerson_20/Person_20_0002.jpg\t1",
        "Person_21/Person_21_0003.jpg\tPerson_21/Person_21_0004.jpg\t1",
        "Person_20/Person_20_0001.jpg\tPerson_21/Person_21_0002.jpg\t0",
    ]
    drawn = [line.split("\t") for line in lists["drawn"].splitlines()]
    assert {side.split("/")[0] for row in drawn for side in row[:2]} == set(people[20:])
    for one, two, same in drawn:
        assert (one.split("/")[0] == two.split("/")[0]) == (same == "1") and (lfw / "images" / one).is_file()
