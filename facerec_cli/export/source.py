"""What can be exported: a checkpoint of ours, or one of another project's improved residual networks."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from facerec_cli.backbones import Backbone, Preprocessing, build
from facerec_cli.backbones.layouts import LAYOUTS, convert, projects
from facerec_cli.errors import ModelError, UsageError
from facerec_cli.packs.manifest import Provenance
from facerec_cli.registry import unknown_name
from facerec_cli.training import checkpoint
from facerec_cli.training.compose import parse_recipe
from facerec_cli.training.start import interpolated, make_backbone, open_start

log = logging.getLogger("facerec")

# The parts of a recipe that say how a network was trained; the others name folders of the machine.
_RECIPE_TABLES = ("loss", "optimizer", "schedule")


@dataclass(frozen=True, slots=True)
class Source:
    """A network to export, and what is known about it.

    Attributes:
        backbone: On the CPU, in evaluation mode.
        preprocessing: How crops become its input.
        description: One line.
        provenance: Origin.
        facts: How it was trained, for the manifest.
        data: The training data sets as the user named them; empty where they are not known.
        code_license: License of the code that trained it.
    """

    backbone: Backbone
    preprocessing: Preprocessing
    description: str
    provenance: Provenance
    facts: dict[str, str]
    data: tuple[str, ...]
    code_license: str


def open_source(
    path: Path,
    *,
    layout: str = "",
    color: Literal["rgb", "bgr"] | None = None,
    data_name: str = "",
    interpolate: float = 1.0,
) -> Source:
    """Open a checkpoint.

    Args:
        path: A checkpoint of ``facerec train`` or a run's folder; with ``layout`` another project's file.
        layout: Key of ``backbones.layouts.LAYOUTS``, "" for ours.
        color: Channel order that a foreign network wants, where it is not its project's usual one.
        data_name: What to call the training data.
        interpolate: How far to go from the weights that the run started from, above 0, to its own, 1.

    Raises:
        ModelError: It cannot be used; the message says why.
        UsageError: ``layout`` is unknown, ``color`` is given for a checkpoint of ours, or ``interpolate``
            for one that did not start from weights of its shape.
    """
    if path.suffix.lower() == ".onnx":
        raise ModelError(
            f"{path} is an ONNX file already.", hint="facerec models add gives it a name and a manifest."
        )
    if layout and layout not in LAYOUTS:
        raise unknown_name(layout, list(LAYOUTS), "project for --from called")
    if layout and interpolate != 1:
        raise UsageError("--interpolate is for runs of facerec train.", hint="Leave it out.")
    if layout:
        return _foreign(path, layout, color, data_name)
    if color:
        raise UsageError(
            "--color is for checkpoints of other projects.", hint="Ours say themselves what they want."
        )
    return _ours(path, data_name, interpolate)


def _ours(path: Path, data_name: str, interpolate: float) -> Source:
    last = path.with_name("last.pt")
    if path.name == "best.pt" and not path.exists() and last.exists():
        log.warning("the run has not finished and has no %s yet; exporting %s", path.name, last)
        path = last
    _refuse_foreign(checkpoint.find(path))
    backbone, info = checkpoint.load_backbone(path)
    data = data_name or _data_name(info)
    recipe = {key: info.recipe[key] for key in _RECIPE_TABLES if key in info.recipe}
    facts = {
        "backbone": info.backbone,
        "loss": info.loss,
        "recipe": json.dumps(recipe, sort_keys=True),
        "data": data,
        "classes": str(info.classes),
        "images": str(info.images),
        "epoch": str(info.epoch),
        "step": str(info.step),
        "checkpoint_sha256": info.sha256,
    }
    if info.init:
        facts["init"] = _last_part(info.init)
    if interpolate != 1:
        _go_back(backbone, info, interpolate)
        facts["interpolate"] = f"{interpolate:g}"
    return Source(
        backbone=backbone,
        preprocessing=info.preprocessing,
        description=f"{info.backbone} trained with {info.loss} on {data or 'unnamed data'}",
        provenance=Provenance(source="facerec train", training_data=data or "unknown"),
        facts=facts,
        data=_data_sets(info),
        code_license="Apache-2.0",
    )


def _refuse_foreign(path: Path) -> None:
    """Say of another project's checkpoint whose it seems to be, where nobody has said it."""
    document = checkpoint.read_tensors(path)
    if isinstance(document, dict) and document.get("format") == checkpoint.FORMAT:
        return
    names = projects(document)
    if names:
        others = f", or if it is theirs: {', '.join(f'--from {name}' for name in names[1:])}"
        raise ModelError(
            f"{path} is not a checkpoint of facerec; its weights have the names of {names[0]}.",
            hint=f"Add --from {names[0]}{others if names[1:] else ''}. AdaFace's want BGR, the others RGB.",
        )
    raise ModelError(
        f"{path} is not a checkpoint of facerec.",
        hint="Give last.pt or best.pt of a run. Of other projects these can be read, with --from: "
        f"{', '.join(LAYOUTS)}.",
    )


def _go_back(backbone: Backbone, info: checkpoint.CheckpointInfo, share: float) -> None:
    """Move the weights back towards those that the run started from."""
    if not 0 < share < 1:
        raise UsageError(
            f"--interpolate {share:g} is no point between the first weights (0) and the trained ones (1).",
            hint="Use a number above 0, at most 1.",
        )
    settings = parse_recipe({"backbone": info.recipe["backbone"]}, "the checkpoint").backbone
    start = open_start(settings, info.backbone)
    if start.state is None or start.embedding_size != info.embedding_size:
        raise UsageError(
            "--interpolate needs a run that started from weights with embeddings of the same size.",
            hint="Leave it out, or train with --init.",
        )
    first = make_backbone(start, info.embedding_size).state_dict()
    backbone.load_state_dict(interpolated(first, backbone.state_dict(), share))


def _foreign(path: Path, layout: str, color: Literal["rgb", "bgr"] | None, data_name: str) -> Source:
    if not path.is_file():
        raise ModelError(f"There is no checkpoint {path}.", hint=f"Give the file of weights of {layout}.")
    imported = convert(checkpoint.read_tensors(path), layout, where=str(path))
    backbone = build(imported.backbone, embedding_size=imported.embedding_size)
    backbone.load_state_dict(imported.state)
    known = LAYOUTS[layout]
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return Source(
        backbone=backbone.eval(),
        preprocessing=dataclasses.replace(backbone.preprocessing, color=color or imported.color),
        description=f"{imported.backbone} from a checkpoint of {layout}",
        provenance=Provenance(
            source=f"{path.name}, laid out as by {known.source}",
            training_data=data_name or "unknown",
            paper=known.paper,
        ),
        facts={
            "backbone": imported.backbone,
            "layout": layout,
            "loss": "unknown",
            "data": data_name or "unknown",
            "checkpoint_sha256": digest,
        },
        data=(),
        code_license="unknown",
    )


def _data_name(info: checkpoint.CheckpointInfo) -> str:
    """What it was trained on, without folders; of several data sets each."""
    return " + ".join(map(_last_part, _data_sets(info)))


def _data_sets(info: checkpoint.CheckpointInfo) -> tuple[str, ...]:
    """Each data set as the user named it."""
    paths = info.recipe.get("data", {}).get("path")
    return tuple(paths) if isinstance(paths, list | tuple) else (info.data,)


def _last_part(name: str) -> str:
    """The name of a folder or file without the folders around it, which are nobody's business."""
    return name if name.startswith("synthetic:") else Path(name).name
