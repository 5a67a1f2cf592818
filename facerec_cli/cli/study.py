"""``facerec study``."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from facerec_cli.cli import console
from facerec_cli.cli.command import command, require_torch
from facerec_cli.cli.options import Json, Output
from facerec_cli.cli.signature import Shown
from facerec_cli.option import Option

ProtocolFile = Annotated[
    Path,
    typer.Argument(metavar="STUDY.toml", help="What to compare on which photos.", show_default=False),
]
Crops = Annotated[
    Path | None,
    Option("Folder of the aligned crops, which several studies may share (default: in --out)."),
]
Resume = Annotated[bool, Option("Go on with the study in --out, with its settings; finished runs stay.")]
Jobs = Annotated[int, Option("Runs at the same time, each with its part of the cores.", ge=1)]
Only = Annotated[list[str] | None, typer.Option(help="Train this arm only; one flag an arm.")]
Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", help="Any setting of STUDY.toml, e.g. --set split.seed=1 (repeat it)."),
]
DryRun = Annotated[bool, Option("Check all, say how long it will take, stop; nothing is written.")]


@command
def study(
    protocol: ProtocolFile,
    out: Annotated[Output, Shown("Folder for runs and reports (default: runs/ and the file's name).")] = None,
    crops: Crops = None,
    resume: Resume = False,
    jobs: Jobs = 1,
    only: Only = None,
    assignments: Assignments = None,
    dry_run: DryRun = False,
    json_output: Annotated[Json, Shown("Print the results as JSON.")] = False,
) -> None:
    """Compare losses on your own photos: train each with several seeds, judge by people never trained on.

    facerec study examples/studies/quick.toml --out runs/quick
    """
    require_torch("facerec study")
    from facerec_cli.cli.study_view import show
    from facerec_cli.study.protocol import read_protocol
    from facerec_cli.study.study import StudyPlan, run_study

    done = run_study(
        read_protocol(protocol, assignments or ()),
        out or Path("runs") / protocol.stem,
        crops=crops,
        resume=resume,
        jobs=jobs,
        only=only or (),
        dry_run=dry_run,
        tell=console.note,
        steps=console.progress_bar,
    )
    if isinstance(done, StudyPlan):
        if json_output:
            console.result_json(dataclasses.asdict(done))
    elif json_output:
        console.result_json(done.results.document())
    else:
        show(done)
