"""``facerec train``."""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext
from importlib.util import find_spec
from typing import Annotated, Any

import typer

from facerec_cli.cli import completion
from facerec_cli.cli.console import command, progress_bar, result_json
from facerec_cli.errors import MissingExtraError

COMMON, NETWORK, LENGTH, MACHINE, SAFETY = "Common", "Network", "Learning", "Machine", "Running"


def _option(*names: str, help: str, panel: str, offers: Any = None) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(
        *names, help=help, rich_help_panel=panel, autocompletion=offers
    )
    return option


@command
def train(
    data: Annotated[
        str | None,
        _option(
            "--data",
            help="Photos: a folder per person, .rec, list, tar shards, synthetic:CLASSES.",
            panel=COMMON,
        ),
    ] = None,
    loss: Annotated[
        str | None,
        _option(
            "--loss",
            "-l",
            help="otface, ddl, npt, epl, arcface, ... (default: arcface).",
            panel=COMMON,
            offers=completion.losses,
        ),
    ] = None,
    out: Annotated[
        str | None, _option("--out", "-o", help="Folder of the run, such as runs/first.", panel=COMMON)
    ] = None,
    evaluate: Annotated[
        list[str] | None,
        _option("--eval", help="Pairs to watch: a .bin or a list of aligned crops.", panel=COMMON),
    ] = None,
    best: Annotated[
        str | None,
        _option(
            "--best",
            help="Metric of the best checkpoint: accuracy, auc, tar@1e-3.",
            panel=COMMON,
            offers=completion.names("accuracy", "auc", "tar@1e-3"),
        ),
    ] = None,
    recipe: Annotated[
        str | None,
        _option(
            "--recipe",
            "-r",
            help="TOML file, or the name of a shipped recipe.",
            panel=COMMON,
            offers=completion.recipes,
        ),
    ] = None,
    assignments: Annotated[
        list[str] | None,
        _option("--set", help="Any setting, e.g. --set loss.k=6.", panel=COMMON, offers=completion.settings),
    ] = None,
    backbone: Annotated[
        str | None,
        _option(
            "--backbone",
            help="iresnet50, mobilefacenet, vit_s, sface, ...",
            panel=NETWORK,
            offers=completion.backbones,
        ),
    ] = None,
    init: Annotated[
        str | None,
        _option(
            "--init",
            help="Start from a checkpoint, sface, or another project's network (adaface:FILE).",
            panel=NETWORK,
            offers=completion.models,
        ),
    ] = None,
    embedding_size: Annotated[
        int | None, _option("--embedding-size", help="D (default: 512, or the start's).", panel=NETWORK)
    ] = None,
    freeze: Annotated[
        list[str] | None,
        _option("--freeze", help="Module that is not trained; 'all': the whole network.", panel=NETWORK),
    ] = None,
    freeze_bn: Annotated[
        bool | None,
        typer.Option(
            "--freeze-bn/--train-bn",
            help="Keep BN statistics (default: when fine-tuning).",
            rich_help_panel=NETWORK,
        ),
    ] = None,
    hard_data: Annotated[
        list[str] | None,
        _option("--hard-data", help="Photos of a hard group (ddl); one flag a group.", panel=NETWORK),
    ] = None,
    epochs: Annotated[int | None, _option("--epochs", help="Passes over the data.", panel=LENGTH)] = None,
    steps: Annotated[
        int | None, _option("--steps", help="Optimizer steps; overrules --epochs.", panel=LENGTH)
    ] = None,
    batch_size: Annotated[
        int | None, _option("--batch-size", "-b", help="Rows over all processes.", panel=LENGTH)
    ] = None,
    lr: Annotated[float | None, _option("--lr", help="Peak learning rate.", panel=LENGTH)] = None,
    optimizer: Annotated[
        str | None,
        _option(
            "--optimizer",
            help="sgd or adamw (default: sgd).",
            panel=LENGTH,
            offers=completion.choices("optimizer.name"),
        ),
    ] = None,
    schedule: Annotated[
        str | None,
        _option(
            "--schedule",
            help="polynomial, cosine, step or constant (default: polynomial).",
            panel=LENGTH,
            offers=completion.choices("schedule.name"),
        ),
    ] = None,
    warmup: Annotated[
        float | None, _option("--warmup", help="Epochs of linear warm-up.", panel=LENGTH)
    ] = None,
    sample_rate: Annotated[
        float | None,
        _option(
            "--sample-rate", help="Share of the classes in a step (Partial-FC) (default: 1).", panel=LENGTH
        ),
    ] = None,
    seed: Annotated[
        int | None, _option("--seed", help="Of order, weights and augmentation (default: 0).", panel=LENGTH)
    ] = None,
    device: Annotated[
        str | None,
        _option(
            "--device",
            help="auto, cpu, cuda, cuda:1, mps (default: auto).",
            panel=MACHINE,
            offers=completion.names("auto", "cpu", "cuda", "mps"),
        ),
    ] = None,
    gpus: Annotated[
        int | None, _option("--gpus", help="One process on each of so many GPUs.", panel=MACHINE)
    ] = None,
    processes: Annotated[
        int | None, _option("--processes", help="So many processes (gloo on a CPU).", panel=MACHINE)
    ] = None,
    precision: Annotated[
        str | None,
        _option(
            "--precision",
            help="auto, fp32, bf16, fp16 (default: auto).",
            panel=MACHINE,
            offers=completion.choices("run.precision"),
        ),
    ] = None,
    workers: Annotated[
        int | None, _option("--workers", help="Processes that decode photos.", panel=MACHINE)
    ] = None,
    resume: Annotated[bool, _option("--resume", help="Go on with the run in --out.", panel=SAFETY)] = False,
    force: Annotated[
        bool, _option("--overwrite", "--force", help="Write over the run in --out.", panel=SAFETY)
    ] = False,
    on_nan: Annotated[
        str | None,
        _option(
            "--on-nan",
            help="stop, or rollback with half the rate (default: stop).",
            panel=SAFETY,
            offers=completion.choices("run.on_nan"),
        ),
    ] = None,
    dry_run: Annotated[
        bool, _option("--dry-run", help="Check everything, show the plan, stop.", panel=SAFETY)
    ] = False,
    json_output: Annotated[
        bool, _option("--json", help="Plan or outcome as JSON on stdout.", panel=SAFETY)
    ] = False,
) -> None:
    """Train a face recognition network, or adapt one to your own photos.

    facerec train --data crops/ --loss epl --out runs/epl --eval pairs.txt

    facerec train --data crops/ --loss otface --init sface --out runs/mine
    """
    if find_spec("torch") is None:
        raise MissingExtraError("torch", extra="train", purpose="facerec train")
    from facerec_cli.training.compose import compose
    from facerec_cli.training.processes import is_child, is_restarted, launch

    flags = {
        "data.path": data,
        "data.hard": hard_data,
        "data.workers": workers,
        "loss.name": loss,
        "loss.sample_rate": sample_rate,
        "backbone.name": backbone,
        "backbone.init": init,
        "backbone.embedding_size": embedding_size,
        "backbone.freeze": freeze,
        "backbone.freeze_bn": freeze_bn,
        "optimizer.name": optimizer,
        "optimizer.lr": lr,
        "schedule.name": schedule,
        "schedule.epochs": epochs,
        "schedule.steps": steps,
        "schedule.warmup": warmup,
        "run.out": out,
        "run.batch_size": batch_size,
        "run.device": device or ("cuda" if gpus else None),
        "run.precision": precision,
        "run.seed": seed,
        "run.on_nan": on_nan,
        "evaluate.sets": evaluate,
        "evaluate.best": best,
    }
    settings = compose(
        recipe=recipe,
        flags=flags,
        assignments=assignments or (),
        resume=resume or is_restarted(),
    )
    wanted = gpus or processes or 1
    if wanted > 1 and not dry_run and not is_child():
        raise typer.Exit(launch(sys.argv[1:], wanted))
    from facerec_cli.cli import train_view, train_words
    from facerec_cli.images import quiet_decoders

    if dry_run:
        from facerec_cli.training.train import plan

        with quiet_decoders(), progress_bar("Opening data and network"):
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
