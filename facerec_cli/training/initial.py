"""Where weights come from: fresh, a checkpoint of ours, the embedded SFace, another project's checkpoint."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from facerec_cli.backbones import Backbone, build
from facerec_cli.backbones.layouts import LAYOUTS, convert
from facerec_cli.errors import ModelError, UsageError
from facerec_cli.files import sha256_of
from facerec_cli.packs.resolve import open_pack
from facerec_cli.training import checkpoint
from facerec_cli.training.config import BackboneSettings

logger = logging.getLogger("facerec")
FRESH_SIZE = 512


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
    """Find what ``--init`` means: a file, a folder of a run, a pack, or ``LAYOUT:FILE``.

    Naming the layout (a key of ``layouts.LAYOUTS``) matters where the channel order is not RGB, as AdaFace's.

    Args:
        settings: The recipe's backbone table.
        default: Backbone where neither ``--init`` nor ``--backbone`` names one.

    Raises:
        ModelError: It cannot be read, or is no network of ours.
        UsageError: It is another backbone than ``--backbone``.
    """
    if not settings.init:
        size = settings.embedding_size or FRESH_SIZE
        return Start(settings.name or default, size, dict(settings.settings))
    path, layout = _file_of(settings.init)
    start = _from_pack(settings.init) if path is None else _from_file(path, layout)
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
    path, _ = _file_of(init)
    return sha256_of(open_pack(init).encoder_path if path is None else checkpoint.find(path))


def _file_of(init: str) -> tuple[Path | None, str]:
    """The file or folder that ``--init`` names, None for a pack; and the layout that it is said to have."""
    path = Path(init)
    layout, _, file = init.partition(":")
    if layout in LAYOUTS and not path.exists():
        return Path(file), layout
    return (path if path.exists() else None), ""


def make_backbone(start: Start, embedding_size: int) -> Backbone:
    """Build the network with its weights; another embedding size gets a fresh output layer.

    Raises:
        ModelError: The weights do not fit the network.
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
    problems = backbone.load_state_dict(state, strict=False)
    lacking = [k for k in problems.missing_keys if k not in fresh and not k.endswith("num_batches_tracked")]
    if lacking or problems.unexpected_keys:
        odd = (lacking or problems.unexpected_keys)[0]
        raise ModelError(
            f"The weights do not fit {start.backbone}: {odd} is {'missing' if lacking else 'unknown'}.",
            hint="Give --backbone and its settings as they were in the run that made them.",
        )
    return backbone


def interpolated(first: Mapping[str, Tensor], last: Mapping[str, Tensor], share: float) -> dict[str, Tensor]:
    """The state w0 + share (w1 - w0) of two networks of one shape (WiSE-FT, arXiv 2109.01903).

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
            hint="Use --init sface, a checkpoint of facerec train, or one of arcface_torch, TFace, AdaFace "
            "or CVLface (adaface:FILE).",
        ) from fault
    return Start("sface", pack.encoder.embedding_size, {"bn": False}, state)


def _from_file(path: Path, layout: str = "") -> Start:
    if path.suffix == ".onnx":
        raise ModelError(
            f"--init {path}: an ONNX file holds no trainable network.",
            hint="Use --init sface, a checkpoint of facerec train, or one of arcface_torch, TFace, AdaFace "
            "or CVLface (adaface:FILE).",
        )
    path = checkpoint.find(path)
    document = checkpoint.read_tensors(path)
    if isinstance(document, dict) and document.get("format") == checkpoint.FORMAT:
        backbone, info = checkpoint.load_backbone(path)
        return Start(info.backbone, info.embedding_size, dict(info.settings), backbone.state_dict())
    return _from_project(path, layout, document)


def _from_project(path: Path, layout: str, document: Any) -> Start:
    """A state dict of an improved residual network, of any project that ``backbones.layouts`` knows."""
    found = convert(document, layout, where=str(path))
    state = found.state
    if found.color == "bgr":  # training photos are RGB: turn the first kernels instead of every photo
        state["conv1.weight"] = state["conv1.weight"].flip(1)
    return Start(found.backbone, found.embedding_size, {}, state)
