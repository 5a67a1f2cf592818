"""What a distillation learns from: the network of ``--init``, or that of ``--teacher``, of any architecture.

A teacher sees the clean crops of a batch, which are 112 x 112 pixels cut by the arcface template. One whose
manifest wants other crops gets them where they can be cut out of these, and is refused otherwise.
"""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from facerec_cli.backbones import Backbone
from facerec_cli.backbones.encoder import to_input
from facerec_cli.errors import ModelError, UsageError
from facerec_cli.faces.encoder import OnnxEncoder
from facerec_cli.files import sha256_of
from facerec_cli.packs.manifest import EncoderSpec
from facerec_cli.packs.resolve import open_pack
from facerec_cli.training import checkpoint
from facerec_cli.training.config import Recipe
from facerec_cli.training.loss_settings import loss_class
from facerec_cli.training.start import Start, file_of, make_backbone, start_hash, start_of_file

logger = logging.getLogger("facerec")

_CROP = 112  # pixels of the side of the crops that are trained on
_COLUMNS = {112: slice(None), 96: slice(8, 104)}  # of these crops, by the width that a teacher wants


class Teacher(Protocol):
    """A network that is never trained and says where each photo should be embedded.

    Attributes:
        name: What the user calls it.
        embedding_size: D.
        sha256: Of its file, and of how it is fed; in hexadecimal.
        nbytes: Of its weights.
    """

    name: str
    embedding_size: int
    sha256: str
    nbytes: int

    def embed(self, clean: Tensor, dtype: torch.dtype) -> Tensor:
        """Embed crops.

        Args:
            clean: (B, 3, 112, 112) uint8 RGB, anywhere.
            dtype: Of autocast.

        Returns:
            (B, D), on the device of the run, without a gradient.
        """


class TorchTeacher:
    """A backbone of ours as a teacher: of a checkpoint, or the network of ``--init`` as it was.

    Args:
        start: Its weights.
        name: What the user calls it.
        sha256: Of its file.
        device: Of the run.

    Raises:
        ModelError: The weights do not fit the backbone, or it wants crops of another size.
    """

    def __init__(self, start: Start, name: str, sha256: str, device: torch.device) -> None:
        self.backbone: Backbone = make_backbone(start, start.embedding_size).requires_grad_(False).eval()
        self.backbone.to(device)
        if self.backbone.preprocessing.size != (_CROP, _CROP):
            raise _other_crops(name, self.backbone.preprocessing.size)
        self.name, self.sha256, self.embedding_size = name, sha256, start.embedding_size
        self.nbytes = sum(t.nbytes for t in self.backbone.state_dict().values())
        self._device = device

    @torch.no_grad()
    def embed(self, clean: Tensor, dtype: torch.dtype) -> Tensor:
        """See :class:`Teacher`; in the number format of the run."""
        clean = clean.to(self._device, non_blocking=True)
        with torch.autocast(self._device.type, dtype, enabled=dtype != torch.float32):
            embeddings: Tensor = self.backbone(to_input(clean, self.backbone.preprocessing)).embeddings
        return embeddings


class PackTeacher:
    """A pack or an ONNX file as a teacher, run by ONNX Runtime and fed as its manifest says.

    On a GPU the crops go by way of the CPU, for which the step waits.

    Args:
        spec: The manifest's encoder table.
        path: Its ONNX file.
        name: What the user calls it.
        device: Of the run.

    Raises:
        ModelError: The file cannot be run, or wants crops that cannot be cut out of those at hand.
    """

    def __init__(self, spec: EncoderSpec, path: Path, name: str, device: torch.device) -> None:
        width, height = spec.input_size
        if spec.template != "arcface" or height != _CROP or width not in _COLUMNS:
            raise _other_crops(name, spec.input_size, spec.template)
        on_cpu = device.type == "cpu"
        threads = torch.get_num_threads() if on_cpu else None
        # On the GPU of this process: ONNX Runtime also makes the one it uses the thread's current one.
        gpu = device.index or 0
        self._encoder = OnnxEncoder(spec, path, device="cpu" if on_cpu else "auto", threads=threads, gpu=gpu)
        if not on_cpu and self._encoder.network.device == "cpu":
            logger.warning("the teacher %s runs on the CPU, as ONNX Runtime here knows no other device", name)
        self.name, self.embedding_size = name, spec.embedding_size
        fed = {key: value for key, value in asdict(spec).items() if key not in ("file", "sha256")}
        said = json.dumps([sha256_of(path), fed], sort_keys=True)
        self.sha256 = hashlib.sha256(said.encode()).hexdigest()
        self.nbytes = path.stat().st_size
        self._columns, self._device = _COLUMNS[width], device

    def embed(self, clean: Tensor, dtype: torch.dtype) -> Tensor:
        """See :class:`Teacher`; in float32, whatever ``dtype``."""
        rgb = clean.cpu().numpy().transpose(0, 2, 3, 1)[:, :, self._columns]
        vectors = self._encoder.encode(np.ascontiguousarray(rgb[..., ::-1]))
        return torch.from_numpy(vectors).to(self._device)


