"""What commands share that write something: ``-o``, and the word that replaces what is there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facerec_cli.errors import UsageError

Overwrite = Annotated[bool, typer.Option("--overwrite", "--force", help="Replace what is there.")]


def one_target(argument: Path | None, option: Path | None) -> Path:
    """The output, given with ``-o`` or, as of old, as a second argument.

    Raises:
        UsageError: It is given in neither or in both ways.
    """
    if (argument is None) == (option is None):
        told = "Where to is said twice." if option is not None else "It is not said where to."
        raise UsageError(told, hint="Give one -o TARGET.")
    return option if option is not None else argument  # type: ignore[return-value]
