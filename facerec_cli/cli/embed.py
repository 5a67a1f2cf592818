"""``facerec embed``: photos in, embeddings and a table out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facerec_cli.cli import console
from facerec_cli.cli.command import command
from facerec_cli.cli.embed_view import show, started
from facerec_cli.cli.options import Json, Model, Overwrite
from facerec_cli.cli.signature import Shown
from facerec_cli.embed.settings import EmbedOptions, EngineOptions
from facerec_cli.faces.settings import RESULTS, Device, Threads
from facerec_cli.option import Option
from facerec_cli.packs.overrides import PackOverrides
from facerec_cli.registry import DEFAULT_PACK, embedding_suffixes
from facerec_cli.wording import alternatives

Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT",
        help="Photos, folders (searched below), URLs of either, lists of paths (.txt), quoted patterns, "
        "or - for a list on standard input.",
        show_default=False,
    ),
]
Output = Annotated[
    str,
    Option(
        f"Where to: {alternatives(embedding_suffixes())}; a folder/ or URL gets Parquet shards.",
        short="-o",
        panel=RESULTS,
    ),
]
Resume = Annotated[bool, Option("Go on with an interrupted run.", panel=RESULTS)]
Crops = Annotated[Path | None, Option("Save the aligned faces in this folder.", panel=RESULTS)]
Preview = Annotated[Path | None, Option("Write a contact sheet to this HTML file.", panel=RESULTS)]


@command
def embed(
    inputs: Inputs,
    output: Output = "embeddings.npy",
    model: Model = DEFAULT_PACK,
    device: Device = "auto",
    threads: Threads = None,
    *,
    engine: EngineOptions,
    options: EmbedOptions,
    resume: Resume = False,
    force: Annotated[Overwrite, Shown("Replace an existing result.", panel=RESULTS)] = False,
    crops: Crops = None,
    preview: Preview = None,
    json_output: Annotated[Json, Shown("Print the summary as JSON.", panel=RESULTS)] = False,
    overrides: PackOverrides,
) -> None:
    """Turn photos into embeddings: one row for every face, and a status for every photo."""
    from facerec_cli.embed import embed_to_file
    from facerec_cli.embed.engines.engine import open_engine
    from facerec_cli.images import quiet_decoders
    from facerec_cli.packs.resolve import open_pack

    with quiet_decoders(), console.stray_prints(), console.progress_bar("Embedding") as progress:
        summary = embed_to_file(
            inputs,
            output,
            model=open_pack(model, overrides=overrides),
            device=device,
            options=options,
            threads=threads,
            engine=open_engine(engine),
            resume=resume,
            overwrite=force,
            crops=crops,
            preview=preview,
            on_start=started,
            progress=progress,
        )
    if json_output:
        console.result_json(summary.document())
    else:
        show(summary)
    if summary.fault:
        raise summary.fault
