"""``facerec bench``: images a second on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from facerec_cli.cli import console
from facerec_cli.cli.command import command
from facerec_cli.cli.options import Json, Model
from facerec_cli.cli.signature import Shown
from facerec_cli.faces.settings import Device
from facerec_cli.option import Option
from facerec_cli.registry import DEFAULT_PACK

Photos = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="PHOTO",
        help="Photos like those that you want to embed. Without any, photos without faces are made up, "
        "and the pipeline as a whole is not measured.",
        show_default=False,
    ),
]
Threads = Annotated[
    list[int] | None,
    typer.Option(help="CPU threads to try; may be repeated (default: 1, half and all cores)."),
]
BatchSizes = Annotated[
    list[int] | None,
    typer.Option(help="Batch size to try; may be repeated (default: 1, 4, 16)."),
]
Seconds = Annotated[float, Option("About how long to measure.")]


@command
def bench(
    inputs: Photos = None,
    model: Model = DEFAULT_PACK,
    device: Device = "auto",
    threads: Threads = None,
    batch_size: BatchSizes = None,
    seconds: Seconds = 30,
    json_output: Annotated[Json, Shown("Print the report as JSON.")] = False,
) -> None:
    """Measure images a second on this machine, and recommend threads and batch size."""
    from facerec_cli.bench import bench as run
    from facerec_cli.cli.bench_view import show

    with console.progress_bar("Measuring", unit="settings") as progress:
        report = run(
            inputs or (),
            model,
            device=device,
            threads=threads or (),
            batches=batch_size or (),
            seconds=seconds,
            progress=progress,
        )
    if json_output:
        console.result_json(report.document())
    else:
        show(report)
