"""What the user says of an ONNX file without a manifest."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Literal

from facerec_cli.errors import UsageError
from facerec_cli.spelling import both_spellings

Triple = tuple[float, float, float]


@both_spellings("colour", "normalised")
@dataclass(frozen=True, slots=True)
class PackOverrides:
    """How to feed an ONNX file that carries no manifest; the fields are those of ``EncoderSpec``.

    None means not given. Color, mean, std and template have to be given, sizes only where the file
    does not fix them.
    """

    color: Literal["rgb", "bgr"] | None = None
    mean: Triple | None = None
    std: Triple | None = None
    template: str | None = None
    input_size: tuple[int, int] | None = None
    embedding_size: int | None = None
    normalized: bool | None = None
    layout: Literal["nchw", "nhwc"] | None = None
    output_name: str | None = None

    def given(self) -> dict[str, object]:
        """The fields that were given."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}


FLAGS = {
    "color": "--color",
    "mean": "--mean",
    "std": "--std",
    "template": "--template",
    "input_size": "--size",
    "embedding_size": "--embedding-size",
    "normalized": "--normalized",
    "layout": "--layout",
    "output_name": "--output-name",
}


def parse_triple(text: str, flag: str) -> Triple:
    """Read ``127.5`` (for all channels) or ``123.7,116.3,103.5``, on the 0..255 scale, in input order."""
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) == 1:
        values *= 3
    if len(values) != 3 or not all(abs(value) <= 1024 for value in values):
        raise UsageError(f"{flag} {text!r} is not one number or three.", hint=f"e.g. {flag} 127.5")
    if flag == FLAGS["std"] and min(values) <= 0:
        raise UsageError(f"{flag} {text!r} must be above 0.", hint=f"e.g. {flag} 127.5")
    return values[0], values[1], values[2]


def parse_size(text: str, flag: str) -> tuple[int, int]:
    """Read ``112`` or ``112x112`` as (width, height) in pixels."""
    match = re.fullmatch(r"(\d{2,4})(?:x(\d{2,4}))?", text.strip().lower())
    size = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not all(16 <= side <= 4096 for side in size):
        raise UsageError(f"{flag} {text!r} is not WIDTHxHEIGHT.", hint=f"e.g. {flag} 112x112")
    return size
