"""How other projects lay out the same improved residual networks in their checkpoints.

Two families of names are in use, and four projects choose between them:

==============  ============================  ==========================================================
arcface_torch   ``layer1.0.conv1.weight``     insightface; our own names, so nothing is renamed
ir              ``body.0.res_layer.1.weight`` TFace, AdaFace and CVLface (``net.`` in front there)
==============  ============================  ==========================================================

They differ in one place beyond names: where insightface puts a 1 x 1 convolution into the shortcut of the
first block, the ir family takes every second pixel. That is the same convolution with an identity matrix
for a kernel, and this is how it is imported, so the outputs are equal. The ir family's last batch norm has
no scale and shift: ones and zeros.

Checked by running their code side by side with random weights (insightface 7fadd420, TFace 171ec143,
AdaFace c60eaa78, CVLface d3d09c93).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from facerec_cli.errors import ModelError
from facerec_cli.registry import unknown_name

_EPS = 1e-5

# name of a block's part in the ir family -> in ours
_IR_BLOCK = {
    "res_layer.0": "bn1",
    "res_layer.1": "conv1",
    "res_layer.2": "bn2",
    "res_layer.3": "prelu",
    "res_layer.4": "conv2",
    "res_layer.5": "bn3",
    "shortcut_layer.0": "downsample.0",
    "shortcut_layer.1": "downsample.1",
}
_IR_ENDS = {
    "input_layer.0": "conv1",
    "input_layer.1": "bn1",
    "input_layer.2": "prelu",
    "output_layer.0": "bn2",
    "output_layer.3": "fc",
    "output_layer.4": "features",
}
_DEPTHS: Mapping[tuple[int, ...], str] = {
    (2, 2, 2, 2): "iresnet18",
    (3, 4, 6, 3): "iresnet34",
    (3, 4, 14, 3): "iresnet50",
    (3, 13, 30, 3): "iresnet100",
    (6, 26, 60, 6): "iresnet200",
}
_STAGES = (64, 128, 256, 512)


@dataclass(frozen=True, slots=True)
class Layout:
    """A project's checkpoints.

    Attributes:
        color: Channel order that its networks are trained on.
        family: Whose module names it uses; "either" where the keys decide.
        source: Where the project is.
        paper: Reference of its method; empty where the project trains many.
    """

    color: Literal["rgb", "bgr"]
    family: Literal["arcface_torch", "ir", "either"]
    source: str
    paper: str = ""


LAYOUTS: Mapping[str, Layout] = {
    "arcface_torch": Layout("rgb", "arcface_torch", "insightface, recognition/arcface_torch"),
    "tface": Layout("rgb", "ir", "Tencent TFace, recognition"),
    "adaface": Layout("bgr", "ir", "AdaFace", "Kim et al., 2204.00964"),
    "cvlface": Layout("rgb", "either", "CVLface, models iresnet and iresnet_insightface"),
}


@dataclass(frozen=True, slots=True)
class Imported:
    """A foreign checkpoint in our names.

    Attributes:
        backbone: Key of ``registry.BACKBONES``.
        embedding_size: D.
        state: State dict of that backbone, complete.
        color: Channel order that the weights want.
        ignored: Keys of the checkpoint that are no part of the network (a training head, say).
        layout: Key of :data:`LAYOUTS`, or "" where the project was not named.
    """

    backbone: str
    embedding_size: int
    state: dict[str, Tensor]
    color: Literal["rgb", "bgr"]
    ignored: tuple[str, ...]
    layout: str


def convert(document: Any, layout: str = "", *, where: str = "The checkpoint") -> Imported:
    """Bring a foreign checkpoint into our names.

    Args:
        document: What ``training.checkpoint.read_tensors`` read: a state dict, or one inside a wrapper such
            as Lightning's. Prefixes of the keys such as ``module.`` and ``model.`` are understood.
        layout: Key of :data:`LAYOUTS`; "" goes by the names alone and assumes RGB.
        where: Names the checkpoint in messages.

    Raises:
        UsageError: There is no such layout.
        ModelError: Not such a network; the message lists the keys that are missing or have no place.
    """
    if layout and layout not in LAYOUTS:
        raise unknown_name(layout, list(LAYOUTS), "checkpoint layout")
    state = _state_dict(document, where)
    known = LAYOUTS.get(layout, Layout("rgb", "either", "unknown"))
    renamed, ignored = _network_keys(state)
    family = "ir" if any(key.startswith("body.") for key in renamed) else "arcface_torch"
    if known.family not in ("either", family):
        others = ", ".join(name for name, entry in LAYOUTS.items() if entry.family in ("either", family))
        raise ModelError(
            f"{where} is not laid out as by {layout}: its keys look like {next(iter(renamed), '')!r}.",
            hint=f"Projects with such keys: {others}.",
        )
    unknown: list[str] = []
    if family == "ir":
        renamed, unknown = _from_ir(renamed, where)
    return _complete(renamed, [*ignored], unknown, known, layout, where)


def projects(document: Any) -> tuple[str, ...]:
    """The keys of :data:`LAYOUTS` that name weights as this checkpoint does; none for anything else."""
    try:
        keys = list(_network_keys(_state_dict(document, ""))[0])
    except ModelError:
        return ()
    if any(re.match(r"body\.\d+\.res_layer\.", key) for key in keys):
        family = "ir"
    elif "layer1.0.conv1.weight" in keys and "features.running_mean" in keys:
        family = "arcface_torch"
    else:
        return ()
    return tuple(name for name, entry in LAYOUTS.items() if entry.family in ("either", family))


def _state_dict(document: Any, where: str) -> dict[str, Tensor]:
    """The tensors of a checkpoint, taken out of its wrapping."""
    for key in ("state_dict", "state_dict_backbone", "model", "backbone"):
        if isinstance(document, dict) and isinstance(document.get(key), dict):
            document = document[key]
    tensors = (
        {str(k): v for k, v in document.items() if isinstance(v, Tensor)}
        if isinstance(document, dict)
        else {}
    )
    if not tensors:
        raise ModelError(
            f"{where} holds no network weights by name.", hint="Give the file with the backbone's state dict."
        )
    return tensors


def _network_keys(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """Drop wrappers' prefixes and whatever does not belong to the network."""
    stripped = {re.sub(r"^((module|_orig_mod|model|net|backbone)\.)+", "", key): key for key in state}
    foreign = [
        old for new, old in stripped.items() if re.match(r"(head|classifier|loss|optimi[sz]er)\b", new)
    ]
    return {new: state[old] for new, old in stripped.items() if old not in foreign}, foreign


