"""``facerec embed``: photos in, embeddings and a table out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facerec_cli.cli import completion, console
from facerec_cli.cli.model_options import pack_overrides
from facerec_cli.wording import counted

if TYPE_CHECKING:
    from facerec_cli.embed.engines.base import Opened
    from facerec_cli.packs.overrides import PackOverrides

_PHOTOS, _MODEL, _RESULT = "Photos and faces", "Model and machine", "Results"


@console.command
@pack_overrides
def embed(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT",
            help="Photos, folders (searched below), URLs of either, lists of paths (.txt), quoted patterns, "
            "or - for a list on standard input.",
            show_default=False,
        ),
    ],
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            help="Where to: .npy, .npz or .parquet; a folder/ or URL gets Parquet shards.",
            rich_help_panel=_RESULT,
        ),
    ] = "embeddings.npy",
    model: Annotated[
        str,
        typer.Option(
            "--model",
            "-m",
            help="A pack's name, folder or ONNX file.",
            rich_help_panel=_MODEL,
            autocompletion=completion.models,
        ),
    ] = "sface",
    device: Annotated[
        str,
        typer.Option(
            help="auto, cpu, cuda, tensorrt, coreml or openvino.",
            rich_help_panel=_MODEL,
            autocompletion=completion.devices,
        ),
    ] = "auto",
    threads: Annotated[
        int | None,
        typer.Option(help="CPU threads (default: all cores).", min=1, rich_help_panel=_MODEL),
    ] = None,
    batch_size: Annotated[
        int,
        typer.Option(help="Photos and crops worked on together.", rich_help_panel=_MODEL),
    ] = 16,
    engine: Annotated[
        str,
        typer.Option(
            help="local: this process; ray: workers on a Ray cluster.",
            rich_help_panel=_MODEL,
            autocompletion=completion.engines,
        ),
    ] = "local",
    address: Annotated[
        str | None,
        typer.Option(
            help="The Ray cluster: auto, HOST:PORT or ray://HOST:PORT (default: one on this machine).",
            rich_help_panel=_MODEL,
        ),
    ] = None,
    actors: Annotated[
        int | None,
        typer.Option(
            help="Workers on the cluster, each with --threads CPUs (default: as many as fit).",
            min=1,
            rich_help_panel=_MODEL,
        ),
    ] = None,
    actor_gpus: Annotated[
        float | None,
        typer.Option(
            help="GPUs of a worker; 0.25 lets four share one (default: 1 on a GPU, else 0).",
            min=0,
            rich_help_panel=_MODEL,
        ),
    ] = None,
    faces: Annotated[
        str,
        typer.Option(
            help="Which faces of a photo: all, main, center or largest.",
            rich_help_panel=_PHOTOS,
            autocompletion=completion.all_faces,
        ),
    ] = "all",
    min_score: Annotated[
        float | None,
        typer.Option(help="Least detection score (default: the pack's).", rich_help_panel=_PHOTOS),
    ] = None,
    min_size: Annotated[
        float,
        typer.Option(
            help="Least shorter side of a face's box in pixels of the photo.", rich_help_panel=_PHOTOS
        ),
    ] = 0,
    max_side: Annotated[
        int,
        typer.Option(
            help="Photos with a longer side are searched at this scale first.",
            rich_help_panel=_PHOTOS,
        ),
    ] = 1024,
    rotate: Annotated[
        str,
        typer.Option(
            help="auto: also turn photos by 90, 180 and 270 degrees where no face is sure; or none.",
            rich_help_panel=_PHOTOS,
            autocompletion=completion.names("none", "auto"),
        ),
    ] = "auto",
    aligned: Annotated[
        bool,
        typer.Option(
            "--aligned", help="The photos are aligned face crops: no detection.", rich_help_panel=_PHOTOS
        ),
    ] = False,
    flip: Annotated[
        bool,
        typer.Option("--flip", help="Add the embedding of the mirrored crop.", rich_help_panel=_PHOTOS),
    ] = False,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with an interrupted run.", rich_help_panel=_RESULT),
    ] = False,
    force: Annotated[
        bool,
        typer.Option("--overwrite", "--force", help="Replace an existing result.", rich_help_panel=_RESULT),
    ] = False,
    crops: Annotated[
        Path | None,
        typer.Option(help="Save the aligned faces in this folder.", rich_help_panel=_RESULT),
    ] = None,
    preview: Annotated[
        Path | None,
        typer.Option(help="Write a contact sheet to this HTML file.", rich_help_panel=_RESULT),
    ] = None,
    json_output: Annotated[
        bool,
        typer.Option("--json", help="Print the summary as JSON.", rich_help_panel=_RESULT),
    ] = False,
    *,
    overrides: PackOverrides,
) -> None:
    """Turn photos into embeddings: one row for every face, and a status for every photo."""
    from facerec_cli.embed import EmbedOptions, embed_to_file
    from facerec_cli.errors import UsageError
    from facerec_cli.images import quiet_decoders
    from facerec_cli.packs.resolve import open_pack
    from facerec_cli.registry import ENGINES, load

    def started(opened: Opened, photos: int, done: int) -> None:
        where = f"{opened.provider}, {opened.workers}" if opened.workers else opened.provider
        console.note(f"{counted(photos, 'photo')}, model {opened.pack.name} on {where}")
        if done:
            console.note(f"{done:,} of them were done by the interrupted run")

    worker = load(ENGINES, engine, "engine")
    settings = {"address": address, "actors": actors, "actor_gpus": actor_gpus}
    if engine != "ray" and any(value is not None for value in settings.values()):
        raise UsageError("--address, --actors and --actor-gpus are for --engine ray.")
    with quiet_decoders(), console.stray_prints(), console.progress_bar("Embedding") as progress:
        summary = embed_to_file(
            inputs,
            output,
            model=open_pack(model, overrides=overrides),
            device=device,
            options=EmbedOptions(
                faces=faces,  # type: ignore[arg-type]  # checked by EmbedOptions
                min_score=min_score,
                min_size=min_size,
                max_side=max_side,
                rotate=rotate,  # type: ignore[arg-type]
                aligned=aligned,
                flip=flip,
                batch_size=batch_size,
            ),
            threads=threads,
            engine=worker(**settings) if engine == "ray" else worker(),
            resume=resume,
            overwrite=force,
            crops=crops,
            preview=preview,
            on_start=started,
            progress=progress,
        )
    if json_output:
        console.result_json(summary.document())
        if summary.fault:
            raise typer.Exit(summary.fault.exit_code)
        return
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
    if summary.fault:
        raise summary.fault
