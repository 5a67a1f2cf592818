"""What a run of embedding looks like on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facerec_cli.cli import console
from facerec_cli.wording import counted

if TYPE_CHECKING:
    from facerec_cli.embed import Summary
    from facerec_cli.embed.engines.engine import StartedModel


def started(opened: StartedModel, photos: int, done: int) -> None:
    """Say what is embedded with what, and what an interrupted run has done of it."""
    where = f"{opened.provider}, {opened.workers}" if opened.workers else opened.provider
    console.note(f"{counted(photos, 'photo')}, model {opened.pack.name} on {where}")
    if done:
        console.note(f"{done:,} of them were done by the interrupted run")


def show(summary: Summary) -> None:
    """The end of a run: how many photos became what, and where it is."""
    statuses = ", ".join(f"{count:,} {status}" for status, count in summary.statuses.items())
    # A run that was finished already says so; it has no speed.
    speed = f"{summary.photos_per_second:,.1f} photos/s on {summary.provider}"
    if summary.resumed >= summary.photos > 0:
        speed = "finished before, nothing was left to do"
    console.result(f"{counted(summary.photos, 'photo')}: {statuses}")
    if doubtful := summary.statuses.get("doubtful", 0):
        console.warn(
            f"{counted(doubtful, 'photo')} with a doubtful face: its embedding may be worth nothing; "
            "the column reason says why"
        )
    console.result(
        f"{counted(summary.embeddings, 'face')} x {summary.embedding_size} in {summary.output} ({speed})"
    )
    beside = [path for path in summary.files if path != summary.output]
    if beside:
        console.result(f"also written: {', '.join(beside)}")
