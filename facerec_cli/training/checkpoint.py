"""Checkpoints: one file that appears at once, loads without unrestricted pickle, and fits any process count.

``last.pt`` continues a run bit for bit; ``best.pt`` holds the backbone alone, for export and ``--init``.

With one process ``last.pt`` holds everything. With several, every rank first writes its shard of the class
weights, with their moments, to ``last-STEP.rank-R.pt``; ``last.pt`` names those
files and is written last, so a crash at any point leaves the previous checkpoint whole.
"""

from __future__ import annotations

import pickle
import struct
import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from facerec_cli.backbones import Backbone, Preprocessing, build
from facerec_cli.errors import FacerecError, ModelError
from facerec_cli.files import atomic_write, sha256_of
from facerec_cli.sniff import HEAD, refuse_pointer
from facerec_cli.training.refusals import refused, script

FORMAT = "facerec-checkpoint"
VERSION = 1

# What torch's unpickler raises where it takes the bytes of something else for instructions; its messages are
# about its internals.
_UNPICKLING_FAULTS = (
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    struct.error,
)


@dataclass(frozen=True, slots=True)
class CheckpointInfo:
    """What a checkpoint says about the backbone in it.

    Attributes:
        backbone: Key of ``registry.BACKBONES``.
        settings: Settings of the backbone's constructor.
        embedding_size: D.
        preprocessing: How crops become its input.
        loss: Key of ``registry.LOSSES``.
        recipe: All settings of the run, as ``recipe.toml`` has them.
        data: What it was trained on, as the user named it.
        classes: People in that data.
        images: Photos in that data.
        init: Where the weights started ("" for fresh ones).
        epoch: Epochs done.
        step: Steps done.
        metrics: The last evaluation, name to value; empty where none was made.
        ema: Whether the weights are the EMA.
        sha256: Of the checkpoint file, in hexadecimal.
    """

    backbone: str
    settings: dict[str, Any]
    embedding_size: int
    preprocessing: Preprocessing
    loss: str
    recipe: dict[str, Any]
    data: str
    classes: int
    images: int
    init: str
    epoch: int
    step: int
    metrics: dict[str, float]
    ema: bool
    sha256: str


def load_backbone(path: Path | str) -> tuple[Backbone, CheckpointInfo]:
    """Rebuild the backbone of a checkpoint, on the CPU, in evaluation mode.

    Args:
        path: ``last.pt``, ``best.pt``, or a run's folder (its ``best.pt``, else ``last.pt``).

    Raises:
        ModelError: The file is missing, damaged, not a checkpoint of ours, or of a newer version.
    """
    path = find(Path(path))
    document = read(path)
    try:
        saved = document["backbone"]
        backbone = build(saved["name"], saved["embedding_size"], **saved["settings"])
        ema = document.get("ema")
        backbone.load_state_dict(saved["state"] if ema is None else ema)
        info = CheckpointInfo(
            backbone=saved["name"],
            settings=saved["settings"],
            embedding_size=saved["embedding_size"],
            preprocessing=_preprocessing(saved["preprocessing"]),
            loss=document["loss"]["name"],
            recipe=document["recipe"],
            data=document["data"]["name"],
            classes=document["data"]["classes"],
            images=document["data"]["images"],
            init=document["recipe"]["backbone"].get("init", ""),
            epoch=document["progress"]["epoch"],
            step=document["progress"]["step"],
            metrics=document["progress"]["metrics"],
            ema=ema is not None,
            sha256=sha256_of(path),
        )
    except (KeyError, TypeError, AttributeError, RuntimeError, FacerecError) as fault:
        reason = f"it lacks {fault}" if isinstance(fault, KeyError) else fault
        raise ModelError(
            f"{path} is not a complete checkpoint: {reason}.", hint="Use another one."
        ) from fault
    return backbone.eval(), info


