"""The manifest inside an ONNX file, sealed so that an edited file is noticed.

Four entries of the file's ``metadata_props``:

=====================  =============================================================================
``facerec.manifest``   the pack's document (``manifest_toml.py``) as JSON, without detector and sha256
``facerec.version``    the facerec that wrote it
``facerec.digest``     sha256 of the file's bytes without its metadata entries: graph and weights
``facerec.seal``       sha256 of the other ``facerec.*`` entries
=====================  =============================================================================

Digest and seal tell damage and careless edits; whoever wants to deceive can compute them anew. Entries of
other programs are left alone and not covered. A file's own sha256 cannot be inside it: it is computed when
the file is opened, and written into the manifest of the registered copy.

The top level of the file, a row of protobuf fields, is walked here by hand: the digest must not depend on the
version of the protobuf library, which may serialize a parsed model in another order, and opening a pack must
not wait for the import of ``onnx``, which writes the entries.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import mmap
from collections.abc import Iterator, Mapping
from pathlib import Path

from facerec_cli._version import __version__
from facerec_cli.errors import ModelError
from facerec_cli.files import sha256_of, write_file
from facerec_cli.packs.foreign import not_onnx
from facerec_cli.packs.manifest import ModelPack
from facerec_cli.packs.manifest_toml import UNMEASURED, from_document, to_document

MANIFEST_KEY = "facerec.manifest"
VERSION_KEY = "facerec.version"
DIGEST_KEY = "facerec.digest"
SEAL_KEY = "facerec.seal"
_PREFIX = "facerec."

_METADATA_PROPS = 14  # ModelProto.metadata_props, a StringStringEntryProto: key = 1, value = 2
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

_AGAIN = "Get or export the file again; if you changed it on purpose, register it with a manifest of yours."


def pack_to_metadata(pack: ModelPack, *, digest: str = "", schema: int | None = None) -> dict[str, str]:
    """The metadata entries that say in an ONNX file what ``pack``'s manifest says.

    Args:
        pack: Its detector is left out (a single file carries the recognition network), and so are the sha256
            and what was measured besides the threshold, for the faces that the pack's own detector finds.
        digest: :func:`graph_digest` of the file; :func:`seal` fills it in.
        schema: Of the manifest; 1 is for files that have been given out with it.
    """
    encoder = dataclasses.replace(pack.encoder, sha256="")
    document = to_document(
        dataclasses.replace(pack, detector=None, encoder=encoder, downloads=(), evidence=None, **UNMEASURED),
        schema=schema,
    )
    entries = {
        MANIFEST_KEY: json.dumps(document, ensure_ascii=False, sort_keys=True),
        VERSION_KEY: __version__,
        DIGEST_KEY: digest,
    }
    return {**entries, SEAL_KEY: _seal(entries)}


def pack_from_metadata(metadata: Mapping[str, str], path: Path) -> ModelPack:
    """The pack that an ONNX file's metadata describes; :func:`read_pack` also checks the file's digest.

    Args:
        metadata: All entries, e.g. ``session.get_modelmeta().custom_metadata_map``.
        path: The file; the manifest's file name is replaced with its name.

    Raises:
        ModelError: No manifest, an edited one, or one that is not valid.
    """
    ours = {key: value for key, value in metadata.items() if key.startswith(_PREFIX)}
    if MANIFEST_KEY not in ours and SEAL_KEY not in ours:
        raise ModelError(
            f"{path} carries no facerec manifest.",
            hint="Write one with `facerec export`, or add the file with `facerec models add`.",
        )
    if ours.pop(SEAL_KEY, None) != _seal(ours):
        raise ModelError(f"{path}: its metadata was changed after it was written.", hint=_AGAIN)
    try:
        document = json.loads(ours[MANIFEST_KEY])
    except (KeyError, ValueError, RecursionError) as fault:
        raise ModelError(f"{path}: its manifest is not JSON.", hint=_AGAIN) from fault
    if not isinstance(document, dict):
        raise ModelError(f"{path}: its manifest is not a table.", hint=_AGAIN)
    pack = from_document(document, path.parent, where=f"{path} ({MANIFEST_KEY})")
    return dataclasses.replace(pack, encoder=dataclasses.replace(pack.encoder, file=path.name))


def read_pack(path: Path) -> ModelPack:
    """Open a sealed ONNX file: check digest and seal, and fill in the file's sha256.

    Raises:
        ModelError: The file is damaged, edited, or carries no manifest.
    """
    metadata = read_metadata(path)
    pack = pack_from_metadata(metadata, path)
    if metadata.get(DIGEST_KEY) != graph_digest(path):
        raise ModelError(f"{path}: its network was changed after it was written.", hint=_AGAIN)
    encoder = dataclasses.replace(pack.encoder, sha256=sha256_of(path))
    return dataclasses.replace(pack, encoder=encoder)


def seal(
    source: Path, pack: ModelPack, target: Path | None = None, *, schema: int | None = None
) -> ModelPack:
    """Write ``pack``'s manifest into an ONNX file, at once, and return the pack as it opens from there.

    Args:
        source: ONNX file with its weights inside.
        pack: What the file is; an older manifest in it is replaced.
        target: Where to write; ``source`` itself by default.
        schema: As for :func:`pack_to_metadata`.

    Raises:
        ModelError: ``source`` is not an ONNX file.
    """
    from onnx import ModelProto, StringStringEntryProto

    target = target or source
    content = bytearray()
    for number, raw, payload in _fields(source):
        if number != _METADATA_PROPS or not _entry(payload, source)[0].startswith(_PREFIX):
            content += raw
    entries = pack_to_metadata(pack, digest=graph_digest(source), schema=schema)
    props = [StringStringEntryProto(key=key, value=value) for key, value in entries.items()]
    write_file(target, bytes(content) + ModelProto(metadata_props=props).SerializeToString())
    return read_pack(target)


def read_metadata(path: Path) -> dict[str, str]:
    """All metadata entries of an ONNX file.

    Raises:
        ModelError: The file cannot be read or is not ONNX.
    """
    return dict(_entry(payload, path) for number, _, payload in _fields(path) if number == _METADATA_PROPS)


def graph_digest(path: Path) -> str:
    """The sha256 of the file's bytes without its metadata entries, in hexadecimal."""
    digest = hashlib.sha256()
    for number, raw, _ in _fields(path):
        if number != _METADATA_PROPS:
            digest.update(raw)
    return digest.hexdigest()