def _from_ir(state: Mapping[str, Tensor], where: str) -> tuple[dict[str, Tensor], list[str]]:
    """Rename the ir family's keys; also returns those without a place."""
    unknown: list[str] = []
    places = _block_places(state, where)
    renamed: dict[str, Tensor] = {}
    for key, value in state.items():
        match = re.fullmatch(r"body\.(\d+)\.((?:res|shortcut)_layer\.\d+)\.(\w+)", key)
        ends = re.fullmatch(r"((?:input|output)_layer\.\d+)\.(\w+)", key)
        if match and match[2] in _IR_BLOCK:
            renamed[f"{places[int(match[1])]}.{_IR_BLOCK[match[2]]}.{match[3]}"] = value
        elif ends and ends[1] in _IR_ENDS:
            renamed[f"{_IR_ENDS[ends[1]]}.{ends[2]}"] = value
        else:
            unknown.append(key)
    if "layer1.0.downsample.0.weight" not in renamed:
        renamed |= _identity_shortcut(_STAGES[0])
    if "features.running_mean" in renamed:
        ones = torch.ones_like(renamed["features.running_mean"])
        renamed.setdefault("features.weight", ones)
        renamed.setdefault("features.bias", torch.zeros_like(ones))
    return renamed, unknown


def _block_places(state: Mapping[str, Tensor], where: str) -> dict[int, str]:
    """Block number in ``body`` -> its name in ours, by the channels that the block gives."""
    kernels: dict[int, Tensor] = {}
    for key, value in state.items():
        if match := re.fullmatch(r"body\.(\d+)\.res_layer\.4\.weight", key):
            kernels[int(match[1])] = value
    counts = dict.fromkeys(_STAGES, 0)
    places = {}
    for number in sorted(kernels):
        kernel = kernels[number]
        bottleneck = f"body.{number}.res_layer.7.weight" in state
        if bottleneck or kernel.ndim != 4 or kernel.shape[0] not in counts:
            raise ModelError(
                f"{where}: block {number} is not a plain block of two 3 x 3 convolutions.",
                hint="The deeper ir_152 and ir_200 have bottleneck blocks, which are not supported.",
            )
        channels = kernel.shape[0]
        places[number] = f"layer{_STAGES.index(channels) + 1}.{counts[channels]}"
        counts[channels] += 1
    return places


