"""``facerec study``."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from facerec_cli.cli import console
from facerec_cli.cli.console import command
from facerec_cli.errors import MissingExtraError


@command
def study(
    protocol: Annotated[
        Path,
        typer.Argument(metavar="STUDY.toml", help="What to compare on which photos.", show_default=False),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder for runs and reports (default: runs/ and the file's name)."),
    ] = None,
    crops: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the aligned crops, which several studies may share (default: in --out)."
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Go on with the study in --out, with its settings; finished runs stay."
        ),
    ] = False,
    jobs: Annotated[
        int, typer.Option(help="Runs at the same time, each with its part of the cores.", min=1)
    ] = 1,
    only: Annotated[
        list[str] | None, typer.Option("--only", help="Train this arm only; one flag an arm.")
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any setting of STUDY.toml, e.g. --set split.seed=1 (repeat it)."),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Check all, say how long it will take, stop; nothing is written."),
    ] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
) -> None:
    """Compare losses on your own photos: train each with several seeds, judge by people never trained on.

    facerec study examples/studies/quick.toml --out runs/quick
    """
    if find_spec("torch") is None:
        raise MissingExtraError("torch", extra="train", purpose="facerec study")
    from facerec_cli.study.conduct import conduct
    from facerec_cli.study.protocol import read_protocol

    done = conduct(
        read_protocol(protocol, assignments or ()),
        out or Path("runs") / protocol.stem,
        crops=crops,
        resume=resume,
        jobs=jobs,
        only=only or (),
        dry_run=dry_run,
        tell=console.note,
        steps=lambda description, unit: console.progress_bar(description, unit=unit),
    )
    if done is None:
        return
    if json_output:
        console.result_json(done.results.document())
        return
    from facerec_cli.study.finding import finding
    from facerec_cli.study.tables import tables

    for sentence in finding(done.results):
        console.result(sentence)
    for table in tables(done.results)[: 1 + len(done.results.differences)]:
        for part in table.turned(console.width()):
            console.result_table(part.rows, columns=part.head, title=part.title)
        console.note(part.note)
    for path in done.files:
        console.note(f"written: {path}")
