"""Checkpoints of other projects: the ir family's forward pass is written out here, by its own names."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from facerec_cli.backbones import build
from facerec_cli.backbones.layouts import LAYOUTS, convert
from facerec_cli.errors import ModelError, UsageError

STAGES, DEPTHS, D = (64, 128, 256, 512), (2, 2, 2, 2), 16


def ir_state(seed: int = 0) -> dict[str, Tensor]:
    """Random weights with the names and shapes of TFace's, AdaFace's and CVLface's ``ir_18``."""
    g = torch.Generator().manual_seed(seed)
    state: dict[str, Tensor] = {}

    def conv(name: str, out: int, into: int, size: int) -> None:
        state[f"{name}.weight"] = torch.randn(out, into, size, size, generator=g) / (into * size**2) ** 0.5

    def norm(name: str, channels: int, *, affine: bool = True) -> None:
        if affine:
            state[f"{name}.weight"] = torch.rand(channels, generator=g) + 0.5
            state[f"{name}.bias"] = torch.randn(channels, generator=g) * 0.1
        state[f"{name}.running_mean"] = torch.randn(channels, generator=g) * 0.1
        state[f"{name}.running_var"] = torch.rand(channels, generator=g) + 0.5
        state[f"{name}.num_batches_tracked"] = torch.tensor(7)

    conv("input_layer.0", 64, 3, 3)
    norm("input_layer.1", 64)
    state["input_layer.2.weight"] = torch.rand(64, generator=g) * 0.5
    into, number = 64, 0
    for channels, depth in zip(STAGES, DEPTHS, strict=True):
        for _ in range(depth):
            at = f"body.{number}"
            if into != channels:
                conv(f"{at}.shortcut_layer.0", channels, into, 1)
                norm(f"{at}.shortcut_layer.1", channels)
            norm(f"{at}.res_layer.0", into)
            conv(f"{at}.res_layer.1", channels, into, 3)
            norm(f"{at}.res_layer.2", channels)
            state[f"{at}.res_layer.3.weight"] = torch.rand(channels, generator=g) * 0.5
            conv(f"{at}.res_layer.4", channels, channels, 3)
            norm(f"{at}.res_layer.5", channels)
            into, number = channels, number + 1
    norm("output_layer.0", 512)
    state["output_layer.3.weight"] = torch.randn(D, 512 * 49, generator=g) * 0.01
    state["output_layer.3.bias"] = torch.randn(D, generator=g)
    norm("output_layer.4", D, affine=False)
    return state


def ir_forward(s: dict[str, Tensor], x: Tensor) -> Tensor:
    """What those projects' code computes: a shortcut of every second pixel where channels stay."""

    def norm(x: Tensor, name: str) -> Tensor:
        w, b = s.get(f"{name}.weight"), s.get(f"{name}.bias")
        return F.batch_norm(x, s[f"{name}.running_mean"], s[f"{name}.running_var"], w, b, eps=1e-5)

    x = F.prelu(
        norm(F.conv2d(x, s["input_layer.0.weight"], padding=1), "input_layer.1"), s["input_layer.2.weight"]
    )
    number = 0
    for depth in DEPTHS:
        for j in range(depth):
            at, stride = f"body.{number}", 2 if j == 0 else 1
            if f"{at}.shortcut_layer.0.weight" in s:
                short = F.conv2d(x, s[f"{at}.shortcut_layer.0.weight"], stride=stride)
                short = norm(short, f"{at}.shortcut_layer.1")
            else:
                short = F.max_pool2d(x, 1, stride)
            y = norm(
                F.conv2d(norm(x, f"{at}.res_layer.0"), s[f"{at}.res_layer.1.weight"], padding=1),
                f"{at}.res_layer.2",
            )
            y = F.prelu(y, s[f"{at}.res_layer.3.weight"])
            x = (
                norm(
                    F.conv2d(y, s[f"{at}.res_layer.4.weight"], stride=stride, padding=1), f"{at}.res_layer.5"
                )
                + short
            )
            number += 1
    flat = norm(x, "output_layer.0").flatten(1)
    return norm(F.linear(flat, s["output_layer.3.weight"], s["output_layer.3.bias"]), "output_layer.4")


@pytest.fixture(scope="module")
def ir() -> dict[str, Tensor]:
    return ir_state()


