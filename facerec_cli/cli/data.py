"""``facerec data``: look at training data, check it, convert it, align it, make verification sets of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from facerec_cli.cli import console
from facerec_cli.cli.command import command
from facerec_cli.cli.data_mine import mine
from facerec_cli.cli.data_view import show_description, show_faults, show_pairs
from facerec_cli.cli.group import CONTEXT, Group
from facerec_cli.cli.options import Json, Model, Output, Overwrite, one_target
from facerec_cli.cli.signature import Shown
from facerec_cli.faces.settings import DEFAULT_MAX_SIDE, Device, MaxSide, OneFace
from facerec_cli.option import Option
from facerec_cli.registry import DATASET_WRITERS, DEFAULT_PACK
from facerec_cli.wording import counted, people

if TYPE_CHECKING:
    from facerec_cli.data import FaceDataset

app = typer.Typer(
    cls=Group,
    help="Look at training data, check it, convert it, align it, mine it, make verification sets of it.",
    no_args_is_help=True,
    context_settings=CONTEXT,
)

_KINDS = "A folder with a folder per person, a .rec, a list of `path label`, tar shards, or synthetic:CLASSES"
Source = Annotated[str, typer.Argument(metavar="DATA", help=f"{_KINDS}.", show_default=False)]
Sources = Annotated[
    list[str],
    typer.Argument(
        metavar="DATA...",
        help=f"{_KINDS}; several are looked at as one.",
        show_default=False,
    ),
]
Labels = Annotated[
    Literal["separate", "shared"],
    Option("Whether people of one name in several data sets are the same: {choices}.", flag="--data-labels"),
]
OldTarget = Annotated[
    Path | None, typer.Argument(metavar="TARGET", help="The same as -o.", show_default=False)
]
NewFile = Annotated[Path, Option("The file to write.", flag="--output", short="-o")]
Against = Annotated[
    str | None, Option("Evaluation set that must not overlap: a pair list, .bin, or any data set.")
]
Near = Annotated[
    bool,
    Option(
        "Also find photos that were saved again or resized, by a perceptual hash.", flag="--near/--no-near"
    ),
]
Format = Annotated[str | None, Option("{choices} (default: by the target's name).", offers=DATASET_WRITERS)]
SkipBroken = Annotated[bool, Option("Leave out photos that cannot be decoded, and name them.")]
Resume = Annotated[bool, Option("Go on in a folder of an earlier run.")]
PairCount = Annotated[int, Option("Pairs, half of them of one person.", ge=2)]
Folds = Annotated[int, Option("Balanced blocks that the pairs come in.", ge=1)]
Seed = Annotated[int, Option("Fixes the draw.", ge=0)]
TestShare = Annotated[float, Option("People in test.txt: a part below 1, or a number.", ge=0)]
MinPhotos = Annotated[int, Option("People with fewer photos are in neither list.", ge=1)]


def _open(*data: str, labels: str = "separate") -> FaceDataset:
    from facerec_cli.data import join_sets, open_stored

    with console.progress_bar(f"Opening {' and '.join(data)}"):
        dataset = join_sets([open_stored(one) for one in data], labels=[labels])
    for warning in dataset.warnings:
        console.warn(warning)
    return dataset


@app.command()
@command
def info(data: Sources, labels: Labels = "separate", json_output: Json = False) -> None:
    """Count photos and people, and show how the photos are spread over them."""
    from facerec_cli.data.tools.describe import describe
    from facerec_cli.images import quiet_decoders

    dataset = _open(*data, labels=labels)
    with quiet_decoders(), console.progress_bar("Looking at photos"):
        description = describe(dataset)
    if json_output:
        console.result_json(description)
    else:
        show_description(description, dataset.spec)


@app.command()
@command
def check(
    data: Sources,
    labels: Labels = "separate",
    against: Against = None,
    near: Near = True,
    json_output: Json = False,
) -> None:
    """Decode every photo; find broken ones, duplicates across people, empty classes, overlap with a test.

    Of several data sets it also finds the photos that are in more than one.

    Ends with code 5 where there is something to mend.
    """
    from dataclasses import asdict

    from facerec_cli.data.tools.check import check as check_dataset
    from facerec_cli.data.tools.pairs import open_evaluation
    from facerec_cli.errors import PartialFailure
    from facerec_cli.images import quiet_decoders

    dataset = _open(*data, labels=labels)
    test = open_evaluation(against) if against else ()
    with quiet_decoders(), console.progress_bar("Checking") as progress:
        report = check_dataset(dataset, against=test, near=near, progress=progress)
    if json_output:
        console.result_json(asdict(report) | {"problems": report.problems})
    else:
        show_faults(report, dataset.spec, against)
    if report.problems:
        raise PartialFailure(
            f"{report.problems:,} things to mend in {dataset.spec}.",
            hint="Remove or relabel these; `facerec data convert --skip-broken` leaves out broken photos.",
        )


@app.command()
@command
def convert(
    data: Source,
    argument: OldTarget = None,
    output: Annotated[Output, Shown("A new folder, x.rec, x.tar (a folder of shards) or x.txt.")] = None,
    to: Format = None,
    skip_broken: SkipBroken = False,
    overwrite: Overwrite = False,
) -> None:
    """Write the data in another format; the photos' bytes stay as they are."""
    from facerec_cli.data.tools.convert import convert as convert_dataset
    from facerec_cli.data.tools.convert import readable
    from facerec_cli.images import quiet_decoders

    target = one_target(argument, output)
    dataset = _open(data)
    if skip_broken:
        with quiet_decoders(), console.progress_bar("Checking") as progress:
            dataset = readable(dataset, progress)
    with console.progress_bar("Writing") as progress:
        written = convert_dataset(dataset, target, to, overwrite=overwrite, progress=progress)
    console.result(
        f"{counted(len(dataset), 'photo')} of {people(dataset.num_classes)} as {written} in {target}"
    )


