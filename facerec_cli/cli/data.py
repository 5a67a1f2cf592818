"""``facerec data``: look at training data, check it, convert it, align it, make verification sets of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facerec_cli.cli import CONTEXT, completion, console
from facerec_cli.cli.group import Group
from facerec_cli.cli.output_options import Overwrite, one_target
from facerec_cli.wording import counted, people

if TYPE_CHECKING:
    from facerec_cli.data import FaceDataset

app = typer.Typer(
    cls=Group,
    help="Look at training data, check it, convert it, align it, make verification sets of it.",
    no_args_is_help=True,
    context_settings=CONTEXT,
)

_SHOWN = 10  # names that a table of faults shows; --json has all

Source = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="A folder with a folder per person, a .rec, a list of `path label`, tar shards, "
        "or synthetic:CLASSES.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
OldTarget = Annotated[
    Path | None, typer.Argument(metavar="TARGET", help="The same as -o.", show_default=False)
]
Seed = Annotated[int, typer.Option(help="Fixes the draw.", min=0)]


def _open(data: str) -> FaceDataset:
    from facerec_cli.data import open_stored

    with console.progress_bar(f"Opening {data}"):
        dataset = open_stored(data)
    for warning in dataset.warnings:
        console.warn(warning)
    return dataset


@app.command()
@console.command
def info(data: Source, json_output: Json = False) -> None:
    """Count photos and people, and show how the photos are spread over them."""
    from facerec_cli.data.tools.describe import describe
    from facerec_cli.images import quiet_decoders

    dataset = _open(data)
    with quiet_decoders(), console.progress_bar("Looking at photos"):
        found = describe(dataset)
    if json_output:
        console.result_json(found)
        return
    spread = found["photos_per_person"]
    sizes = ", ".join(f"{size} ({count})" for size, count in found["sizes"].items())
    rows = [
        ("format", found["format"]),
        ("photos", f"{found['photos']:,}"),
        ("people", f"{found['people']:,}"),
        (
            "photos per person",
            f"{spread['min']:,} to {spread['max']:,}, median {spread['median']:g}, mean {spread['mean']:.1f}",
        ),
        ("people with one photo", f"{found['people_with_one_photo']:,}"),
        ("classes without photos", f"{found['people_without_photos']:,}"),
        ("sizes of a sample", sizes),
    ]
    console.result_table(rows, columns=("what", "value"), title=data)


@app.command()
@console.command
def check(
    data: Source,
    against: Annotated[
        str | None,
        typer.Option(help="Evaluation set that must not overlap: a pair list, .bin, or any data set."),
    ] = None,
    near: Annotated[
        bool, typer.Option(help="Also find photos that were saved again or resized, by a perceptual hash.")
    ] = True,
    json_output: Json = False,
) -> None:
    """Decode every photo; find broken ones, duplicates across people, empty classes, overlap with a test.

    Ends with code 5 where there is something to mend.
    """
    from dataclasses import asdict

    from facerec_cli.data.tools.describe import check as check_dataset
    from facerec_cli.data.tools.pairs import open_evaluation
    from facerec_cli.errors import PartialFailure
    from facerec_cli.images import quiet_decoders

    dataset = _open(data)
    test = open_evaluation(against) if against else ()
    with quiet_decoders(), console.progress_bar("Checking") as progress:
        report = check_dataset(dataset, against=test, near=near, progress=progress)
    if json_output:
        console.result_json(asdict(report) | {"problems": report.problems})
        if report.problems:
            raise typer.Exit(PartialFailure.exit_code)
        return
    lists = {
        "broken photos": [f"{name}: {reason}" for name, reason in report.broken],
        "classes without photos": report.empty,
        "equal photos of different people": [" = ".join(group) for group in report.across],
        "nearly equal photos of different people": [" ~ ".join(pair) for pair in report.near],
        f"overlap with {against}": [" = ".join(pair) for pair in report.overlap],
    }
    rows = [
        *((what, f"{len(names):,}") for what, names in lists.items() if against or "overlap" not in what),
        ("repeated photos of one person", f"{report.within:,}"),
        ("people with one photo", f"{report.single:,}"),
    ]
    console.result_table(rows, columns=("found", "count"), title=f"{data}: {counted(report.photos, 'photo')}")
    for what, names in lists.items():
        for name in names[:_SHOWN]:
            console.result(f"{what}: {name}")
        if len(names) > _SHOWN:
            console.result(f"{what}: {len(names) - _SHOWN:,} more; --json lists them all")
    if report.problems:
        raise PartialFailure(
            f"{report.problems:,} things to mend in {data}.",
            hint="Remove or relabel what is listed; `facerec data convert` writes a clean copy.",
        )


@app.command()
@console.command
def convert(
    data: Source,
    argument: OldTarget = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="A new folder, x.rec, x.tar (a folder of shards) or x.txt."),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(
            help="folder, rec, list or tar (default: by the target's name).",
            autocompletion=completion.formats,
        ),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Write the data in another format; the photos' bytes stay as they are."""
    from facerec_cli.data.tools.convert import convert as convert_dataset

    target = one_target(argument, output)
    dataset = _open(data)
    with console.progress_bar("Writing") as progress:
        written = convert_dataset(dataset, target, to, overwrite=overwrite, progress=progress)
    console.result(
        f"{counted(len(dataset), 'photo')} of {people(dataset.num_classes)} as {written} in {target}"
    )


