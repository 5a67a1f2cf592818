"""Manifests as documents: the tables of a ``pack.toml``, one to one the dataclasses of ``manifest.py``.

A pack folder holds ``pack.toml`` and the ONNX files that it names. The same document, as JSON, is what an
exported ``.onnx`` carries in its metadata (``metadata.py``)::

    schema = 1                          # of this layout; a newer one is refused
    name = "sface"                      # ModelPack
    description = "SFace, 128 numbers a face, with the YuNet detector"
    urls = []                           # where it can be pulled from, best first

    [licence]                           # Licence
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
    colour = "rgb"
    mean = [0.0, 0.0, 0.0]
    std = [1.0, 1.0, 1.0]
    template = "arcface"
    normalised = false
    layout = "nchw"

    [detector]                          # DetectorSpec; leave the table out to use the default pack's
    kind = "yunet"
    file = "yunet.onnx"
    sha256 = "..."
    colour = "bgr"
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
are refused: a misspelt ``colour`` must never become a silent loss of accuracy.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import tomli_w

from facerec_cli.errors import ModelError
from facerec_cli.packs.files import write_atomic
from facerec_cli.packs.manifest import (
    DetectorSpec,
    EncoderSpec,
    Licence,
    ModelPack,
    Provenance,
    Threshold,
)
from facerec_cli.registry import DETECTORS

SCHEMA = 1
MANIFEST = "pack.toml"
MAX_MANIFEST_BYTES = 1 << 20

T = TypeVar("T")
Reader = Callable[[Any], Any]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}


def read_manifest(folder: Path) -> ModelPack:
    """Read ``folder``/pack.toml.

    Raises:
        ModelError: The manifest is missing, unreadable, not TOML or not valid.
    """
    path = folder / MANIFEST
    try:
        if path.stat().st_size > MAX_MANIFEST_BYTES:
            raise ModelError(f"{path} is larger than {MAX_MANIFEST_BYTES:,} bytes; that is no manifest.")
        return parse_manifest(path.read_text(encoding="utf-8"), folder, where=str(path))
    except FileNotFoundError as fault:
        raise ModelError(f"{folder} has no {MANIFEST}, so it is not a model pack.") from fault
    except UnicodeDecodeError as fault:
        raise ModelError(f"{path} is not UTF-8 text.") from fault
    except OSError as fault:
        raise ModelError(f"{path} cannot be read: {fault.strerror}.") from fault


def parse_manifest(text: str, folder: Path, *, where: str) -> ModelPack:
    """Read the TOML ``text`` of a manifest; ``where`` names it in messages."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        raise ModelError(f"{where} is not valid TOML: {fault}.") from fault
    return from_document(document, folder, where=where)


def write_manifest(pack: ModelPack, folder: Path | None = None) -> Path:
    """Write ``pack``'s manifest into ``folder`` (default: its own), at once; returns the file."""
    path = (folder or pack.folder) / MANIFEST
    text = _short_lists(tomli_w.dumps(to_document(pack)))
    from_document(tomllib.loads(text), path.parent, where=str(path))  # never write what we would refuse
    write_atomic(path, text.encode())
    return path


def _short_lists(text: str) -> str:
    """Put lists of numbers, which the writer spreads over lines, on one line each."""
    return re.sub(
        r"= \[\n((?: +[-+.\de]+,\n)+)\]", lambda m: f"= [{', '.join(m[1].replace(',', '').split())}]", text
    )


def to_document(pack: ModelPack) -> dict[str, Any]:
    """The manifest as plain tables, lists, texts and numbers; what is None or empty is left out."""
    values = dataclasses.asdict(pack)
    del values["folder"]
    document = {"schema": SCHEMA, **values}
    plain = json.loads(json.dumps(document))  # tuples become lists
    return {key: _without_none(value) for key, value in plain.items() if value not in (None, {}, [])}


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
    return _build(ModelPack, _PACK, values, where=where, folder=folder)


def check_name(name: str) -> str:
    """Return ``name`` if a pack may be called so.

    Raises:
        ModelError: It could not be a folder's name everywhere, or would read as a file's.
    """
    if (
        not _NAME.fullmatch(name)
        or name.endswith(".")
        or name.lower().endswith((".onnx", ".toml", ".zip"))
        or name.split(".")[0].lower() in _DEVICES
    ):
        raise ModelError(
            f"{name!r} cannot be a model's name.",
            hint="Use up to 64 letters, digits, '.', '_' and '-', with a letter or digit first "
            "and no file ending, e.g. r50_otface",
        )
    return name


def _without_none(value: Any) -> Any:
    return {k: v for k, v in value.items() if v is not None} if isinstance(value, dict) else value


def _build(kind: type[T], readers: Mapping[str, Reader], table: Any, *, where: str, **given: Any) -> T:
    """Make a ``kind`` of ``table``, reading each key with its reader; ``where`` leads to the table."""
    if not isinstance(table, dict):
        raise ModelError(f"{where} must be a table, not {table!r}.")
    values = dict(given)
    for key, value in table.items():
        if key not in readers:
            near = difflib.get_close_matches(key, list(readers), n=1)
            guess = f"Did you mean {near[0]!r}? " if near else ""
            raise ModelError(f"{where}: unknown key {key!r}.", hint=f"{guess}Known: {', '.join(readers)}")
        try:
            values[key] = readers[key](value)
        except _Refused as fault:
            raise ModelError(f"{where}: {key!r} {fault}, not {value!r}.") from None
        except _Nested as fault:
            raise fault.at(where, key) from None
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        optional = (
            field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
        )
        if field.name not in values and not optional:
            raise ModelError(f"{where}: {field.name!r} is missing.")
    return kind(**values)


