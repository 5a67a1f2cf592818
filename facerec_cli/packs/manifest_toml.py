"""Manifests as documents: the tables of a ``pack.toml``, one to one the dataclasses of ``manifest.py``.

A pack folder holds ``pack.toml`` and the ONNX files that it names. The same document, as JSON, is what an
exported ``.onnx`` carries in its metadata (``metadata.py``)::

    schema = 2                          # of this layout; a newer one is refused
    name = "sface"                      # ModelPack
    description = "SFace, 128 numbers a face, with the YuNet detector"
    urls = []                           # where it can be pulled from, best first

    [license]                           # License
    code = "Apache-2.0"
    weights = "Apache-2.0"
    commercial = true
    files = ["LICENSE.sface"]
    notice = ""

    [provenance]                        # Provenance
    source = "..."
    training_data = "..."
    paper = "..."

    [encoder]                           # EncoderSpec
    file = "sface.onnx"
    sha256 = "64 hexadecimal digits, or empty where the source publishes none"
    embedding_size = 128
    input_size = [112, 112]             # (width, height)
    color = "rgb"
    mean = [0.0, 0.0, 0.0]
    std = [1.0, 1.0, 1.0]
    template = "arcface"
    normalized = false
    layout = "nchw"
    output_name = "embedding"           # only where the file has several outputs that could be it

    [detector]                          # DetectorSpec; leave the table out to use the default pack's
    kind = "yunet"
    file = "yunet.onnx"
    sha256 = "..."
    color = "bgr"
    mean = [0.0, 0.0, 0.0]
    std = [1.0, 1.0, 1.0]
    min_score = 0.6
    nms_iou = 0.3
    input_size = [640, 640]             # only where the file fixes it

    [threshold]                         # Threshold; leave the table out where nobody has measured one
    value = 0.363
    far = 0.001
    data = "LFW, 6,000 pairs, no flip"
    impostor_pairs = 3000

    [training]                          # free text facts
    loss = "otface"

Keys with a default in ``manifest.py`` may be left out. Unknown keys, wrong types and values out of range
are refused: a misspelt ``color`` must never become a silent loss of accuracy. Manifests of schema 1 say
``colour``, ``normalised`` and ``licence``, which are still read (``spelling.py``).
"""

from __future__ import annotations

import dataclasses
import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w

from facerec_cli.errors import ModelError
from facerec_cli.files import write_file
from facerec_cli.packs import readers as read
from facerec_cli.packs.manifest import (
    MAX_SIZE,
    MIN_SIZE,
    DetectorSpec,
    EncoderSpec,
    License,
    ModelPack,
    Provenance,
)
from facerec_cli.registry import DETECTORS
from facerec_cli.threshold import Threshold

SCHEMA = 2  # 1 had the other spelling of color, normalized and license; both are read
MANIFEST = "pack.toml"
EVALUATIONS = "evaluations"  # folder in a pack's folder with what `facerec verify --json` printed
MAX_MANIFEST_BYTES = 1 << 20

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def read_manifest(folder: Path) -> ModelPack:
    """Read ``folder``/pack.toml.

    Raises:
        ModelError: The manifest is missing, unreadable, not TOML or not valid.
    """
    path = folder / MANIFEST
    try:
        if path.stat().st_size > MAX_MANIFEST_BYTES:
            raise ModelError(
                f"{path} is larger than {MAX_MANIFEST_BYTES:,} bytes; that is no manifest.",
                hint="Name a folder with a pack.toml.",
            )
        return parse_manifest(path.read_text(encoding="utf-8"), folder, where=str(path))
    except FileNotFoundError as fault:
        raise ModelError(
            f"{folder} has no {MANIFEST}, so it is not a model pack.", hint="Name a folder with a pack.toml."
        ) from fault
    except UnicodeDecodeError as fault:
        raise ModelError(f"{path} is not UTF-8 text.", hint="Save it as UTF-8.") from fault
    except OSError as fault:
        raise ModelError(f"{path} cannot be read: {fault.strerror}.", hint="Make it readable.") from fault


def parse_manifest(text: str, folder: Path, *, where: str) -> ModelPack:
    """Read the TOML ``text`` of a manifest; ``where`` names it in messages."""
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as fault:  # also a number of 5,000 digits, and brackets without end
        raise ModelError(
            f"{where} is not valid TOML: {fault}.", hint="Correct it; docs/models.md has a whole one."
        ) from fault
    return from_document(document, folder, where=where)


def write_manifest(pack: ModelPack, folder: Path | None = None) -> Path:
    """Write ``pack``'s manifest into ``folder`` (default: its own), at once; returns the file."""
    path = (folder or pack.folder) / MANIFEST
    text = _short_lists(tomli_w.dumps(to_document(pack)))
    from_document(tomllib.loads(text), path.parent, where=str(path))  # never write what we would refuse
    write_file(path, text.encode())
    return path


def _short_lists(text: str) -> str:
    """Put lists of numbers, which the writer spreads over lines, on one line each."""
    return re.sub(
        r"= \[\n((?: +[-+.\de]+,\n)+)\]", lambda m: f"= [{', '.join(m[1].replace(',', '').split())}]", text
    )


