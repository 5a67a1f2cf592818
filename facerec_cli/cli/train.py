"""``facerec train``."""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext
from typing import Annotated, Any

import typer

from facerec_cli.cli import completion
from facerec_cli.cli.command import command, require_torch
from facerec_cli.cli.console import progress_bar, result_json
from facerec_cli.cli.options import Assignments, Json, Overwrite
from facerec_cli.cli.signature import Given, Shown
from facerec_cli.option import Option
from facerec_cli.training.config import COMMON, LEARNING, MACHINE, NETWORK, RUNNING, recipe_settings

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
Gpus = Annotated[int | None, Option("One process on each of so many GPUs.", panel=MACHINE)]
Processes = Annotated[int | None, Option("So many processes (gloo on a CPU).", panel=MACHINE)]
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
    gpus: Gpus = None,
    processes: Processes = None,
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
    from facerec_cli.images import quiet_decoders
    from facerec_cli.training.compose import compose
    from facerec_cli.training.processes import is_child, is_restarted, launch

    if gpus:
        flags.setdefault("run.device", "cuda")
    settings = compose(
        recipe=recipe, flags=flags, assignments=assignments or (), resume=resume or is_restarted()
    )
    wanted = gpus or processes or 1
    if wanted > 1 and not dry_run and not is_child():
        raise typer.Exit(launch(sys.argv[1:], wanted))
    if dry_run:
        with quiet_decoders(), progress_bar("Opening data and network"):
            from facerec_cli.training.train import plan

            planned = plan(settings)
        train_words.show_plan(planned, as_json=json_output)
        return
    if os.environ.get("RANK", "0") != "0":
        from facerec_cli.training.train import train as run

        train_view.silence()
        run(settings, resume=resume, force=force)
        return
    alone = "RANK" not in os.environ  # what NCCL and gloo say of several processes is wanted
    with quiet_decoders() if alone else nullcontext(), train_view.watch() as observer:
        from facerec_cli.training.train import train as run  # seconds, in which something is to be seen

        outcome = run(settings, resume=resume, force=force, observer=observer)
    if json_output:
        result_json(train_words.outcome_document(outcome))
    else:
        train_words.show_outcome(outcome)
