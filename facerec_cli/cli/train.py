"""``facerec train``."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from facerec_cli.cli import completion
from facerec_cli.cli.command import command, require_torch
from facerec_cli.cli.options import Assignments, Json, Overwrite
from facerec_cli.cli.signature import Given, Shown
from facerec_cli.option import Option
from facerec_cli.training.config import recipe_settings
from facerec_cli.training.data_settings import COMMON, LEARNING, MACHINE, NETWORK, RUNNING
from facerec_cli.training.processes import ProcessOptions, is_first, is_restarted, launch

RecipeName = Annotated[
    str | None,
    typer.Option(
        "--recipe",
        "-r",
        help="TOML file, or the name of a shipped recipe.",
        rich_help_panel=COMMON,
        autocompletion=completion.recipes,
    ),
]
Resume = Annotated[bool, Option("Go on with the run in --out.", panel=RUNNING)]
DryRun = Annotated[bool, Option("Check everything, show the plan, stop.", panel=RUNNING)]


PANELS = (COMMON, NETWORK, LEARNING, MACHINE, RUNNING)
FLAGS = {key: setting for key, setting in recipe_settings().items() if setting.flag}
RecipeFlags = Annotated[
    dict[str, Any],
    Given(dict(sorted(FLAGS.items(), key=lambda item: PANELS.index(item[1].option.panel or "")))),
]


@command
def train(
    *,
    flags: RecipeFlags,
    recipe: RecipeName = None,
    assignments: Annotated[Assignments, Shown(panel=COMMON)] = None,
    processes: ProcessOptions,
    resume: Resume = False,
    force: Annotated[Overwrite, Shown("Write over the run in --out.", panel=RUNNING)] = False,
    dry_run: DryRun = False,
    json_output: Annotated[Json, Shown("Plan or outcome as JSON on stdout.", panel=RUNNING)] = False,
) -> None:
    """Train a face recognition network, or adapt one to your own photos.

    facerec train --data crops/ --loss epl --out runs/epl --eval pairs.txt

    facerec train --data crops/ --loss otface --init sface --out runs/mine
    """
    require_torch("facerec train")
    from facerec_cli.cli import train_view, train_words
    from facerec_cli.training.compose import compose

    settings = compose(
        recipe=recipe,
        flags=processes.settings() | flags,
        assignments=assignments or (),
        resume=resume or is_restarted(),
    )
    settings.data.require_path()  # before the folder of the run, whose name follows from the data
    if dry_run:
        train_words.show_plan(train_view.planned(settings), as_json=json_output)
        return
    if count := processes.to_launch():
        raise typer.Exit(launch(sys.argv[1:], count))
    with train_view.watch() as observer:
        from facerec_cli.training.train import train as run  # seconds, in which something is to be seen

        outcome = run(settings, resume=resume, force=force, observer=observer)
    if is_first():
        train_words.show_outcome(outcome, as_json=json_output)
