"""The options that commands share, each declared once; those of settings are declared on their dataclasses.

A command that needs other words for one says ``Annotated[Json, Shown("Print the plan as JSON.")]``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facerec_cli.cli import completion
from facerec_cli.errors import UsageError
from facerec_cli.faces.settings import MACHINE
from facerec_cli.option import Option

Quiet = Annotated[bool, Option("Print results and errors only.", short="-q")]
Verbose = Annotated[bool, Option("Say more about what is done.", short="-v")]
Debug = Annotated[bool, Option("Show tracebacks.")]

Json = Annotated[bool, Option("Print one JSON document.", flag="--json")]
Overwrite = Annotated[bool, typer.Option("--overwrite", "--force", help="Replace what is there.")]
Output = Annotated[Path | None, Option("Where to.", short="-o")]
Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", help="Any setting, e.g. --set loss.k=6.", autocompletion=completion.settings),
]
_model = typer.Option(
    "--model",
    "-m",
    help="A pack's name, folder or ONNX file.",
    rich_help_panel=MACHINE,
    autocompletion=completion.models,
)
Model = Annotated[str, _model]
OptionalModel = Annotated[str | None, _model]
GalleryName = Annotated[
    str,
    typer.Argument(
        metavar="GALLERY",
        help="A gallery: staff and staff.gallery are one.",
        autocompletion=completion.galleries,
    ),
]


def one_target(argument: Path | None, option: Path | None) -> Path:
    """The output, given with ``-o`` or, as of old, as a second argument.

    Raises:
        UsageError: It is given in neither or in both ways.
    """
    if (argument is None) == (option is None):
        fault = "Where to is said twice." if option is not None else "It is not said where to."
        raise UsageError(fault, hint="Give one -o TARGET.")
    return option if option is not None else argument  # type: ignore[return-value]
