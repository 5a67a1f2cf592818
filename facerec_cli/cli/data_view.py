"""What is told of training data on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facerec_cli.cli import console
from facerec_cli.wording import counted, people

if TYPE_CHECKING:
    from facerec_cli.data.mining.run import Mined
    from facerec_cli.data.tools.check import CheckReport

_SHOWN = 10  # names that a table of faults shows; --json has all


def show_description(description: Mapping[str, Any], data: str) -> None:
    """Counts, and how photos are spread over people."""
    spread = description["photos_per_person"]
    sizes = ", ".join(f"{size} ({count})" for size, count in description["sizes"].items())
    rows = [
        ("format", description["format"]),
        ("photos", f"{description['photos']:,}"),
        ("people", f"{description['people']:,}"),
        (
            "photos per person",
            f"{spread['min']:,} to {spread['max']:,}, median {spread['median']:g}, mean {spread['mean']:.1f}",
        ),
        ("people with one photo", f"{description['people_with_one_photo']:,}"),
        ("classes without photos", f"{description['people_without_photos']:,}"),
        ("sizes of a sample", sizes),
    ]
    console.result_table(rows, columns=("what", "value"), title=data)


def show_faults(report: CheckReport, data: str, against: str | None) -> None:
    """How many faults there are of each kind, and the first of them."""
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


def show_pairs(drawn: int, wanted: int, folds: int, output: Path) -> None:
    """How many pairs were drawn, and that there could not be as many as were asked for."""
    if drawn + 2 * folds <= wanted:  # less is lost by rounding to whole folds
        console.warn(f"these photos give {drawn:,} pairs in equal halves, fewer than --pairs {wanted:,}")
    console.result(f"{drawn:,} pairs, half of them of one person, in {output}")


_LEFT_OUT = {
    "never": "of evaluations (--never)",
    "other_person": "with a suspected label: nearer to another person",
    "not_alike": "with a suspected label: not like the person's others",
    "same_people": "of people who look like another one",
    "small_margin": "hardly nearer to their own person than to the next",
    "few_photos": "of people with too few photos",
}


def show_mined(found: Mined) -> None:
    """What was looked at, what is left out and why, and what is hard."""
    told = found.document()
    rows = [("looked at", f"{told['faces']:,} faces of {people(told['people'])}")]
    rows += [("left out", f"{count:,} {_LEFT_OUT[reason]}") for reason, count in found.counts.items()]
    rows.append(("to train on", f"{told['photos']:,} faces of {people(told['people_kept'])}"))
    rows.append(("of these hard", f"{told['hard']:,}, shown {found.hard_weight:g} times as often"))
    console.result_table(rows, columns=("what", "how many"), title=told["source"])
    for smaller, larger, score in found.same_people[:_SHOWN]:
        console.result(f"look like one person: {smaller} and {larger} ({score:.3f})")
    if len(found.same_people) > _SHOWN:
        console.result(f"look like one person: {len(found.same_people) - _SHOWN:,} pairs more; see --noise")