def to_document(pack: ModelPack, *, schema: int = SCHEMA) -> dict[str, Any]:
    """The manifest as plain tables, lists, texts and numbers; what is None or empty is left out.

    Args:
        pack: The pack.
        schema: The layout; of older ones 1, which differs in the spelling of three keys.
    """
    values = dataclasses.asdict(pack)
    del values["folder"], values["unproved"]
    values["threshold"] = pack.threshold and pack.threshold.manifest()
    document = {"schema": schema, **(_first_spelling(values) if schema == 1 else values)}
    plain = json.loads(json.dumps(document))  # tuples become lists
    return {key: _without_none(value) for key, value in plain.items() if value not in (None, {}, [])}


def _first_spelling(values: dict[str, Any]) -> dict[str, Any]:
    """The keys as schema 1 has them."""
    first = {"color": "colour", "normalized": "normalised", "license": "licence"}
    return {
        first.get(key, key): _first_spelling(value) if isinstance(value, dict) else value
        for key, value in values.items()
    }


def from_document(document: Mapping[str, Any], folder: Path, *, where: str) -> ModelPack:
    """Build the pack that ``document`` describes.

    Args:
        document: What :func:`to_document` makes, or a parsed TOML or JSON text.
        folder: Where the pack's files are.
        where: Names the document in messages.

    Raises:
        ModelError: A newer schema, an unknown or missing key, a value of the wrong type or out of range.
    """
    values = dict(document)
    schema = values.pop("schema", None)
    if type(schema) is not int or schema < 1:
        raise ModelError(f"{where}: 'schema' must be a whole number from 1, not {schema!r}.")
    if schema > SCHEMA:
        raise ModelError(
            f"{where} has manifest schema {schema}; this facerec reads up to {SCHEMA}.",
            hint="Update it: pip install --upgrade facerec-cli",
        )
    return read.build(ModelPack, _PACK, values, where=where, folder=folder)


def check_name(name: str) -> str:
    """Return ``name`` if a pack may be called so.

    Raises:
        ModelError: It could not be a folder's name everywhere, or would read as a file's.
    """
    if (
        not _NAME.fullmatch(name)
        or name.endswith(".")
        or name.lower().endswith((".onnx", ".toml", ".zip"))
        or name.split(".")[0].lower() in read.DEVICES
    ):
        raise ModelError(
            f"{name!r} cannot be a model's name.",
            hint="Use up to 64 letters, digits, '.', '_' and '-', with a letter or digit first "
            "and no file ending, e.g. r50_otface",
        )
    return name


def _without_none(value: Any) -> Any:
    return {k: v for k, v in value.items() if v is not None} if isinstance(value, dict) else value


def _name(value: Any) -> str:
    try:
        return check_name(read.text(value))
    except ModelError as fault:
        raise read.Refused(f"must be a model's name. {fault.hint}") from None


_SIZE = read.listing(read.integer(16, 4096), 2)
_MEAN = read.listing(read.number(-1024, 1024), 3)
_STD = read.listing(read.number(0, 1024, positive=True), 3)
_COLOR = read.choice("rgb", "bgr")

_LICENSE: dict[str, read.Reader] = {
    "code": read.filled,
    "weights": read.filled,
    "commercial": read.boolean,
    "files": read.listing(read.file_name),
    "notice": read.text,
}
_PROVENANCE: dict[str, read.Reader] = {
    "source": read.filled,
    "training_data": read.filled,
    "paper": read.text,
}
_ENCODER: dict[str, read.Reader] = {
    "file": read.file_name,
    "sha256": read.sha256,
    "embedding_size": read.integer(MIN_SIZE, MAX_SIZE),
    "input_size": _SIZE,
    "color": _COLOR,
    "mean": _MEAN,
    "std": _STD,
    "template": read.filled,
    "normalized": read.boolean,
    "layout": read.choice("nchw", "nhwc"),
    "output_name": read.filled,
}
_DETECTOR: dict[str, read.Reader] = {
    "kind": read.choice(*DETECTORS),
    "file": read.file_name,
    "sha256": read.sha256,
    "color": _COLOR,
    "mean": _MEAN,
    "std": _STD,
    "min_score": read.number(0, 1),
    "nms_iou": read.number(0, 1),
    "input_size": _SIZE,
}
_THRESHOLD: dict[str, read.Reader] = {
    "value": read.number(-1, 1),
    "far": read.number(0, 1, positive=True),
    "data": read.filled,
    "impostor_pairs": read.integer(1, 10**15),
}
_PACK: dict[str, read.Reader] = {
    "name": _name,
    "description": read.text,
    "license": read.table(License, _LICENSE),
    "provenance": read.table(Provenance, _PROVENANCE),
    "encoder": read.table(EncoderSpec, _ENCODER),
    "detector": read.table(DetectorSpec, _DETECTOR),
    "threshold": read.table(Threshold, _THRESHOLD),
    "training": read.facts,
    "urls": read.listing(read.url),
}
