"""Embedding into files: find the photos, have an engine make the shards, put the result together."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from facerec_cli._version import __version__
from facerec_cli.embed.destination import Destination, ResultFile, open_destination
from facerec_cli.embed.engines.base import Engine, Opened, Work
from facerec_cli.embed.engines.local import LocalEngine
from facerec_cli.embed.outputs import check_outputs, check_overwriting
from facerec_cli.embed.preview import write_preview
from facerec_cli.embed.settings import EmbedOptions
from facerec_cli.embed.summary import Summary
from facerec_cli.embeddings.npz_shards import digest_inputs
from facerec_cli.errors import InputError, OutputError, UsageError
from facerec_cli.files import output_error, refuse_special
from facerec_cli.images import find_images
from facerec_cli.images.find import refuse_missing
from facerec_cli.images.remote import refuse_unknown_schemes
from facerec_cli.outputs import check_writable, refuse_foreign
from facerec_cli.packs.manifest import ModelPack
from facerec_cli.progress import Progress, silent
from facerec_cli.registry import DEFAULT_PACK
from facerec_cli.runtime import installed_versions

SHARD_SIZE = 256
"""Inputs in a shard, rounded to whole batches: what an interruption can cost."""

_VERSIONED = ("onnxruntime", "onnxruntime-gpu", "opencv-python", "numpy")


def embed_to_file(
    inputs: str | Path | Iterable[str | Path],
    output: str | Path,
    *,
    model: str | Path | ModelPack = DEFAULT_PACK,
    device: str = "auto",
    options: EmbedOptions | None = None,
    threads: int | None = None,
    engine: Engine | None = None,
    resume: bool = False,
    overwrite: bool = False,
    crops: Path | None = None,
    preview: Path | None = None,
    on_start: Callable[[Opened, int, int], None] | None = None,
    progress: Progress = silent,
) -> Summary:
    """Embed the faces of photos into ``.npy`` or ``.npz`` with a table beside it, or into Parquet.

    The work is kept in ``OUTPUT.parts`` while it lasts; an interrupted run is taken up with ``resume`` and
    gives the same bytes. An existing result is replaced only when it is of the very same run, or with
    ``overwrite``.

    Args:
        inputs: Files, folders, lists, patterns, URLs or ``-``; see ``images.find_images``.
        output: Where to; its suffix is the format. A URL, or a name that ends in a slash, is a folder of
            Parquet shards.
        model: A pack's name, folder or ONNX file.
        device: auto, cpu, cuda, tensorrt, coreml or openvino.
        options: What to embed and how.
        threads: CPU threads; None takes all cores.
        engine: What does the work; None is this process (``local.LocalEngine``), ``ray.RayEngine`` a cluster.
        resume: Go on with an interrupted run.
        overwrite: Replace whatever is there.
        crops: Folder for the aligned crops; with this process as engine only.
        preview: HTML file for a contact sheet.
        on_start: Told the model, the number of photos and how many an earlier run has done.
        progress: Told the photos done.

    Raises:
        UsageError: The output's suffix is unknown, something is there already, outputs are in the way of an
            input or of each other, or ``resume`` does not fit.
        InputError: None of the inputs exists, or no photo was found.
        OutputError: A file cannot be written; the message names it, the hint says where the work is kept.
        ModelError: The model cannot be used.
        KeyboardInterrupt: With a message that says how to go on.
    """
    settings, worker = options or EmbedOptions(), engine or LocalEngine()
    named = [os.fspath(name) for name in ([inputs] if isinstance(inputs, str | Path) else inputs)]
    destination = open_destination(output)
    _check_places(destination, crops, preview, worker, overwrite=overwrite)
    check_outputs(destination, crops, preview, named)
    began = time.perf_counter()
    own = [path for path in (crops, destination.shards.place) if path is not None]
    refuse_missing(named)  # a result without photos would be in the way of the corrected command
    photos = find_images(named, exclude=own)
    check_overwriting(destination, crops, preview, named, photos)
    if not photos:
        raise InputError("No photo was found.", hint="Name photos, folders with photos, or a list of them.")
    refuse_unknown_schemes(photos)
    step = max(1, SHARD_SIZE // settings.batch_size) * settings.batch_size
    count = -(-len(photos) // step)
    done = len(photos)
    try:
        with destination.lock(), closing(worker):
            opened = worker.start(model, device, threads, settings)
            run = _describe_run(opened, settings, photos, step)
            if crops is None and preview is None and not overwrite:
                before = destination.finished(run, photos)
                if before is not None:  # the earlier run came to its end after all
                    return _summarise(destination, (), opened, before, len(photos), began)
            destination.prepare(run, photos, resume=resume, overwrite=overwrite)
            shards = destination.shards.missing(count)
            size = opened.pack.encoder.embedding_size
            work = Work(photos, step, shards, destination.shards, settings, size, crops, progress)
            done = work.done
            if on_start is not None:
                on_start(opened, len(photos), done)
            worker.run(work)
            document = destination.describe(run, _versions())
            if preview is not None and isinstance(destination, ResultFile):  # a folder was refused
                write_preview(preview, destination.shards, document)
            destination.finish(document)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_interrupted(destination, len(photos), step)) from None
    except OutputError as fault:
        raise OutputError(fault.message, hint=f"{fault.hint} {_safe(destination)}".rstrip()) from fault
    except OSError as fault:
        raise output_error(fault.filename or destination.path, fault, hint=_safe(destination)) from fault
    extra = [path for path in (preview, crops) if path is not None]
    return _summarise(destination, extra, opened, document, done, began)


def _check_places(
    destination: Destination, crops: Path | None, preview: Path | None, engine: Engine, *, overwrite: bool
) -> None:
    """Refuse what cannot be written before any work is done."""
    if isinstance(destination.shards.place, Path):
        check_writable("-o", destination.path, destination.shards.place.parent)
    destination.check()
    if preview is not None:
        refuse_special(preview)
        check_writable("--preview", preview, preview.parent)
        refuse_foreign("contact sheet", preview, flag="--preview", overwrite=overwrite)
    if preview is not None and preview.is_dir():
        raise UsageError(f"{preview} is a folder; a file is to be written there.", hint="Name another file.")
    if preview is not None and destination.shards.shared:
        raise UsageError("--preview needs a result in one file.", hint="Use -o embeddings.parquet.")
    if crops is not None and os.path.isfile(crops):  # noqa: PTH113 - False where one may not look
        raise UsageError(f"--crops {crops} is a file, not a folder.", hint="Name a folder.")
    if crops is not None:
        check_writable("--crops", crops, crops)
    if crops is not None and not isinstance(engine, LocalEngine):
        raise UsageError("--crops is for --engine local.", hint="Leave it out, or embed on this machine.")


def _describe_run(opened: Opened, options: EmbedOptions, photos: Sequence[str], step: int) -> dict[str, Any]:
    """Everything that decides the bytes of the result; which engine makes it does not."""
    return {
        "model": {"name": opened.pack.name, "sha256": opened.hash},
        "provider": opened.provider,
        "settings": asdict(options),
        "embedding_size": opened.pack.encoder.embedding_size,
        "shard_size": step,
        "inputs": {"count": len(photos), "sha256": digest_inputs(photos)},
    }


def _summarise(
    destination: Destination,
    extra: Sequence[Path],
    opened: Opened,
    document: Mapping[str, Any],
    resumed: int,
    began: float,
) -> Summary:
    return Summary(
        output=destination.path,
        files=(*destination.files, *map(str, extra)),
        model=opened.pack.name,
        model_sha256=opened.hash,
        provider=opened.provider,
        photos=document["inputs"]["count"],
        embeddings=document["rows"],
        embedding_size=document["embedding_size"],
        statuses=document["statuses"],
        resumed=resumed,
        seconds=time.perf_counter() - began,
    )


def _versions() -> dict[str, str]:
    return {"facerec": __version__, **installed_versions(_VERSIONED)}


def _interrupted(destination: Destination, photos: int, step: int) -> str:
    if not destination.shards.begun():
        return "interrupted before any work was done"
    left = sum(min(step, photos - index * step) for index in destination.shards.missing(-(-photos // step)))
    return (
        f"interrupted; {photos - left:,} of {photos:,} photos are safe, which are saved {step} at a time. "
        "Go on with the same command and --resume"
    )


def _safe(destination: Destination) -> str:
    """Where the work is that a run has done before its output could not be written."""
    return (
        f"What is done is safe in {destination.shards.place}: go on with the same command and --resume."
        if destination.shards.begun()
        else ""
    )
