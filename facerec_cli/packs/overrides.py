"""What the user says of an ONNX file without a manifest."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Literal

from facerec_cli.option import Option
from facerec_cli.registry import TEMPLATES
from facerec_cli.settings import check, options
from facerec_cli.spelling import both_spellings

Triple = tuple[float, float, float]
_PANEL = "For an .onnx file without a manifest"


def _three_numbers(text: str) -> tuple[float, ...]:
    """``127.5`` (for all channels) or ``123.7,116.3,103.5``, on the 0..255 scale, in input order."""
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = ()
    if len(values) not in (1, 3):
        raise ValueError("one number or three, e.g. 127.5")
    return values * 3 if len(values) == 1 else values


def _width_and_height(text: str) -> tuple[int, int]:
    """``112`` or ``112x112``, in pixels."""
    match = re.fullmatch(r"(\d{2,4})(?:x(\d{2,4}))?", text.strip().lower())
    if match is None:
        raise ValueError("WIDTHxHEIGHT, e.g. 112x112")
    return int(match[1]), int(match[2] or match[1])


@both_spellings("colour", "normalised")
@dataclass(frozen=True, slots=True)
class PackOverrides:
    """How to feed an ONNX file that carries no manifest; the fields are those of ``EncoderSpec``.

    None means not given. Color, mean, std and template have to be given, sizes only where the file
    does not fix them.
    """

    color: Annotated[
        Literal["rgb", "bgr"] | None,
        Option("Color order that it was trained with: {choices}.", panel=_PANEL),
    ] = None
    mean: Annotated[
        Triple | None,
        Option(
            "Subtracted from each 0..255 channel: one number or three.",
            panel=_PANEL,
            parse=_three_numbers,
            ge=-1024,
            le=1024,
        ),
    ] = None
    std: Annotated[
        Triple | None,
        Option(
            "Each channel is then divided by it: one number or three.",
            panel=_PANEL,
            parse=_three_numbers,
            gt=0,
            le=1024,
        ),
    ] = None
    template: Annotated[
        str | None,
        Option("Five-point alignment template, e.g. arcface.", panel=_PANEL, offers=TEMPLATES),
    ] = None
    input_size: Annotated[
        tuple[int, int] | None,
        Option(
            "Crop size, where the file leaves it open.",
            panel=_PANEL,
            flag="--size",
            metavar="WxH",
            parse=_width_and_height,
            ge=16,
            le=4096,
            unit="pixels",
        ),
    ] = None
    embedding_size: Annotated[
        int | None, Option("Numbers a face, where the file leaves it open.", panel=_PANEL, ge=2)
    ] = None
    normalized: Annotated[bool | None, Option("Its output has unit length already.", panel=_PANEL)] = None
    layout: Annotated[
        Literal["nchw", "nhwc"] | None,
        Option("Order of the input's dimensions, where shapes do not tell: {choices}.", panel=_PANEL),
    ] = None
    output_name: Annotated[
        str | None,
        Option("Which output is the embedding, where there are several.", panel=_PANEL),
    ] = None

    def __post_init__(self) -> None:
        check(self)

    def given(self) -> dict[str, object]:
        """The fields that were given."""
        values = {field.name: getattr(self, field.name) for field in options(PackOverrides)}
        return {name: value for name, value in values.items() if value is not None}


FLAGS = {field.name: field.flag for field in options(PackOverrides)}
