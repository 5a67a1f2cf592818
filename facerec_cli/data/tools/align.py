"""Raw photos to aligned crops: a folder per person in, the same folders with 112 x 112 faces out."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import cv2

from facerec_cli.data.dataset import FaceDataset
from facerec_cli.data.targets import named
from facerec_cli.data.tools.alignment_record import AlignmentRecord, PhotoAlignment
from facerec_cli.errors import InputError, UsageError
from facerec_cli.faces.find import FoundFaces, cut_faces, find_faces, one_face
from facerec_cli.faces.settings import DEFAULT_MAX_SIDE
from facerec_cli.faces.views import View, open_view
from facerec_cli.files import lock, make_folder, write_file, writing
from facerec_cli.progress import Progress, silent
from facerec_cli.registry import FACE_RULES, unknown_name
from facerec_cli.untrusted import parse_json

if TYPE_CHECKING:
    from facerec_cli.faces import FaceModel

logger = logging.getLogger("facerec")

_SETTINGS = ".alignment.json"  # hidden, as it is no photo among the people
_BATCH = 16
JPEG_QUALITY = 95


def align(
    source: FaceDataset,
    target: Path,
    model: FaceModel,
    *,
    faces: str = "main",
    resume: bool = False,
    uniform: bool = False,
    max_side: int = DEFAULT_MAX_SIDE,
    progress: Progress = silent,
) -> Counter[str]:
    """Write one aligned crop per photo as JPEG of quality 95, and ``alignment.tsv`` with a row per photo.

    Rows of earlier runs stay for photos whose crop is kept, and for crops of photos that ``source`` lacks. A
    run that was killed and is gone on with gives the same crops and table as one that was left alone.

    Args:
        source: Photos, most often a folder per person.
        target: A new folder; with ``resume`` one of an earlier run, whose crops are kept.
        model: Gives the detector and the crop's template and size.
        faces: Which face of several: one of ``registry.FACE_RULES``.
        resume: Go on in a target that exists: crops are kept that are as they were written, of photos whose
            size and time of change are the same (photos inside .rec and tar files are known by name).
        uniform: Remember model and ``faces`` in the target, and refuse to go on with others. Who leaves it
            out sees to it that no crop of other settings is left there.
        max_side: See ``faces.search.DEFAULT_MAX_SIDE``.
        progress: Told of the photos done.

    Returns:
        How many photos have each status.

    Raises:
        UsageError: No such rule; a target that exists without ``resume``, holds crops cut in another way, or
            is being written by another process.
        OutputError: It cannot be written.
        KeyboardInterrupt: With a message that says how to go on.
    """
    if faces not in FACE_RULES:
        raise unknown_name(faces, FACE_RULES, "choice of --faces for one crop a photo:")
    rows: list[PhotoAlignment] = []
    used = _prepare_folder(target, resume=resume)
    statuses: Counter[str] = Counter()
    with lock(target, inside=True):
        if uniform:
            _remember(target, model, faces, used=used)
        record = AlignmentRecord(source, target)
        try:
            for row, kept in _alignments(source, record, model, faces, max_side):
                rows.append(row)
                statuses["kept" if kept else row.status] += 1
                progress(len(rows), len(source))
        except KeyboardInterrupt:
            record.write_table(rows)
            raise KeyboardInterrupt(
                f"interrupted; the crops in {target} are kept. Go on with the same command and --resume"
            ) from None
        record.write_table(rows)
    return statuses


def _prepare_folder(target: Path, *, resume: bool) -> bool:
    """Make the folder; whether there is something in it already, which only ``resume`` allows."""
    with writing(target):
        used = target.exists() and any(target.iterdir())
    if used and not resume:
        raise UsageError(f"{target} exists.", hint="Name another folder, or go on with --resume.")
    make_folder(target)
    return used


def _remember(target: Path, model: FaceModel, faces: str, *, used: bool) -> None:
    """Note how the crops are cut, or refuse where those in ``target`` were cut in another way."""
    record = target / _SETTINGS
    now = {"model": model.pack.name, "hash": model.hash, "faces": faces}
    try:
        before = parse_json(record.read_bytes())
        cut = [f"--faces {before['faces']}"] if before["faces"] != faces else []
        if before["hash"] != now["hash"]:
            cut.insert(0, f"the model {before['model']} of {before['hash'][:8]}, not {now['hash'][:8]}")
    except FileNotFoundError:
        if used:
            logger.warning("%s does not say how its crops were cut; they are kept as they are.", target)
        cut = []
    except (ValueError, TypeError, KeyError) as fault:
        raise UsageError(f"{record} is damaged.", hint="Name another folder.") from fault
    if cut:
        raise UsageError(
            f"The crops in {target} were cut with {' and '.join(cut)}.",
            hint="Go on with the same --model and --faces, or name another folder.",
        )
    write_file(record, json.dumps(now).encode())


def _alignments(
    source: FaceDataset, record: AlignmentRecord, model: FaceModel, rule: str, max_side: int
) -> Iterator[tuple[PhotoAlignment, bool]]:
    """Cut and store what is not there yet: each photo's row, and whether its crop is of an earlier run."""
    with ThreadPoolExecutor(4) as threads:
        for crops in _groups(named(source, ".jpg"), _BATCH):
            earlier = [record.kept(index, crop) for index, crop in crops]
            todo = [index for (index, _), before in zip(crops, earlier, strict=True) if before is None]
            opened = threads.map(lambda index: _open(source, index, max_side), todo)
            views = dict(zip(todo, opened, strict=True))
            photos = [view for view in views.values() if not isinstance(view, str)]
            detections = iter(find_faces(photos, model, max_side=max_side))
            for (index, crop), before in zip(crops, earlier, strict=True):
                if before is not None:
                    yield before, True
                elif isinstance(view := views[index], str):
                    yield PhotoAlignment(source.name(index), view), False
                else:
                    row, content = _cut(source.name(index), next(detections), rule, model, crop)
                    if content:
                        record.store(index, row, content)
                    yield row, False


def _groups(items: Iterator[tuple[int, str]], size: int) -> Iterator[list[tuple[int, str]]]:
    while group := list(islice(items, size)):
        yield group


def _open(source: FaceDataset, index: int, max_side: int) -> View | str:
    """The photo; or the status of one that cannot be read."""
    from facerec_cli.images import ImageError, open_photo

    try:
        return open_view(open_photo(source.read(index)), max_side)
    except ImageError as fault:
        return fault.status
    except InputError:
        return "unreadable"


def _cut(
    photo: str, faces: FoundFaces, rule: str, model: FaceModel, crop: str
) -> tuple[PhotoAlignment, bytes]:
    """What became of a photo, and its crop as JPEG; without a face an empty one."""
    from facerec_cli.images import ImageError

    count = len(faces.faces)
    if not count:
        return PhotoAlignment(photo, "no_face"), b""
    faces = one_face(faces, rule)
    try:
        [aligned] = cut_faces(faces, model)
    except ImageError as fault:  # it was decoded at a smaller scale before
        return PhotoAlignment(photo, fault.status, count), b""
    done, data = cv2.imencode(".jpg", aligned, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    assert done
    status = "doubtful" if faces.doubts[0] else "ok"
    return PhotoAlignment(photo, status, count, float(faces.faces[0].score), crop), data.tobytes()
