"""Manifests as documents: the tables of a ``pack.toml``, one to one the dataclasses of ``manifest.py``.

A pack folder holds ``pack.toml`` and the ONNX files that it names; ``docs/models.md`` has a whole one. The
same document, as JSON, is what an exported ``.onnx`` carries in its metadata (``metadata.py``). Keys with a
default may be left out, and so may the tables ``detector`` (then the default pack's is used), ``threshold``
and ``impostor_tails`` (where nobody has measured one), ``downloads`` and ``evidence``. Unknown keys, wrong
types and values out of range are refused: a misspelt ``color`` must never become a silent loss of accuracy.
Manifests of schema 1 say ``colour``, ``normalised`` and ``licence``, which are still read
(``spelling.py``).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w

from facerec_cli.errors import ModelError
from facerec_cli.files import write_file
from facerec_cli.packs import rules
from facerec_cli.packs.manifest import ModelPack
from facerec_cli.settings import convert, to_tables
from facerec_cli.untrusted import parse_toml

SCHEMA = 4  # 1 had the other spelling of color, normalized and license; all are read
_NEW_IN = {
    3: ("impostor_tails",),
    4: ("downloads", "evidence", "likelihoods", "measured", "unmeasured"),
}
_OLDEST_WRITTEN = 2  # what a manifest without newer keys says, so that an older facerec reads it
MANIFEST = "pack.toml"
EVALUATIONS = "evaluations"  # folder in a pack's folder with what `facerec verify --json` printed
MAX_MANIFEST_BYTES = 1 << 20

UNMEASURED: dict[str, Any] = {"impostor_tails": (), "likelihoods": (), "measured": (), "unmeasured": ()}
"""Changes of a pack that take away what was measured besides its threshold."""

_ADVICE = "Correct it; docs/models.md has a whole manifest."


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
        document = parse_toml(text)
    except ValueError as fault:
        raise ModelError(f"{where} is not valid TOML: {fault}.", hint=_ADVICE) from fault
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


def to_document(pack: ModelPack, *, schema: int | None = None) -> dict[str, Any]:
    """The manifest as plain tables, lists, texts and numbers; what is None or empty is left out.

    Args:
        pack: The pack.
        schema: The layout; None takes the oldest that can say it: 2, 3 with impostor tails, 4 with what is
            known of a file at its publisher or with likelihoods and kinds of photos. 1 differs in the
            spelling of three keys.
    """
    document = to_tables(pack)
    del document["folder"], document["unproved"]
    document = {key: value for key, value in document.items() if value not in ({}, [])}
    needed = (number for number, keys in _NEW_IN.items() if not document.keys().isdisjoint(keys))
    schema = schema or max(needed, default=_OLDEST_WRITTEN)
    return {"schema": schema, **(_first_spelling(document) if schema == 1 else document)}


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
    given = {"folder": folder, "unproved": False}
    return convert(values, ModelPack, source=where, given=given, error=ModelError, advice=_ADVICE)


def check_name(name: str) -> str:
    """Return ``name`` if a pack may be called so.

    Raises:
        ModelError: It could not be a folder's name everywhere, or would read as a file's.
    """
    try:
        return rules.model_name(name)
    except ValueError:
        raise ModelError(f"{name!r} cannot be a model's name.", hint=f"Use {rules.MODEL_NAMES}.") from None
