"""Embedding into files: find the photos, do the work shard by shard, put the result together."""

from __future__ import annotations

import errno
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from importlib import metadata
from itertools import islice
from pathlib import Path
from typing import Any

from facerec_cli import __version__
from facerec_cli.embed.pipeline import embed_photos
from facerec_cli.embed.preview import write_preview
from facerec_cli.embed.result import STATUSES, EmbedOptions
from facerec_cli.embed.rows import make_shard
from facerec_cli.embed.shards import Parts, alone, describe_changes, digest_inputs
from facerec_cli.embed.writers import read_description, result_files, writer_for
from facerec_cli.errors import FacerecError, InputError, PartialFailure, UsageError
from facerec_cli.faces import FaceModel, open_model
from facerec_cli.faces.runtime import default_threads
from facerec_cli.images import find_images
from facerec_cli.packs.manifest import ModelPack
from facerec_cli.progress import Progress, silent

SHARD_SIZE = 256
"""Inputs in a shard, rounded to whole batches: what an interruption can cost."""

_GOOD = frozenset(["ok", "no_face"])
_VERSIONED = ("onnxruntime", "onnxruntime-gpu", "opencv-python", "numpy")


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run came to.

    Attributes:
        output: The file with the embeddings.
        files: Every file that was written, the output included.
        model: Name of the pack.
        model_sha256: What identifies detector, encoder and preprocessing.
        provider: What the encoder ran on.
        photos: Inputs.
        embeddings: Rows of the array, D is ``embedding_size``.
        embedding_size: Length of an embedding.
        statuses: Inputs by status.
        resumed: Inputs whose results an earlier run had left.
        seconds: Of this run, from the first photo to the last file.
    """

    output: str
    files: tuple[str, ...]
    model: str
    model_sha256: str
    provider: str
    photos: int
    embeddings: int
    embedding_size: int
    statuses: Mapping[str, int]
    resumed: int
    seconds: float

    @property
    def photos_per_second(self) -> float:
        """Rate of this run."""
        return (self.photos - self.resumed) / self.seconds if self.seconds > 0 else 0.0

    @property
    def fault(self) -> FacerecError | None:
        """What a program should end with: nothing, a partial failure, or that no photo could be read."""
        bad = {status: count for status, count in self.statuses.items() if status not in _GOOD}
        if not bad:
            return None
        kinds = ", ".join(f"{count} {status}" for status, count in bad.items())
        hint = f"The column reason of the table says why: {self.files[0]}"
        if sum(bad.values()) == self.photos:
            return InputError(f"None of the {self.photos} inputs could be read ({kinds}).", hint=hint)
        return PartialFailure(
            f"{sum(bad.values())} of {self.photos} inputs could not be read ({kinds}).", hint=hint
        )

    def document(self) -> dict[str, Any]:
        """The summary for ``--json``."""
        fault = self.fault
        return {
            **asdict(self),
            "statuses": dict(self.statuses),
            "seconds": round(self.seconds, 3),
            "photos_per_second": round(self.photos_per_second, 2),
            "exit_code": fault.exit_code if fault else 0,
            "message": str(fault) if fault else "",
        }


def embed_to_file(
    inputs: str | Path | Iterable[str | Path],
    output: str | Path,
    *,
    model: str | Path | ModelPack = "sface",
    device: str = "auto",
    options: EmbedOptions | None = None,
    threads: int | None = None,
    resume: bool = False,
    overwrite: bool = False,
    crops: Path | None = None,
    preview: Path | None = None,
    on_start: Callable[[FaceModel, int, int], None] | None = None,
    progress: Progress = silent,
) -> Summary:
    """Embed the faces of photos into ``.npy`` or ``.npz`` with a table beside it, or into ``.parquet``.

    The work is kept in ``OUTPUT.parts`` while it lasts; an interrupted run is taken up with ``resume`` and
    gives the same bytes. An existing result is replaced only when it is of the very same run, or with
    ``overwrite``.

    Args:
        inputs: Files, folders, lists, patterns or ``-``; see ``images.find_images``.
        output: Where to; its suffix is the format.
        model: A pack's name, folder or ONNX file.
        device: auto, cpu, cuda, tensorrt, coreml or openvino.
        options: What to embed and how.
        threads: CPU threads; None takes all cores.
        resume: Go on with an interrupted run.
        overwrite: Replace whatever is there.
        crops: Folder for the aligned crops.
        preview: HTML file for a contact sheet.
        on_start: Told the model, the number of photos and how many an earlier run has done.
        progress: Told the photos done.

    Raises:
        UsageError: The output's suffix is unknown, something is there already, or ``resume`` does not fit.
        InputError: No photo was found, or a file cannot be written.
        ModelError: The model cannot be used.
        KeyboardInterrupt: With a message that says how to go on.
    """
    settings, target = options or EmbedOptions(), Path(output)
    write = writer_for(target)
    _check_places(target, crops, preview)
    began = time.perf_counter()
    parts = Parts(target.with_name(f"{target.name}.parts"))
    photos = find_images(inputs, exclude=[path for path in (crops, parts.folder) if path is not None])
    if not photos:
        raise InputError("No photo was found.", hint="Name photos, folders with photos, or a list of them.")
    try:
        with alone(target):
            face_model, workers = _open(model, device, threads, settings)
            run = _describe_run(face_model, settings, photos)
            if resume and not parts.exists() and crops is None and preview is None:
                before = _finished(target, run)
                if before is not None:  # the earlier run came to its end after all
                    return _summarise(target, (), face_model, before, len(photos), began)
            done = _prepare(parts, target, run, photos, resume=resume, overwrite=overwrite)
            step = run["shard_size"]
            if on_start is not None:
                on_start(face_model, len(photos), min(done * step, len(photos)))
            _work(parts, photos, face_model, settings, workers, done, step, crops, progress)
            document = _describe_result(run, parts)
            if preview is not None:
                write_preview(preview, parts, document)
            write(target, parts, document)
            parts.remove()
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_interrupted(parts, len(photos), settings)) from None
    except OSError as error:
        raise _write_error(error, target, parts) from error
    extra = [path for path in (preview, crops) if path is not None]
    return _summarise(target, extra, face_model, document, min(done * step, len(photos)), began)


def _check_places(output: Path, crops: Path | None, preview: Path | None) -> None:
    """Refuse what cannot be written before any work is done."""
    for path in (*result_files(output), *((preview,) if preview is not None else ())):
        if path.is_dir():
            raise UsageError(f"{path} is a folder; a file is to be written there.", hint="Name another file.")
    if crops is not None and crops.exists() and not crops.is_dir():
        raise UsageError(f"--crops {crops} is a file, not a folder.", hint="Name a folder.")


def _open(
    model: str | Path | ModelPack, device: str, threads: int | None, options: EmbedOptions
) -> tuple[FaceModel, int]:
    """Open the model on all threads; one batch more than those is under way, so that none runs dry."""
    total = default_threads() if threads is None else threads
    if total < 1:
        raise UsageError(f"--threads {threads} is below 1.")
    opened = open_model(model, device=device, threads=total, detector=not options.aligned)
    return opened, total + 1


def _describe_run(model: FaceModel, options: EmbedOptions, photos: Sequence[str]) -> dict[str, Any]:
    """Everything that decides the bytes of the result."""
    return {
        "model": {"name": model.pack.name, "sha256": model.hash},
        "provider": model.provider,
        "settings": asdict(options),
        "embedding_size": model.pack.encoder.embedding_size,
        "shard_size": max(1, SHARD_SIZE // options.batch_size) * options.batch_size,
        "inputs": {"count": len(photos), "sha256": digest_inputs(photos)},
    }


def _prepare(
    parts: Parts,
    output: Path,
    run: Mapping[str, Any],
    photos: Sequence[str],
    *,
    resume: bool,
    overwrite: bool,
) -> int:
    """Make sure that nothing is lost, and return how many shards are done already."""
    output.parent.mkdir(parents=True, exist_ok=True)
    if parts.exists() and not overwrite:
        if resume:
            return parts.resume(run, photos)
        raise UsageError(
            f"An interrupted run is in {parts.folder}.",
            hint="Go on with --resume, or start over with --force.",
        )
    there = [path for path in result_files(output) if path.exists()]
    if there and not overwrite:
        before = read_description(output)
        changed = "it says nothing about its model" if before is None else _differences(before, run)
        if changed:
            raise UsageError(
                f"{there[-1]} is there already and is not the result of this run: {changed}.",
                hint="Choose another -o, or replace it with --force.",
            )
    parts.begin(run, photos)
    return 0


def _differences(before: Mapping[str, Any], run: Mapping[str, Any]) -> str:
    if before.get("inputs") != run["inputs"]:
        return "it was made from other photos"
    return describe_changes({key: before.get(key) for key in run}, run)


def _work(
    parts: Parts,
    photos: Sequence[str],
    model: FaceModel,
    options: EmbedOptions,
    workers: int,
    done: int,
    step: int,
    crops: Path | None,
    progress: Progress,
) -> None:
    """Embed what is left, one shard after the other, without a pause between them."""
    if crops is not None:
        crops.mkdir(parents=True, exist_ok=True)
    first = min(done * step, len(photos))
    progress(first, len(photos))
    size = model.pack.encoder.embedding_size
    with closing(
        embed_photos(photos[first:], model, options, workers=workers, keep_crops=crops is not None)
    ) as results:
        for index in range(done, -(-len(photos) // step)):
            gathered = []
            for result in islice(results, step):
                gathered.append(result)
                progress(index * step + len(gathered), len(photos))
            parts.write(index, make_shard(gathered, size=size, first=index * step, crops=crops))


def _finished(output: Path, run: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The description of the result that is there, where it is the result of this very run."""
    if not all(path.exists() for path in result_files(output)):
        return None
    before = read_description(output)
    return before if before is not None and not _differences(before, run) else None


