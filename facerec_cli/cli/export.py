"""``facerec export``: a checkpoint in, a trusted ONNX file out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from facerec_cli.cli import console
from facerec_cli.cli.command import command
from facerec_cli.cli.options import Json, Overwrite
from facerec_cli.cli.signature import Shown
from facerec_cli.errors import MissingExtraError
from facerec_cli.export.settings import ExportOptions, SmallerForms

Checkpoint = Annotated[
    Path,
    typer.Argument(
        metavar="CHECKPOINT",
        help="best.pt or last.pt of a run, or the run's folder.",
        show_default=False,
    ),
]


@command
def export(
    checkpoint: Checkpoint,
    *,
    options: ExportOptions,
    forms: SmallerForms,
    force: Annotated[Overwrite, Shown("Replace files and a registered model.")] = False,
    json_output: Annotated[Json, Shown("Print the report as JSON.")] = False,
) -> None:
    """Write a checkpoint as an ONNX file that carries its manifest and is proved to compute the same."""
    from facerec_cli.cli.export_view import document, show

    try:
        from facerec_cli.export import export as run
    except ModuleNotFoundError as fault:
        if (fault.name or "").partition(".")[0] not in ("torch", "onnxscript", "torchvision"):
            raise
        raise MissingExtraError(str(fault.name), extra="train", purpose="Exporting") from fault

    with console.stages() as stages:
        report = run(checkpoint, replace(options, force=force, forms=forms.names), stages=stages)
    if options.license == "unspecified":
        console.note("The file says that its weights have no stated license; --license states one.")
    if not report.real_crops:
        console.warn(f"parity was checked on {report.crops}; --crops FOLDER gives it photos of faces.")
    if json_output:
        console.result_json(document(report))
    else:
        show(report)