@pytest.mark.parametrize(
    ("project", "prefix", "color"),
    [("tface", "", "rgb"), ("adaface", "model.", "bgr"), ("cvlface", "net.", "rgb")],
)
def test_the_ir_family_gives_the_same_embeddings(
    ir: dict[str, Tensor], project: str, prefix: str, color: str
) -> None:
    document: dict[str, object] = {prefix + key: value for key, value in ir.items()}
    if project == "adaface":  # a Lightning checkpoint, with its training head
        document = {"state_dict": {**document, "head.kernel": torch.zeros(D, 9)}, "epoch": 25}
    imported = convert(document, project)
    assert (imported.backbone, imported.embedding_size, imported.color) == ("iresnet18", D, color)
    assert imported.ignored == (("head.kernel",) if project == "adaface" else ())
    backbone = build("iresnet18", D).eval()
    backbone.load_state_dict(imported.state)
    x = torch.rand(2, 3, 112, 112, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.inference_mode():
        found, expected = backbone(x).embeddings, ir_forward(ir, x)
    torch.testing.assert_close(found, expected, atol=2e-5 * float(expected.abs().max()), rtol=0)


@pytest.mark.parametrize("project", ("arcface_torch", "cvlface"))
def test_insightfaces_names_are_ours(project: str) -> None:
    state = build("iresnet18", D).state_dict()
    imported = convert({f"module.{key}": value for key, value in state.items()}, project)
    assert (imported.backbone, imported.color) == ("iresnet18", "rgb")
    assert all(torch.equal(imported.state[key], value) for key, value in state.items())


def test_every_depth_is_recognized() -> None:
    for name in ("iresnet18", "iresnet34", "iresnet50", "iresnet100", "iresnet200"):
        with torch.device("meta"):
            state = build(name, D).state_dict()
        assert convert(state, "arcface_torch").backbone == name


def test_keys_without_a_place_are_listed(ir: dict[str, Tensor]) -> None:
    with_se = {**ir, "body.0.res_layer.se_block.fc1.weight": torch.zeros(4, 64, 1, 1)}
    with pytest.raises(ModelError, match=r"1 unknown: body\.0\.res_layer\.se_block\.fc1\.weight") as fault:
        convert(with_se, "tface")
    assert "ir_se" in fault.value.hint
    lacking = {key: value for key, value in ir.items() if key != "output_layer.0.running_var"}
    with pytest.raises(ModelError, match=r"1 missing: bn2\.running_var"):
        convert(lacking, "tface")


def test_deeper_ir_networks_have_other_blocks(ir: dict[str, Tensor]) -> None:
    with pytest.raises(ModelError, match="block 0 is not a plain block"):
        convert({**ir, "body.0.res_layer.7.weight": torch.zeros(256, 64, 1, 1)}, "tface")


def test_a_checkpoint_of_another_project(ir: dict[str, Tensor]) -> None:
    with pytest.raises(ModelError, match="not laid out as by arcface_torch") as fault:
        convert(ir, "arcface_torch")
    assert "adaface" in fault.value.hint
    with pytest.raises(UsageError, match="no checkpoint layout 'adafase'") as usage:
        convert(ir, "adafase")
    assert "'adaface'" in usage.value.hint


@pytest.mark.parametrize("document", ({}, [1], {"epoch": 3}, {"fc.weight": torch.zeros(4, 4)}))
def test_what_holds_no_network(document: object) -> None:
    with pytest.raises(ModelError):
        convert(document, "arcface_torch")


def test_every_layout_says_its_color() -> None:
    assert {name: layout.color for name, layout in LAYOUTS.items()} == {
        "arcface_torch": "rgb", "tface": "rgb", "adaface": "bgr", "cvlface": "rgb"
    }  # fmt: skip


def test_training_starts_from_them_and_turns_bgr(tmp_path):
    """The trainer feeds RGB: a network of AdaFace's sees with its first kernels turned around."""
    from facerec_cli.training.config import BackboneSettings
    from facerec_cli.training.start import make_backbone, open_start

    state = ir_state()
    torch.save({"state_dict": {f"model.{key}": value for key, value in state.items()}}, tmp_path / "ada.ckpt")
    crops = torch.randn(2, 3, 112, 112, generator=torch.Generator().manual_seed(1))
    for layout, seen in (("tface:", crops), ("adaface:", crops.flip(1)), ("", crops)):
        start = open_start(BackboneSettings(init=f"{layout}{tmp_path / 'ada.ckpt'}"), "mobilefacenet")
        assert (start.backbone, start.embedding_size) == ("iresnet18", D)
        network = make_backbone(start, D).eval()
        with torch.no_grad():
            torch.testing.assert_close(
                network(crops).embeddings, ir_forward(state, seen), rtol=1e-4, atol=1e-4
            )