class _Refused(Exception):  # noqa: N818 - carries what the value must be
    pass


class _Nested(Exception):  # noqa: N818 - a fault in an inner table, on its way to learning its address
    def __init__(self, fault: ModelError) -> None:
        super().__init__(fault.message)
        self.fault = fault

    def at(self, where: str, key: str) -> ModelError:
        return ModelError(f"{where} [{key}]{self.fault.message}", hint=self.fault.hint)


def _table(kind: type[Any], readers: Mapping[str, Reader]) -> Reader:
    def read(value: Any) -> Any:
        try:
            return _build(kind, readers, value, where="")
        except ModelError as fault:
            raise _Nested(fault) from None

    return read


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _Refused("must be text")
    return value


def _filled(value: Any) -> str:
    if not _text(value).strip():
        raise _Refused("must be text that is not empty")
    return str(value)


def _name(value: Any) -> str:
    try:
        return check_name(_text(value))
    except ModelError as fault:
        raise _Refused(f"must be a model's name. {fault.hint}") from None


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _Refused("must be true or false")
    return value


def _integer(low: int, high: int) -> Reader:
    def read(value: Any) -> int:
        if type(value) is not int or not low <= value <= high:
            raise _Refused(f"must be a whole number from {low} to {high}")
        return value

    return read


def _number(low: float, high: float, *, positive: bool = False) -> Reader:
    def read(value: Any) -> float:
        plain = type(value) in (int, float) and math.isfinite(value) and low <= value <= high
        if not plain or (positive and value <= 0):
            raise _Refused(f"must be a number from {low:g} to {high:g}" + (", above 0" if positive else ""))
        return float(value)

    return read


def _list(reader: Reader, length: int | None = None) -> Reader:
    def read(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list) or (length is not None and len(value) != length):
            raise _Refused("must be a list" + (f" of {length}" if length else ""))
        try:
            return tuple(reader(item) for item in value)
        except _Refused as fault:
            raise _Refused(f"must be a list where each {fault}") from None

    return read


def _choice(*known: str) -> Reader:
    def read(value: Any) -> str:
        if value not in known:
            raise _Refused(f"must be one of {', '.join(known)}")
        return str(value)

    return read


def _sha256(value: Any) -> str:
    if value != "" and not re.fullmatch(r"[0-9a-fA-F]{64}", _text(value)):
        raise _Refused("must be 64 hexadecimal digits, or empty where the source publishes none")
    return str(value).lower()


def _file(value: Any) -> str:
    """A plain file name: a manifest must not reach outside its folder, on any system."""
    plain = re.fullmatch(r"[^/\\:\x00-\x1f]{1,255}", _text(value)) and value not in (".", "..")
    if not plain:
        raise _Refused("must be the plain name of a file in the pack's folder")
    return str(value)


def _url(value: Any) -> str:
    if not re.match(r"https?://[^\s/]+/\S+$", _text(value)):
        raise _Refused("must be an http(s) address")
    return str(value)


def _facts(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
        raise _Refused("must be a table of texts")
    return dict(value)


_SIZE = _list(_integer(16, 4096), 2)
_MEAN = _list(_number(-1024, 1024), 3)
_STD = _list(_number(0, 1024, positive=True), 3)
_COLOUR = _choice("rgb", "bgr")

_LICENCE: dict[str, Reader] = {
    "code": _filled,
    "weights": _filled,
    "commercial": _boolean,
    "files": _list(_file),
    "notice": _text,
}
_PROVENANCE: dict[str, Reader] = {"source": _filled, "training_data": _filled, "paper": _text}
_ENCODER: dict[str, Reader] = {
    "file": _file,
    "sha256": _sha256,
    "embedding_size": _integer(2, 65536),
    "input_size": _SIZE,
    "colour": _COLOUR,
    "mean": _MEAN,
    "std": _STD,
    "template": _filled,
    "normalised": _boolean,
    "layout": _choice("nchw", "nhwc"),
}
_DETECTOR: dict[str, Reader] = {
    "kind": _choice(*DETECTORS),
    "file": _file,
    "sha256": _sha256,
    "colour": _COLOUR,
    "mean": _MEAN,
    "std": _STD,
    "min_score": _number(0, 1),
    "nms_iou": _number(0, 1),
    "input_size": _SIZE,
}
_THRESHOLD: dict[str, Reader] = {
    "value": _number(-1, 1),
    "far": _number(0, 1, positive=True),
    "data": _filled,
    "impostor_pairs": _integer(1, 10**15),
}
_PACK: dict[str, Reader] = {
    "name": _name,
    "description": _text,
    "licence": _table(Licence, _LICENCE),
    "provenance": _table(Provenance, _PROVENANCE),
    "encoder": _table(EncoderSpec, _ENCODER),
    "detector": _table(DetectorSpec, _DETECTOR),
    "threshold": _table(Threshold, _THRESHOLD),
    "training": _facts,
    "urls": _list(_url),
}
