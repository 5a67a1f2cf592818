"""The ``facerec`` program: one thin module a command, each of them parse, one library call, render.

Nothing here imports more than typer and rich; a command imports its part of the library when it runs.
"""

from __future__ import annotations

from typing import Annotated

import typer

from facerec_cli.cli.console import command, result

app = typer.Typer(
    name="facerec",
    help="Train face recognition models on hard samples, export them to ONNX, embed photos, "
    "and verify pairs with an error rate you can trust.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from facerec_cli.version import version_report

        result(version_report())
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the versions that matter."),
    ] = False,
) -> None: ...


def main() -> None:
    """Run the program; the entry point of the console script."""
    app()


__all__ = ["app", "command", "main"]