def _summarise(
    output: Path,
    extra: Sequence[Path],
    model: FaceModel,
    document: Mapping[str, Any],
    resumed: int,
    began: float,
) -> Summary:
    return Summary(
        output=str(output),
        files=tuple(str(path) for path in (*result_files(output), *extra)),
        model=model.pack.name,
        model_sha256=model.hash,
        provider=model.provider,
        photos=document["inputs"]["count"],
        embeddings=document["rows"],
        embedding_size=document["embedding_size"],
        statuses=document["statuses"],
        resumed=resumed,
        seconds=time.perf_counter() - began,
    )


def _describe_result(run: Mapping[str, Any], parts: Parts) -> dict[str, Any]:
    rows = 0
    counts: Counter[str] = Counter()
    for shard in parts.read():
        rows += len(shard.embeddings)
        counts.update(row["status"] for row in shard.rows if row.get("face", 0) == 0)
    statuses = {status: counts[status] for status in STATUSES if counts[status]}
    versions = {"facerec": __version__}
    for package in _VERSIONED:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {**run, "rows": rows, "statuses": statuses, "versions": versions}


def _interrupted(parts: Parts, photos: int, options: EmbedOptions) -> str:
    if not parts.exists():
        return "interrupted before any work was done"
    step = max(1, SHARD_SIZE // options.batch_size) * options.batch_size
    safe = min(parts.count() * step, photos)
    return f"interrupted; {safe} of {photos} photos are safe. Go on with the same command and --resume"


def _write_error(error: OSError, output: Path, parts: Parts) -> FacerecError:
    """What to do when a file cannot be written."""
    where = error.filename or output
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return InputError(
            f"No space is left to write {where}.",
            hint=f"What is done is safe in {parts.folder}: free some space, then add --resume.",
        )
    hint = "Name a place that you may write to."
    return InputError(f"{where} cannot be written: {error.strerror or error}.", hint=hint)