def find(path: Path) -> Path:
    """The checkpoint that ``path`` means: itself, or the best (else the last) in a run's folder."""
    if path.is_dir():
        for name in ("best.pt", "last.pt"):
            if (path / name).is_file():
                return path / name
        raise ModelError(f"{path} holds no checkpoint.", hint="A run writes last.pt after its first epoch.")
    if not path.is_file():
        raise ModelError(
            f"There is no checkpoint {path}.", hint="Give a checkpoint that is there, or the folder of a run."
        )
    return path


def read(path: Path, *, mmap: bool = True) -> dict[str, Any]:
    """Read a checkpoint file; tensors stay on disk until they are used.

    Raises:
        ModelError: It is damaged, not ours, of a newer version, or holds anything but numbers and text.
    """
    document = read_tensors(path, mmap=mmap)
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ModelError(f"{path} is not a checkpoint of facerec.", hint="Give last.pt or best.pt of a run.")
    version = document.get("version")
    if not isinstance(version, int):
        raise ModelError(
            f"{path} is no complete checkpoint: its version is {version!r}.",
            hint="Use best.pt or last.pt of a run of this version.",
        )
    if version > VERSION:
        raise ModelError(
            f"{path} was written by a newer facerec ({document.get('facerec', 'unknown')}).",
            hint="Update: pip install -U 'facerec-cli[train]'",
        )
    return document


def read_tensors(path: Path, *, mmap: bool = True) -> Any:
    """What ``torch.save`` wrote to ``path``: tensors, numbers, text and their containers, nothing else.

    Raises:
        ModelError: It cannot be read, or a pickle in it asks for more than that.
    """
    with suppress(OSError), path.open("rb") as stream:  # which torch names better
        refuse_pointer(stream.read(HEAD), str(path), ModelError)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of TorchScript, which is refused below
            try:
                return torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
            except RuntimeError as fault:
                if not mmap or "TorchScript" in str(fault):
                    raise
                return torch.load(path, map_location="cpu", weights_only=True)  # before zip there is no map
    except pickle.UnpicklingError as fault:
        raise refused(path, fault) from fault
    except (OSError, RuntimeError) as fault:
        if "TorchScript" in str(fault):
            raise script(path) from fault
        reason = (str(fault).splitlines() or ["it is empty or torn"])[0]
        raise ModelError(
            f"{path} cannot be read as a checkpoint: {reason}.",
            hint="It is damaged or of another kind: use another one.",
        ) from fault
    except _UNPICKLING_FAULTS as fault:
        raise ModelError(
            f"{path} cannot be read as a checkpoint: it is empty, torn, or was not written by torch.save.",
            hint="Give last.pt or best.pt of a run, or take it from its source again.",
        ) from fault


def write(path: Path, document: Mapping[str, Any]) -> None:
    """Write a checkpoint file so that it appears at once: beside, to disk, then in place of the old one.

    Raises:
        OutputError: The disk is full or cannot be written; the previous file is untouched.
    """
    if path.exists():
        resume = "The previous one is kept: go on with --resume."
    else:
        resume = "Go on with --resume." if (path.parent / "last.pt").exists() else "Then start again."
    with atomic_write(path, what="checkpoint", hint=resume, sync_folder=True) as stream:
        torch.save(dict(document), stream)


def header(version: str) -> dict[str, Any]:
    """The first entries of every checkpoint."""
    return {"format": FORMAT, "version": VERSION, "facerec": version}


def describe_backbone(name: str, settings: Mapping[str, Any], backbone: Backbone) -> dict[str, Any]:
    """A backbone as a checkpoint holds it."""
    return {
        "name": name,
        "settings": dict(settings),
        "embedding_size": backbone.embedding_size,
        "preprocessing": {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(backbone.preprocessing).items()
        },
        "state": backbone.state_dict(),
    }


def _preprocessing(saved: Mapping[str, Any]) -> Preprocessing:
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in saved.items()}
    return Preprocessing(**values)
