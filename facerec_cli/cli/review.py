"""``facerec review``: groups of faces, or a gallery, on a page where a person decides."""

from __future__ import annotations

import shlex
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facerec_cli.cli import console
from facerec_cli.cli.command import command
from facerec_cli.cli.options import Json, OptionalModel, Overwrite
from facerec_cli.cli.signature import Shown
from facerec_cli.errors import UsageError
from facerec_cli.faces.settings import Device, Threads
from facerec_cli.option import Option
from facerec_cli.outputs import refuse_foreign
from facerec_cli.review.settings import PAGE, ReviewSettings
from facerec_cli.wording import counted

if TYPE_CHECKING:
    from facerec_cli.clusters.settings import ClusterSettings
    from facerec_cli.review.decisions import Decisions
    from facerec_cli.review.page import ReviewPage

Target = Annotated[
    str,
    typer.Argument(
        metavar="TARGET",
        help="What `facerec cluster -o` wrote, or a gallery.",
        show_default=False,
    ),
]
Inputs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="INPUT",
        help="The photos or embeddings of a table of groups (default: the photos that it names).",
        show_default=False,
    ),
]


@command
def review(
    target: Target,
    inputs: Inputs = None,
    *,
    settings: ReviewSettings,
    model: Annotated[OptionalModel, Shown("The model of a table of groups (default: sface).")] = None,
    device: Device = "auto",
    threads: Threads = None,
    threshold: Annotated[
        float | None,
        Option(
            "The mean cosine from which on two groups of a table are one (default: by the model).",
            ge=-1,
            le=1,
        ),
    ] = None,
    overwrite: Annotated[Overwrite, Shown("Replace a file that is not facerec's.")] = False,
    json_output: Json = False,
) -> None:
    """Look at groups of faces, or a gallery, on one page, and carry out what was decided.

    The page is one HTML file that works offline, by mouse and by keyboard, with what is most doubtful first.
    It saves decisions.json, which --apply carries out.
    """
    from facerec_cli.clusters.settings import ClusterSettings
    from facerec_cli.gallery.kinds import gallery_folder
    from facerec_cli.images import quiet_decoders

    folder = gallery_folder(target)
    if folder is not None and inputs:
        raise UsageError("A gallery has its photos.", hint="Leave them out, or name a table of groups.")
    page_file = settings.output or Path(PAGE)
    refuse_foreign("report", page_file, flag="--output", overwrite=overwrite)
    with quiet_decoders():
        if folder is not None:
            done = _gallery(folder, settings, page_file, json_output=json_output)
        else:
            grouping = ClusterSettings(
                model=model, device=device, threads=threads, threshold=threshold, apply=settings.apply
            )
            done = _table(Path(target), inputs or [], grouping, settings, page_file, json_output=json_output)
    if json_output:
        console.result_json(done)


def _gallery(folder: Path, settings: ReviewSettings, page_file: Path, *, json_output: bool) -> dict[str, Any]:
    from facerec_cli.gallery.gallery import open_gallery
    from facerec_cli.review.decisions import read_decisions
    from facerec_cli.review.log import write_log
    from facerec_cli.review.of_gallery import gallery_page
    from facerec_cli.review.on_gallery import apply_to_gallery

    if settings.apply is not None:
        decisions = read_decisions(settings.apply)
        with open_gallery(folder, write=True) as gallery:
            done = apply_to_gallery(gallery, decisions)
        log = write_log(decisions, folder)
        console.note(
            f"{counted(done.decisions, 'decision')} carried out: {counted(done.moved, 'face')} moved, "
            f"{done.erased:,} erased; noted in {log}"
        )
        return {**done.document(), "log": str(log)}
    with open_gallery(folder) as gallery:
        page = gallery_page(
            gallery,
            apply=shlex.join(["facerec", "review", str(folder)]) + " --apply FILE",
            decisions=_earlier(settings.saved(folder)),
            most=None if settings.serve else _most(),
            steps=console.progress_bar,
        )
        return _show(page, settings, settings.saved(folder), page_file, json_output=json_output)


def _table(
    table: Path,
    inputs: list[str],
    grouping: ClusterSettings,
    settings: ReviewSettings,
    page_file: Path,
    *,
    json_output: bool,
) -> dict[str, Any]:
    from facerec_cli.clusters.outputs import ClusterOutputs
    from facerec_cli.clusters.pages import review_page
    from facerec_cli.clusters.reviewed import open_reviewed

    found = open_reviewed(table, inputs, grouping, steps=console.progress_bar)
    if found.decisions is not None:
        ClusterOutputs(output=table).write(found, update=table)
        console.note(f"{counted(len(found.decisions), 'decision')} carried out on {table}")
        return {"decisions": len(found.decisions), "output": str(table)}
    page = review_page(
        found,
        apply=shlex.join(["facerec", "review", str(table), *inputs, *_given(grouping)]) + " --apply FILE",
        decisions=_earlier(settings.saved(table)),
        most=None if settings.serve else _most(),
    )
    return _show(page, settings, settings.saved(table), page_file, json_output=json_output)


def _given(grouping: ClusterSettings) -> list[str]:
    """The flags with which decisions have to be carried out, as the page was made with them."""
    flags = {"--model": grouping.model, "--threshold": grouping.threshold}
    return [word for flag, value in flags.items() if value is not None for word in (flag, str(value))]


def _show(
    page: ReviewPage, settings: ReviewSettings, saved: Path, page_file: Path, *, json_output: bool
) -> dict[str, Any]:
    """Write the page, or serve it until somebody ends it."""
    from facerec_cli.review.page import write_page
    from facerec_cli.review.serve import ReviewServer

    say = console.note if json_output else console.result
    if not settings.serve:
        with console.progress_bar("Writing the review page", "faces") as progress:
            write_page(page, page_file, progress=progress)
        say(f"{page_file}: {page.title}, {counted(len(page.questions), 'question')}")
        console.note(f"then: {page.apply.replace('FILE', 'decisions.json')}")
        return {"page": str(page_file), "faces": len(page.faces), "questions": len(page.questions)}
    server = ReviewServer(page, saved, port=settings.port)
    say(server.address)
    console.note(f"open it in a browser of this machine; decisions are saved in {saved}; Ctrl-C ends")
    with suppress(KeyboardInterrupt):
        server.run()
    made = server.decisions
    where = f" in {saved}" if saved.is_file() else ""
    console.note(f"{counted(len(made), 'decision')} saved{where}")
    if len(made):
        console.note(f"then: {page.apply.replace('FILE', shlex.quote(str(saved)))}")
    return {"decisions": len(made), "saved": str(saved)}


def _earlier(saved: Path) -> Decisions | None:
    from facerec_cli.review.decisions import read_decisions

    return read_decisions(saved) if saved.is_file() else None


def _most() -> int:
    from facerec_cli.review.page import MOST_FACES

    return MOST_FACES
