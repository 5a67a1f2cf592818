"""Commands of ``facerec gallery`` about the whole of one; ``gallery.py`` has those about its people."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Annotated

import typer

from facerec_cli.cli import completion, gallery_view
from facerec_cli.cli.command import command
from facerec_cli.cli.console import note, progress_bar, result, result_json
from facerec_cli.cli.options import GalleryName, Json, Overwrite
from facerec_cli.faces.settings import Device, Threads
from facerec_cli.gallery.search_engines.settings import IndexSettings
from facerec_cli.option import Option, rate

Chosen = Annotated[
    list[str] | None, typer.Option("--person", metavar="NAME", help="Only these people (may be repeated).")
]
Rate = Annotated[float, Option("Share of strangers who may get a name.", metavar="RATE", parse=rate)]
Outsiders = Annotated[
    list[str] | None,
    typer.Option(
        "--outsiders",
        metavar="PHOTOS",
        help="Photos of strangers as they will be searched for, or their embeddings (may be repeated): "
        "the best measurement. It takes 3 / RATE people; a subfolder is one.",
    ),
]


@command
def check(gallery: GalleryName, json_output: Json = False) -> None:
    """Look for damage, for faces that are not like their person, and for people who look like one.

    Exit code 3 means that files are damaged; people to look at are no error.
    """
    from facerec_cli.errors import InputError
    from facerec_cli.gallery.calibrate import gallery_tail
    from facerec_cli.gallery.check import check_gallery
    from facerec_cli.gallery.gallery import open_gallery

    with open_gallery(gallery) as opened:
        done = check_gallery(opened, tail=gallery_tail(opened.info), steps=progress_bar)
    if json_output:
        result_json(done.document())
    else:
        gallery_view.show_check(done)
    damaged = sum(finding.kind == "damaged" for finding in done.findings)
    if damaged:
        raise InputError(f"{gallery} is damaged.", hint="Do what the findings say, or take it from a copy.")


@command
def calibrate(
    gallery: GalleryName,
    fpir: Rate = 0.01,
    outsiders: Outsiders = None,
    keep_look_alikes: Annotated[
        bool,
        Option(
            "Take each photo for another stranger, also where it looks like somebody enrolled, or another."
        ),
    ] = False,
    json_output: Json = False,
) -> None:
    """Measure the threshold of a search at this size of the gallery, and keep it with it."""
    from facerec_cli.errors import InputError
    from facerec_cli.gallery.gallery import open_gallery
    from facerec_cli.images import quiet_decoders

    with ExitStack() as stack:
        opened = stack.enter_context(open_gallery(gallery, write=True))
        strangers = None
        if outsiders:
            from facerec_cli.identify.outsiders import read_outsiders

            with quiet_decoders():
                strangers = read_outsiders(outsiders, opened.enrolled(), steps=progress_bar)
        progress = stack.enter_context(progress_bar("Searching people among each other", "people"))
        card = opened.calibrate(
            fpir, outsiders=strangers, keep_look_alikes=keep_look_alikes, progress=progress
        )
        if card.value is not None:
            opened.save_card(card)
    if json_output:
        result_json(card.document())
    else:
        gallery_view.show_card(card)
    if card.value is None:
        raise InputError(
            f"No threshold can be measured: {card.reason}.", hint="Give --outsiders or a larger --fpir."
        )


@command
def export(
    gallery: GalleryName,
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE|xmp",
            help="people.parquet, .npz, .npy: faces with vectors; .csv: facts alone; xmp: face regions "
            "beside the photos, which photo managers read.",
            show_default=False,
        ),
    ],
    person: Chosen = None,
    overwrite: Overwrite = False,
    json_output: Json = False,
) -> None:
    """Write people and faces for other programs; `gallery enroll` reads it back."""
    from facerec_cli.gallery.gallery import open_gallery

    with open_gallery(gallery) as opened:
        if output.lower() == "xmp":
            from facerec_cli.gallery.sidecars import export_regions

            with progress_bar("Writing face regions") as progress:
                sidecars = export_regions(opened, people=person or (), progress=progress)
            gallery_view.show_sidecars(sidecars, json_output=json_output)
            return
        from facerec_cli.gallery.exchange import export_gallery

        with progress_bar("Exporting", "faces") as progress:
            done = export_gallery(opened, output, people=person or (), overwrite=overwrite, progress=progress)
    if json_output:
        result_json({"files": list(done.files), "people": done.people, "faces": done.faces})
    else:
        result(f"{done.faces:,} faces of {done.people:,} people in {', '.join(done.files)}")
        note("This is biometric data: keep it as you keep the gallery.")


@command
def upgrade(
    gallery: GalleryName,
    model: Annotated[
        str, typer.Option("--model", "-m", help="The new model.", autocompletion=completion.models)
    ],
    drop_missing: Annotated[
        bool, Option("Leave out faces whose photo and crop are gone, instead of refusing.")
    ] = False,
    device: Device = "auto",
    threads: Threads = None,
    json_output: Json = False,
) -> None:
    """Embed a gallery's photos anew for another model; names, notes and dates stay."""
    from facerec_cli.gallery.gallery import open_gallery
    from facerec_cli.gallery.upgrade import upgrade_gallery
    from facerec_cli.images import quiet_decoders

    with quiet_decoders(), open_gallery(gallery, write=True) as opened:
        done = upgrade_gallery(
            opened, model, drop_missing=drop_missing, device=device, threads=threads, steps=progress_bar
        )
    if json_output:
        result_json(done.document())
    else:
        gallery_view.show_upgrade(done)
    if done.fault:
        raise done.fault


@command
def index(gallery: GalleryName, *, settings: IndexSettings, json_output: Json = False) -> None:
    """Build the index of `identify --engine index` for very many people, and measure what it misses."""
    from facerec_cli.gallery.gallery import open_gallery
    from facerec_cli.gallery.search_engines.index import index_gallery

    with open_gallery(gallery, write=True) as opened:
        built = index_gallery(opened, settings, steps=progress_bar)
    if json_output:
        result_json({"chosen": built.chosen.document(), "met": built.met})
    else:
        gallery_view.show_index(built)
