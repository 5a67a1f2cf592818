"""The start of a run: where a backbone's weights come from, and what of it stays frozen.

Weights are fresh, or from a checkpoint of ours, the embedded SFace, or another project's checkpoint.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from facerec_cli.backbones import Backbone, build
from facerec_cli.backbones.layouts import LAYOUTS, convert
from facerec_cli.errors import ModelError, UsageError
from facerec_cli.files import sha256_of
from facerec_cli.packs.resolve import open_pack
from facerec_cli.registry import unknown_name
from facerec_cli.training import checkpoint
from facerec_cli.training.config import BackboneSettings, Recipe

logger = logging.getLogger("facerec")
_TRAINABLE = (
    "Use --init sface, a checkpoint of facerec train, or one of arcface_torch, TFace, AdaFace or CVLface "
    "(adaface:FILE)."
)
FRESH_SIZE = 512  # D of a backbone that starts without weights


@dataclass(frozen=True, slots=True)
class Start:
    """Weights to start from.

    Attributes:
        backbone: Key of ``registry.BACKBONES``.
        embedding_size: D of the weights.
        settings: Settings of the backbone's constructor.
        state: The weights; None for fresh ones.
    """

    backbone: str
    embedding_size: int
    settings: dict[str, Any]
    state: Mapping[str, Tensor] | None = None


def open_start(settings: BackboneSettings, default: str) -> Start:
    """Open what ``--init`` means: a file, a folder of a run, a pack, or ``LAYOUT:FILE``.

    Naming the layout (a key of ``layouts.LAYOUTS``) matters where the channel order is not RGB, as AdaFace's.

    Args:
        settings: The recipe's backbone table.
        default: Backbone where neither ``--init`` nor ``--backbone`` names one.

    Raises:
        ModelError: It cannot be read, or holds no backbone of ours.
        UsageError: It is another backbone than ``--backbone``.
    """
    if not settings.init:
        size = settings.embedding_size or FRESH_SIZE
        return Start(settings.name or default, size, dict(settings.settings))
    path, layout = file_of(settings.init)
    start = _from_pack(settings.init) if path is None else start_of_file(path, layout)
    if settings.name not in (None, start.backbone):
        raise UsageError(
            f"--init {settings.init} holds {start.backbone}, not {settings.name}.",
            hint=f"Leave --backbone out, or use --backbone {start.backbone}.",
        )
    return replace(start, settings={**start.settings, **settings.settings})


def start_hash(init: str) -> str:
    """sha256 of the file that ``--init`` means, so that another file of the same name is known; "" for none.

    Raises:
        ModelError: There is no such file or pack.
    """
    if not init:
        return ""
    path, _ = file_of(init)
    return sha256_of(open_pack(init).encoder_path if path is None else checkpoint.find(path))


def file_of(init: str) -> tuple[Path | None, str]:
    """The file or folder that a user names, None for a pack; and the layout that it is said to have."""
    path = Path(init)
    layout, _, file = init.partition(":")
    if layout in LAYOUTS and not path.exists():
        return Path(file), layout
    return (path if path.exists() else None), ""


def make_backbone(start: Start, embedding_size: int) -> Backbone:
    """Build the backbone with its weights, on the CPU; another embedding size gets a fresh output layer.

    Raises:
        ModelError: The weights do not fit the backbone.
    """
    backbone = build(start.backbone, embedding_size, **start.settings)
    if start.state is None:
        return backbone
    state = dict(start.state)
    fresh: list[str] = []
    if embedding_size != start.embedding_size:
        fresh = [key for key in state if key.split(".")[0] in backbone.output_layers()]
        state = {key: value for key, value in state.items() if key not in fresh}
        logger.warning(
            "the embedding size changes from %d to %d, so the output layer starts fresh",
            start.embedding_size,
            embedding_size,
        )
    keys = backbone.load_state_dict(state, strict=False)
    missing = [k for k in keys.missing_keys if k not in fresh and not k.endswith("num_batches_tracked")]
    if missing or keys.unexpected_keys:
        key = (missing or keys.unexpected_keys)[0]
        raise ModelError(
            f"The weights do not fit {start.backbone}: {key} is {'missing' if missing else 'unknown'}.",
            hint="Give --backbone and its settings as they were in the run that made them.",
        )
    return backbone


def freeze(backbone: Backbone, names: tuple[str, ...]) -> None:
    """Take modules out of training; ``all`` takes the whole backbone, and a weight may be named by itself.

    Raises:
        UsageError: There is no such module.
    """
    modules, weights = dict(backbone.named_modules()), dict(backbone.named_parameters())
    for name in names:
        if name in weights:  # position tables of vision transformers are in no module of their own
            weights[name].requires_grad_(False)
            continue
        if name != "all" and name not in modules:
            top = [key for key in modules if key and key.count(".") <= 1]
            raise unknown_name(name, [*top, "all"], "module to freeze")
        modules["" if name == "all" else name].requires_grad_(False)


def train_mode(backbone: Backbone, recipe: Recipe) -> None:
    """Switch to training; frozen modules, and with ``freeze_bn`` every BN, keep their statistics."""
    backbone.train()
    names = ["" if name == "all" else name for name in recipe.backbone.freeze]
    modules = dict(backbone.named_modules())
    frozen = [modules[name] for name in names if name in modules]
    for module in (m for part in frozen for m in part.modules()):
        module.eval()
    if recipe.backbone.freeze_bn:
        for module in backbone.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()


def interpolated(first: Mapping[str, Tensor], last: Mapping[str, Tensor], share: float) -> dict[str, Tensor]:
    """The state w0 + share (w1 - w0) of two networks of the same shape (WiSE-FT, arXiv 2109.01903).

    A network that is fine-tuned for hard photos forgets some of what it knew of easy ones; part of the way
    there it often has most of the gain and little of the loss.
    """
    return {
        name: torch.lerp(first[name], value, share) if value.is_floating_point() else value
        for name, value in last.items()
    }


def _from_pack(name: str) -> Start:
    from facerec_cli.backbones.sface import load_onnx

    pack = open_pack(name)
    try:
        state = load_onnx(pack.encoder_path)
    except ModelError as fault:
        raise ModelError(
            f"--init {name}: of the packs only those with SFace's network can be trained further.",
            hint=_TRAINABLE,
        ) from fault
    return Start("sface", pack.encoder.embedding_size, {"bn": False}, state)


def start_of_file(path: Path, layout: str = "") -> Start:
    """The network of a checkpoint, ours or another project's.

    Args:
        path: The file, or the folder of a run.
        layout: A key of ``layouts.LAYOUTS`` where the user has named it.

    Raises:
        ModelError: It cannot be read, or holds no backbone of ours.
        UsageError: A layout is named, but it is a checkpoint of ours.
    """
    if path.suffix == ".onnx":
        raise ModelError(
            f"--init {path}: an ONNX file holds no trainable network.",
            hint=_TRAINABLE,
        )
    path = checkpoint.find(path)
    document = checkpoint.read_tensors(path)
    if isinstance(document, dict) and document.get("format") == checkpoint.FORMAT:
        if layout:
            raise UsageError(
                f"{path} is a checkpoint of facerec, and {layout}: says that it is one of {layout}.",
                hint=f"Leave {layout}: out.",
            )
        backbone, info = checkpoint.load_backbone(path)
        return Start(info.backbone, info.embedding_size, dict(info.settings), backbone.state_dict())
    return _from_project(path, layout, document)


def _from_project(path: Path, layout: str, document: Any) -> Start:
    """A state dict of an improved residual network, of any project that ``backbones.layouts`` knows."""
    imported = convert(document, layout, where=str(path))
    state = imported.state
    if imported.color == "bgr":  # training photos are RGB: turn the first kernels instead of every photo
        state["conv1.weight"] = state["conv1.weight"].flip(1)
    return Start(imported.backbone, imported.embedding_size, {}, state)
