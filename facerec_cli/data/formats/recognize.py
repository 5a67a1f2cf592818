"""Which format a data set has, by its name and content, and which known formats are not read."""

from __future__ import annotations

import re
import shlex
import struct
from pathlib import Path

from facerec_cli.data.dataset import KINDS
from facerec_cli.data.formats.rec.recordio import MAGIC_BYTES
from facerec_cli.errors import InputError
from facerec_cli.sniff import refuse_pointer

_LMDB = (
    "the package lmdb reads it. Most hold pickled values, which can run whatever their maker wished, and no "
    "two projects have one layout."
)
_HUGGING_FACE = ("dataset_dict.json", "state.json", "*.arrow", "*.parquet", "data/*.parquet")
_WRITE_FOLDER = "Write its photos into a folder per person, or into tar shards of key.jpg and key.cls; "
_TFRECORD = re.compile(r"\.tfrecords?\b|\.tfrec\b")
_COMPRESSED = (
    (b"\x1f\x8b", "gunzip"),
    (b"\x28\xb5\x2f\xfd", "unzstd"),
    (b"BZh", "bunzip2"),
    (b"\xfd7zXZ", "unxz"),
)


def detect(spec: str) -> str:
    """Key of ``registry.DATASETS`` for what ``spec`` names; see ``datasets.detect_format``."""
    if spec.startswith("synthetic:"):
        return "synthetic"
    if "://" in spec:
        return "stream"
    if spec.endswith(".tar") or (".tar" in spec and any(sign in spec for sign in "{*?")):
        return "tar"
    path = Path(spec)
    if not path.exists():
        raise InputError(f"There is no data set at {spec}.", hint=KINDS)
    if path.is_file():
        refuse_other_formats(path)
        if path.suffix in (".arrow", ".parquet"):
            return "huggingface"
        return "rec" if path.suffix in (".rec", ".idx") else "list"
    if any(path.glob("*.rec")):
        return "rec"
    if any(path.glob("*.tar")):
        return "tar"
    if any(next(path.glob(pattern), None) for pattern in _HUGGING_FACE):
        return "huggingface"
    _refuse_other_folders(path)
    return "folder"


def refuse_other_formats(path: Path) -> None:
    """Name a file of a known format that is not read.

    Raises:
        InputError: It is one, or cannot be read.
    """
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as fault:
        raise InputError(
            f"{path} cannot be read ({fault.strerror}).", hint="Name a place that you may read."
        ) from fault
    refuse_pointer(head, str(path))
    program = next((program for mark, program in _COMPRESSED if head.startswith(mark)), "")
    if head[16:20] == b"\xde\xc0\xef\xbe":
        raise _other(path, "an LMDB database", _LMDB)
    if _is_tfrecord(path, head):
        raise _other(path, "a TFRecord file of TensorFlow", "tf.data.TFRecordDataset reads it.")
    if path.suffix == ".rec" and (key := _protobuf_key(head)):
        raise InputError(
            f"{path} holds protobuf records (of {key!r}) as SageMaker's built-in algorithms take them, "
            "and no photos.",
            hint="A .rec of photos is what im2rec or insightface packs: each record has mxnet's header of 24 "
            "bytes and an encoded photo. Give these, or a folder per person.",
        )
    if program and ".t" in path.name:
        raise InputError(
            f"{path} is a compressed archive.",
            hint=f"Shards must be plain .tar: {program} {shlex.quote(str(path))}",
        )


def _refuse_other_folders(path: Path) -> None:
    """Name a folder that holds one of them instead of people."""
    if (path / "data.mdb").is_file():
        refuse_other_formats(path / "data.mdb")
        if (path / "lock.mdb").is_file():
            raise _other(path, "an LMDB database", _LMDB)
    for name in sorted(path.glob("*")):
        if name.is_file() and _TFRECORD.search(name.name):
            raise _other(path, "a folder of TFRecord files", "tf.data.TFRecordDataset reads them.")
        if name.is_file() and re.search(r"\.(tar\.\w+|tgz)$", name.name):
            raise InputError(
                f"{path} holds compressed shards: {name.name}.",
                hint="Shards must be plain .tar: gunzip them.",
            )


def _other(path: Path, what: str, how: str) -> InputError:
    return InputError(f"{path} is {what}, which is not read here.", hint=_WRITE_FOLDER + how)


def _is_tfrecord(path: Path, head: bytes) -> bool:
    """A length of 64 bits, its checksum, and a ``tf.train.Example``."""
    if len(head) < 16:
        return False
    (length,) = struct.unpack_from("<Q", head)
    whole = 12 + length + 4 <= path.stat().st_size
    return bool(_TFRECORD.search(path.name) and whole) or (
        whole and 2 < length < 1 << 31 and _is_example(head[12:])
    )


def _is_example(data: bytes) -> bool:
    """Whether protobuf of ``tf.train.Example`` begins here: features, in them a feature, in it a key."""
    at = 0
    for _ in range(3):
        if data[at : at + 1] != b"\x0a":
            return False
        at += 1
        while at < len(data) and data[at] & 0x80:
            at += 1
        at += 1
    return data[at : at + 3].isascii() and data[at : at + 3].decode("ascii").isprintable()


def _protobuf_key(head: bytes) -> str:
    """The first feature's name in a record of SageMaker's protobuf; empty where it is none."""
    payload = head[8:]
    if head[:4] != MAGIC_BYTES or payload[:1] not in (b"\x0a", b"\x12"):
        return ""
    at = 1
    while at < len(payload) and payload[at] & 0x80:
        at += 1
    key = payload[at + 1 :]
    if key[:1] != b"\x0a" or len(key) < 2 or not 1 <= key[1] < 64:
        return ""
    name = key[2 : 2 + key[1]]
    return name.decode() if name.isascii() and name.decode().isprintable() else ""