def _identity_shortcut(channels: int) -> dict[str, Tensor]:
    """Taking every second pixel, as the 1 x 1 convolution of stride 2 and the batch norm that it equals."""
    norm = {"weight": 1.0, "bias": 0.0, "running_mean": 0.0, "running_var": 1.0 - _EPS}
    parts = {f"layer1.0.downsample.1.{part}": torch.full((channels,), value) for part, value in norm.items()}
    return {"layer1.0.downsample.0.weight": torch.eye(channels).reshape(channels, channels, 1, 1), **parts}


def _complete(
    state: dict[str, Tensor], ignored: list[str], unknown: list[str], known: Layout, layout: str, where: str
) -> Imported:
    """Find the depth, and hold the keys and shapes against the network's own."""
    from facerec_cli.backbones import build

    stages = [
        {int(m[1]) for key in state if (m := re.match(rf"layer{i}\.(\d+)\.", key))} for i in range(1, 5)
    ]
    depths = tuple(len(stage) for stage in stages)
    if depths not in _DEPTHS or "fc.weight" not in state or state["fc.weight"].ndim != 2:
        shown = ", ".join(list(state)[:3]) or ", ".join(unknown[:3]) or "none"
        raise ModelError(
            f"{where} holds no improved residual network that is known here: blocks {depths}; "
            f"its first keys: {shown}.",
            hint=f"Known depths: {', '.join(map(str, _DEPTHS))}.",
        )
    size = state["fc.weight"].shape[0]
    with torch.device("meta"):
        expected = build(_DEPTHS[depths], embedding_size=size).state_dict()
    counters = {key: torch.tensor(0) for key in expected if key.endswith("num_batches_tracked")}
    state = counters | state
    missing = [key for key in expected if key not in state]
    unknown += [key for key in state if key not in expected]
    wrong = [
        f"{key} {tuple(state[key].shape)} for {tuple(value.shape)}"
        for key, value in expected.items()
        if key in state and state[key].shape != value.shape
    ]
    if missing or unknown or wrong:
        parts = {"missing": missing, "unknown": unknown, "of the wrong shape": wrong}
        problems = "; ".join(f"{len(keys)} {what}: {_first(keys)}" for what, keys in parts.items() if keys)
        raise ModelError(
            f"{where} does not fit {_DEPTHS[depths]}: {problems}.",
            hint="Squeeze-and-excitation variants (ir_se) are not supported." if _has_se(unknown) else "",
        )
    plain = {key: state[key].float() if state[key].is_floating_point() else state[key] for key in expected}
    return Imported(_DEPTHS[depths], size, plain, known.color, tuple(ignored), layout)


def _has_se(keys: list[str]) -> bool:
    return any("se_block" in key for key in keys)


def _first(keys: list[str], count: int = 8) -> str:
    return ", ".join(keys[:count]) + (f" and {len(keys) - count} more" if len(keys) > count else "")
