"""``--model`` and the flags for an ONNX file without a manifest, the same for every command."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, Literal

import typer

from facerec_cli.cli import completion

_PANEL = "For an .onnx file without a manifest"

Model = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        help="Registered name, pack folder or .onnx file.",
        metavar="NAME|FOLDER|FILE",
        autocompletion=completion.models,
    ),
]
Color = Annotated[
    Literal["rgb", "bgr"] | None,
    typer.Option("--color", help="Color order that it was trained with.", rich_help_panel=_PANEL),
]
Mean = Annotated[
    str | None,
    typer.Option(help="Subtracted from each 0..255 channel: one number or three.", rich_help_panel=_PANEL),
]
Std = Annotated[
    str | None,
    typer.Option(help="Each channel is then divided by it: one number or three.", rich_help_panel=_PANEL),
]
Template = Annotated[
    str | None,
    typer.Option(
        help="Five-point alignment template, e.g. arcface.",
        rich_help_panel=_PANEL,
        autocompletion=completion.templates,
    ),
]
Size = Annotated[
    str | None,
    typer.Option(
        "--size", metavar="WxH", help="Crop size, where the file leaves it open.", rich_help_panel=_PANEL
    ),
]
EmbeddingSize = Annotated[
    int | None,
    typer.Option(min=2, help="Numbers a face, where the file leaves it open.", rich_help_panel=_PANEL),
]
Normalized = Annotated[
    bool | None,
    typer.Option("--normalized", help="Its output has unit length already.", rich_help_panel=_PANEL),
]
Layout = Annotated[
    Literal["nchw", "nhwc"] | None,
    typer.Option(help="Order of the input's dimensions, where shapes do not tell.", rich_help_panel=_PANEL),
]
OutputName = Annotated[
    str | None,
    typer.Option(
        "--output-name",
        help="Which output is the embedding, where there are several.",
        rich_help_panel=_PANEL,
    ),
]

_FLAGS = {
    "color": Color,
    "mean": Mean,
    "std": Std,
    "template": Template,
    "input_size": Size,
    "embedding_size": EmbeddingSize,
    "normalized": Normalized,
    "layout": Layout,
    "output_name": OutputName,
}


def pack_overrides(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the flags of ``PackOverrides`` in place of its parameter ``overrides``.

    Goes under ``@command``::

        @command
        @pack_overrides
        def embed(photos: ..., model: Model = "sface", *, overrides: PackOverrides) -> None: ...
    """

    @functools.wraps(function)
    def run(**arguments: Any) -> None:
        from facerec_cli.packs.overrides import FLAGS, PackOverrides, parse_size, parse_triple

        given = {name: arguments.pop(name) for name in _FLAGS}
        for name, parse in (("mean", parse_triple), ("std", parse_triple), ("input_size", parse_size)):
            if given[name] is not None:
                given[name] = parse(given[name], FLAGS[name])
        function(**arguments, overrides=PackOverrides(**given))

    own = inspect.signature(function)
    names = vars(inspect.getmodule(function))
    kept = [
        p.replace(annotation=eval(p.annotation, names)) if isinstance(p.annotation, str) else p
        for p in own.parameters.values()
        if p.name != "overrides"  # its type need not be imported where the command is defined
    ]
    flags = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
        for name, annotation in _FLAGS.items()
    ]
    run.__signature__ = own.replace(parameters=[*kept, *flags])  # type: ignore[attr-defined]
    del run.__wrapped__
    return run