@app.command()
@command
def align(
    data: Source,
    argument: OldTarget = None,
    output: Annotated[Output, Shown("A new folder for the crops.")] = None,
    model: Annotated[Model, Shown("Whose detector and template.")] = DEFAULT_PACK,
    device: Device = "auto",
    faces: OneFace = "main",
    max_side: MaxSide = DEFAULT_MAX_SIDE,
    resume: Resume = False,
    json_output: Json = False,
) -> None:
    """Cut one aligned face out of each photo; alignment.tsv says what became of every photo."""
    from facerec_cli.data.formats.folder import ALIGNMENT_TABLE
    from facerec_cli.data.tools.align import align as align_dataset
    from facerec_cli.errors import PartialFailure
    from facerec_cli.faces import open_model
    from facerec_cli.images import quiet_decoders

    target = one_target(argument, output)
    dataset = _open(data)
    opened = open_model(model, device=device)
    with quiet_decoders(), console.progress_bar("Aligning") as progress:
        statuses = align_dataset(
            dataset,
            target,
            opened,
            faces=faces,
            resume=resume,
            uniform=True,
            max_side=max_side,
            progress=progress,
        )
    without = len(dataset) - statuses["ok"] - statuses["doubtful"] - statuses["kept"]
    if json_output:
        console.result_json({"photos": len(dataset), "statuses": dict(statuses), "target": str(target)})
    else:
        counts = ", ".join(f"{count:,} {status}" for status, count in statuses.most_common())
        console.result(f"{counted(len(dataset), 'photo')}: {counts}; see {target / ALIGNMENT_TABLE}")
    if without:
        raise PartialFailure(
            f"{counted(without, 'photo')} gave no crop.", hint=f"{target / ALIGNMENT_TABLE} says why."
        )


@app.command()
@command
def degrade(
    data: Source,
    argument: OldTarget = None,
    output: Annotated[Output, Shown("A new folder for the photos.")] = None,
    seed: Annotated[Seed, Shown("Decides how each photo is made hard.")] = 0,
) -> None:
    """Make whole photos hard as life does: far away, blurred, dark, badly compressed.

    Align them afterwards: a training run with data.versions shows the crops in place of the clean ones.
    """
    from facerec_cli.data.tools.degrade import degrade as degrade_dataset
    from facerec_cli.images import quiet_decoders

    target = one_target(argument, output)
    dataset = _open(data)
    with quiet_decoders(), console.progress_bar("Writing") as progress:
        degrade_dataset(dataset, target, seed=seed, progress=progress)
    console.result(f"{counted(len(dataset), 'photo')} of {people(dataset.num_classes)} made hard in {target}")


@app.command("bin")
@command
def make_bin(
    data: Source,
    output: Annotated[NewFile, Shown("The .bin to write.")],
    pairs: PairCount = 6000,
    folds: Folds = 10,
    seed: Seed = 0,
    overwrite: Overwrite = False,
) -> None:
    """Make insightface's .bin verification set from aligned photos."""
    from facerec_cli.data.tools.pairs import draw_pairs, write_bin

    dataset = _open(data)
    drawn = draw_pairs(dataset.labels, pairs, folds=folds, seed=seed)
    with console.progress_bar("Writing", unit="pairs") as progress:
        write_bin(dataset, drawn, output, progress, overwrite=overwrite)
    show_pairs(len(drawn.same), pairs, folds, output)


@app.command("pairs")
@command
def make_pairs(
    data: Source,
    output: Annotated[NewFile, Shown("The list to write.")],
    pairs: PairCount = 6000,
    folds: Folds = 10,
    seed: Seed = 0,
    overwrite: Overwrite = False,
) -> None:
    """Make a list of `path path 1|0` for `facerec verify` from photos in files."""
    from facerec_cli.data.tools.pairs import draw_pairs, write_pairs

    dataset = _open(data)
    drawn = draw_pairs(dataset.labels, pairs, folds=folds, seed=seed)
    write_pairs(dataset, drawn, output, overwrite=overwrite)
    show_pairs(len(drawn.same), pairs, folds, output)


@app.command()
@command
def split(
    data: Source,
    output: Annotated[NewFile, Shown("Folder for train.txt and test.txt.")],
    test_identities: TestShare = 0.2,
    min_photos: MinPhotos = 1,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    json_output: Json = False,
) -> None:
    """Write train.txt and test.txt, two lists that share no person."""
    from facerec_cli.data.tools.pairs import split as split_dataset

    sides = split_dataset(
        _open(data),
        output,
        test_identities=test_identities,
        min_photos=min_photos,
        seed=seed,
        overwrite=overwrite,
    )
    if json_output:
        console.result_json({side: {"people": a, "photos": b} for side, (a, b) in sides.items()})
        return
    for side, (persons, photos) in sides.items():
        console.result(f"{output / f'{side}.txt'}: {counted(photos, 'photo')} of {people(persons)}")


app.command()(mine)