def _seal(entries: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(dict(entries), sort_keys=True).encode()).hexdigest()


def _fields(path: Path) -> Iterator[tuple[int, memoryview, memoryview]]:
    """The top-level fields of an ONNX file: number, whole field, payload."""
    try:
        with (
            path.open("rb") as stream,
            mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
            memoryview(mapped) as view,
        ):
            yield from _walk(view, path)
    except ValueError as fault:  # an empty file cannot be mapped
        raise ModelError(f"{path} is empty.", hint="Export it or get it again.") from fault
    except FileNotFoundError as fault:
        raise ModelError(f"{path} does not exist.", hint="Correct the path.") from fault
    except OSError as fault:
        raise ModelError(
            f"{path} cannot be read: {fault.strerror}.", hint="Make it readable, or get it again."
        ) from fault


def _walk(view: memoryview, path: Path) -> Iterator[tuple[int, memoryview, memoryview]]:
    position = 0
    while position < len(view):
        start = position
        tag, position = _varint(view, position, path)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            _, end = _varint(view, position, path)
        elif wire == _BYTES:
            length, position = _varint(view, position, path)
            end = position + length
        elif wire in (_FIXED64, _FIXED32):
            end = position + (8 if wire == _FIXED64 else 4)
        else:
            raise not_onnx(path)
        if end > len(view) or number == 0:
            raise not_onnx(path)
        with view[start:end] as raw, view[position:end] as payload:
            yield number, raw, payload
        position = end


def _varint(view: memoryview, position: int, path: Path) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(view):
            raise not_onnx(path)
        byte = view[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise not_onnx(path)


def _entry(payload: memoryview, path: Path) -> tuple[str, str]:
    fields = {number: bytes(content) for number, _, content in _walk(payload, path)}
    try:
        return fields.get(1, b"").decode(), fields.get(2, b"").decode()
    except UnicodeDecodeError as fault:
        raise not_onnx(path) from fault
