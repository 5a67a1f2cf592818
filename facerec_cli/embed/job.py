"""Embedding into files: find the photos, have an engine make the shards, put the result together."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from facerec_cli._version import __version__
from facerec_cli.embed.destination import Destination
from facerec_cli.embed.engines.engine import Engine, StartedModel, Work
from facerec_cli.embed.engines.local import LocalEngine
from facerec_cli.embed.outputs import Outputs
from facerec_cli.embed.preview import write_preview
from facerec_cli.embed.settings import EmbedOptions
from facerec_cli.embed.summary import Summary
from facerec_cli.embeddings.npz_shards import NpzShards, digest_inputs
from facerec_cli.errors import InputError, OutputError
from facerec_cli.faces.quality_limits import is_limits
from facerec_cli.files import output_error
from facerec_cli.images import find_images
from facerec_cli.images.inputs import refuse_missing
from facerec_cli.images.remote import refuse_unknown_schemes
from facerec_cli.packs.manifest import ModelPack
from facerec_cli.packs.resolve import open_pack, pack_hash
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
    on_start: Callable[[StartedModel, int, int], None] | None = None,
    progress: Progress = silent,
) -> Summary:
    """Embed the faces of photos into ``.npy`` or ``.npz`` with a table beside it, or into Parquet.

    The work is kept in ``OUTPUT.parts`` while it lasts; an interrupted run is gone on with by ``resume`` and
    gives the same bytes. A finished result of the very same run is checked and kept; any other is replaced
    with ``overwrite`` only.

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
    settings, worker = _with_limits(options or EmbedOptions(), model), engine or LocalEngine()
    named = [os.fspath(name) for name in ([inputs] if isinstance(inputs, str | Path) else inputs)]
    destination = Destination(output)
    outputs = Outputs(destination, crops, preview)
    outputs.check(local=isinstance(worker, LocalEngine), overwrite=overwrite)
    outputs.refuse_collisions(named)
    began = time.perf_counter()
    photos = _find_photos(named, outputs)
    step = max(1, SHARD_SIZE // settings.batch_size) * settings.batch_size
    with _faults_say_what_is_kept(destination, len(photos), step), destination.lock(), closing(worker):
        opened = worker.start(model, device, threads, settings)
        run = _describe_run(opened, settings, photos, step)
        if crops is None and preview is None and not overwrite:
            before = destination.finished(run, photos)
            if before is not None:  # an earlier run came to its end
                return _summarise(destination, (), opened, before, len(photos), began)
        destination.prepare(run, photos, resume=resume, overwrite=overwrite)
        shards = destination.shards.missing(-(-len(photos) // step))
        size = opened.pack.encoder.embedding_size
        work = Work(photos, step, shards, destination.shards, settings, size, crops, progress)
        if on_start is not None:
            on_start(opened, len(photos), work.done)
        worker.run(work)
        description = destination.describe(run, _versions())
        if preview is not None and isinstance(destination.shards, NpzShards):  # a folder was refused
            write_preview(preview, destination.shards, description)
        destination.finish(description)
    extra = [path for path in (preview, crops) if path is not None]
    return _summarise(destination, extra, opened, description, work.done, began)


def _with_limits(options: EmbedOptions, model: str | Path | ModelPack) -> EmbedOptions:
    """The limits of a card belong to the settings that a run is known by, not its path."""
    if options.min_quality is None or is_limits(options.min_quality):
        return options
    pack = model if isinstance(model, ModelPack) else open_pack(model)
    return options.with_limits(pack.name, lambda: pack_hash(pack))


def _find_photos(named: Sequence[str], outputs: Outputs) -> list[str]:
    """The photos that the inputs stand for.

    Raises:
        InputError: None of the inputs exists, no photo was found, or nothing can open such a URL.
        UsageError: One would be written over.
    """
    refuse_missing(named)  # a result without photos would be in the way of the corrected command
    photos = find_images(named, exclude=outputs.folders)
    outputs.refuse_overwriting(named, photos)
    if not photos:
        raise InputError("No photo was found.", hint="Name photos, folders with photos, or a list of them.")
    refuse_unknown_schemes(photos)
    return photos


@contextmanager
def _faults_say_what_is_kept(destination: Destination, photos: int, step: int) -> Iterator[None]:
    """Add to an interruption, and to an output that cannot be written, what is done and how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_interrupted(destination, photos, step)) from None
    except OutputError as fault:
        raise OutputError(fault.message, hint=f"{fault.hint} {_safe(destination)}".rstrip()) from fault
    except OSError as fault:
        raise output_error(fault.filename or destination.path, fault, hint=_safe(destination)) from fault


def _describe_run(
    opened: StartedModel, options: EmbedOptions, photos: Sequence[str], step: int
) -> dict[str, Any]:
    """Everything that decides the bytes of the result; which engine makes it does not."""
    return {
        "model": {"name": opened.pack.name, "sha256": opened.hash},
        "provider": opened.provider,
        "settings": options.document(),
        "embedding_size": opened.pack.encoder.embedding_size,
        "shard_size": step,
        "inputs": {"count": len(photos), "sha256": digest_inputs(photos)},
    }


def _summarise(
    destination: Destination,
    extra: Sequence[Path],
    opened: StartedModel,
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