def distils(recipe: Recipe) -> bool:
    """Whether a run needs a teacher.

    Raises:
        UsageError: It does not, but one is named.
    """
    needed = loss_class(recipe.loss.name).needs_target or recipe.loss.distill > 0
    if recipe.backbone.teacher and not needed:
        raise UsageError(
            f"Nothing of this run learns from --teacher {recipe.backbone.teacher}.",
            hint="Add --loss distill, or --set loss.distill=10 beside another loss.",
        )
    return needed


def open_teacher(recipe: Recipe, start: Start, device: torch.device) -> Teacher:
    """Open what a distillation learns from.

    Args:
        recipe: What the user set.
        start: What the network that is trained starts from.
        device: Of the run.

    Raises:
        ModelError: There is no such network, it cannot be run, or wants other crops.
        UsageError: Nothing is named, its embeddings have another size than those of the network that is
            trained, or hard photos are given.
    """
    if recipe.data.hard:
        raise UsageError(
            "Distillation makes its hard photos from --data, so that it knows the clean ones.",
            hint="Leave --hard-data out; data.degradations names what is done to the photos.",
        )
    backbone, name = recipe.backbone, recipe.backbone.teacher
    if not name:
        if start.state is None:
            raise UsageError(
                "Distillation pulls photos to what a trained network thinks of them, and none is named.",
                hint="Add --teacher sface, or a checkpoint; or --init sface, which pulls photos made hard to "
                "what the network thought of them before.",
            )
        if backbone.embedding_size not in (None, start.embedding_size):
            raise UsageError(
                f"Distillation keeps the embedding size of --init, {start.embedding_size}.",
                hint="Leave --embedding-size out.",
            )
        return TorchTeacher(start, backbone.init, start_hash(backbone.init), device)
    teacher = _open(name, device)
    fixed = backbone.embedding_size or (None if start.state is None else start.embedding_size)
    if fixed not in (None, teacher.embedding_size):
        whose = "--embedding-size is" if backbone.embedding_size else f"--init {backbone.init} gives"
        raise UsageError(
            f"A teacher of another size: --teacher {name} gives embeddings of {teacher.embedding_size} "
            f"numbers, and {whose} {fixed}; there is no cosine between them.",
            hint=f"Use --embedding-size {teacher.embedding_size}"
            + ("." if backbone.embedding_size else ", with which the output layer of --init starts fresh."),
        )
    return teacher


def _open(name: str, device: torch.device) -> Teacher:
    """A checkpoint, the folder of a run, a pack's folder or name, or an ONNX file."""
    path, layout = file_of(name)
    if layout or (path is not None and path.suffix != ".onnx" and not _is_pack(path)):
        assert path is not None
        return TorchTeacher(start_of_file(path, layout), name, sha256_of(checkpoint.find(path)), device)
    pack = open_pack(name)
    return PackTeacher(pack.encoder, pack.encoder_path, name, device)


def _is_pack(path: Path) -> bool:
    """Whether a folder is a model's and not a run's."""
    return path.is_dir() and not any((path / name).is_file() for name in ("best.pt", "last.pt"))


def _other_crops(name: str, size: tuple[int, int], template: str = "arcface") -> ModelError:
    return ModelError(
        f"--teacher {name} wants crops of {size[0]} x {size[1]} pixels by the template {template!r}, and "
        f"those that are trained on have {_CROP} x {_CROP} by 'arcface'.",
        hint="Other crops than a network was trained for give embeddings of another quality: take a teacher "
        "of 112 x 112 or 96 x 112.",
    )