@app.command()
@console.command
def align(
    data: Source,
    argument: OldTarget = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A new folder for the crops.")] = None,
    model: Annotated[
        str,
        typer.Option("--model", "-m", help="Whose detector and template.", autocompletion=completion.models),
    ] = "sface",
    device: Annotated[
        str,
        typer.Option(
            help="auto, cpu, cuda, tensorrt, coreml or openvino.", autocompletion=completion.devices
        ),
    ] = "auto",
    faces: Annotated[
        str,
        typer.Option(
            help="Which face of a photo with several: main, center or largest.",
            autocompletion=completion.one_face,
        ),
    ] = "main",
    max_side: Annotated[
        int, typer.Option(help="Photos with a longer side are searched at this scale first.", min=32)
    ] = 1024,
    resume: Annotated[bool, typer.Option("--resume", help="Go on in a folder of an earlier run.")] = False,
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
        if without:
            raise typer.Exit(PartialFailure.exit_code)
        return
    told = ", ".join(f"{count:,} {status}" for status, count in statuses.most_common())
    console.result(f"{counted(len(dataset), 'photo')}: {told}; see {target / ALIGNMENT_TABLE}")
    if without:
        raise PartialFailure(
            f"{counted(without, 'photo')} gave no crop.", hint=f"{target / ALIGNMENT_TABLE} says why."
        )


def _tell_pairs(drawn: int, wanted: int, folds: int, output: Path) -> None:
    if drawn + 2 * folds <= wanted:  # less is lost by rounding to whole folds
        console.warn(f"these photos give {drawn:,} pairs in equal halves, fewer than --pairs {wanted:,}")
    console.result(f"{drawn:,} pairs, half of them of one person, in {output}")


@app.command("bin")
@console.command
def make_bin(
    data: Source,
    output: Annotated[Path, typer.Option("--output", "-o", help="The .bin to write.")],
    pairs: Annotated[int, typer.Option(help="Pairs, half of them of one person.", min=2)] = 6000,
    folds: Annotated[int, typer.Option(help="Balanced blocks that the pairs come in.", min=1)] = 10,
    seed: Seed = 0,
    overwrite: Overwrite = False,
) -> None:
    """Make insightface's .bin verification set from aligned photos."""
    from facerec_cli.data.tools.pairs import draw_pairs, write_bin

    dataset = _open(data)
    drawn = draw_pairs(dataset.labels, pairs, folds=folds, seed=seed)
    with console.progress_bar("Writing", unit="pairs") as progress:
        write_bin(dataset, drawn, output, progress, overwrite=overwrite)
    _tell_pairs(len(drawn.same), pairs, folds, output)


@app.command("pairs")
@console.command
def make_pairs(
    data: Source,
    output: Annotated[Path, typer.Option("--output", "-o", help="The list to write.")],
    pairs: Annotated[int, typer.Option(help="Pairs, half of them of one person.", min=2)] = 6000,
    folds: Annotated[int, typer.Option(help="Balanced blocks that the pairs come in.", min=1)] = 10,
    seed: Seed = 0,
    overwrite: Overwrite = False,
) -> None:
    """Make a list of `path path 1|0` for `facerec verify` from photos in files."""
    from facerec_cli.data.tools.pairs import draw_pairs, write_pairs

    dataset = _open(data)
    drawn = draw_pairs(dataset.labels, pairs, folds=folds, seed=seed)
    write_pairs(dataset, drawn, output, overwrite=overwrite)
    _tell_pairs(len(drawn.same), pairs, folds, output)


@app.command()
@console.command
def split(
    data: Source,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for train.txt and test.txt.")],
    test_identities: Annotated[
        float, typer.Option(help="People in test.txt: a part below 1, or a number.", min=0)
    ] = 0.2,
    min_photos: Annotated[int, typer.Option(help="People with fewer photos are in neither list.", min=1)] = 1,
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
