"""What the texts of a manifest must be: each rule takes one and gives it back, or says what it must be."""

from __future__ import annotations

import re

_MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}
MODEL_NAMES = (
    "up to 64 letters, digits, '.', '_' and '-', a letter or digit first, and no file ending, e.g. r50_otface"
)


def sha256(value: str) -> str:
    """A sha256 in hexadecimal, or nothing; lower case afterwards."""
    if value and not re.fullmatch(r"[0-9a-fA-F]{64}", value):
        raise ValueError("64 hexadecimal digits, or empty where the source publishes none")
    return value.lower()


def file_name(value: str) -> str:
    """A plain file name: a manifest must not reach outside its folder, on any system."""
    if not possible_name(value):
        raise ValueError("the plain name of a file in the pack's folder")
    return value


def possible_name(name: str) -> bool:
    """Whether a file can be called so on every system, and lies in the folder that it is made in."""
    plain = re.fullmatch(r"[^/\\:*?\"<>|\x00-\x1f]{1,255}", name)
    return bool(plain) and not name.endswith((".", " ")) and not _is_device(name)


def model_name(value: str) -> str:
    """A name that a folder can have everywhere and that does not read as a file's."""
    ending = value.lower().endswith((".", ".onnx", ".toml", ".zip"))
    if not _MODEL_NAME.fullmatch(value) or ending or _is_device(value):
        raise ValueError(f"a model's name: {MODEL_NAMES}")
    return value


def address(value: str) -> str:
    """An address to download from."""
    if not re.match(r"https?://[^\s/]+/\S+$", value):
        raise ValueError("an http(s) address")
    return value


def _is_device(name: str) -> bool:
    """Whether Windows takes ``name`` for a device."""
    return name.split(".")[0].lower() in _DEVICES
