"""The aligned crops of mined faces: those that are there, else cut from the photos into a folder."""

from __future__ import annotations

import json
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from facerec_cli.data.dataset import FaceDataset
from facerec_cli.data.decode import read_photo
from facerec_cli.data.mining.labeled_faces import LabeledFaces
from facerec_cli.data.mining.settings import MineSettings
from facerec_cli.data.targets import named
from facerec_cli.data.tools.align import JPEG_QUALITY, align
from facerec_cli.errors import InputError, UsageError
from facerec_cli.faces.face import Face
from facerec_cli.faces.find import FoundFaces, cut_faces
from facerec_cli.files import make_folder, write_file
from facerec_cli.progress import Progress
from facerec_cli.registry import DEFAULT_PACK
from facerec_cli.untrusted import parse_json
from facerec_cli.verify.settings import Steps, no_steps
from facerec_cli.wording import counted

if TYPE_CHECKING:
    from facerec_cli.faces import FaceModel

log = logging.getLogger("facerec")

_MARK = ".mined.json"  # hidden, as it is no photo among the people
_FULL = 1 << 30  # a side by which no photo is made smaller, as landmarks are in its own pixels


def _refuse_among(source: Path, folder: Path) -> None:
    """Refuse crops among the photos that they are cut from: the next call would see each person twice."""
    if source.is_dir() and folder.resolve().is_relative_to(source.resolve()):
        raise UsageError(
            f"The crops in {folder} would lie among the photos of {source} and count as people next time.",
            hint="Write the list elsewhere, or name another folder with --crops.",
        )


def crops_of(
    faces: LabeledFaces, folder: Path, settings: MineSettings, steps: Steps = no_steps
) -> tuple[str, ...]:
    """The aligned crop of each face; "" where there is none, which a warning counts.

    Crops that a gallery keeps, and photos that are crops, are named where they are. Others are cut as JPEG of
    quality 95: by the landmarks that are known, else the face that ``settings.faces`` chooses.

    Args:
        faces: What is to be trained on.
        folder: Where crops are written that have to be cut; nothing is made where none has to be.
        settings: The model whose template and detector they are cut with.
        steps: Watches the work.

    Raises:
        InputError: No face has a crop or a photo.
        UsageError: The folder holds something else, or crops of another model.
        OutputError: It cannot be written.
    """
    found = list(faces.crops)
    todo = [row for row, crop in enumerate(found) if not crop and os.path.isfile(faces.photos[row])]  # noqa: PTH113
    if todo:
        from facerec_cli.faces import open_model
        from facerec_cli.images import quiet_decoders

        photos = _FacePhotos(faces.select(np.array(todo, np.int64)))
        placed = [bool(np.isfinite(points).all()) for points in photos.faces.landmarks]
        _refuse_among(Path(faces.source), folder)
        name = settings.model or faces.model.name or DEFAULT_PACK
        model = open_model(name, device=settings.device, threads=settings.threads, detector=not any(placed))
        _mark(folder, model)
        with quiet_decoders(), steps("Cutting crops", "photos") as progress:
            paths = dict(named(photos, ".jpg"))
            if any(placed):
                known = {row: path for row, path in paths.items() if placed[row]}
                _cut(photos, known, folder, model, progress)
            else:  # of photos that were embedded one face each
                align(photos, folder, model, faces=settings.faces, resume=True, progress=progress)
        for at, path in paths.items():
            if (folder / path).is_file():
                found[todo[at]] = str(folder / path)
    without = [row for row, crop in enumerate(found) if not crop]
    if len(without) == len(found):
        raise InputError(
            f"None of the {counted(len(found), 'face')} of {faces.source} has a crop, or a photo to cut one "
            f"from: the first is {faces.place(0)!r}.",
            hint="Enroll with --crops, or put the photos back where they were.",
        )
    if without:
        log.warning(
            "left out: %s without a crop, or a photo to cut one from, the first %s",
            counted(len(without), "face"),
            faces.place(without[0]),
        )
    return tuple(found)


class _FacePhotos(FaceDataset):
    """Photos of faces; those of one photo have their number in their name."""

    format = "part"

    def __init__(self, faces: LabeledFaces) -> None:
        self.faces, self.spec = faces, faces.source
        self.labels = faces.labels
        self.class_names = [_folder_name(name) for name in faces.people]

    def read(self, index: int) -> bytes:
        """The file."""
        return read_photo(self.faces.photos[index], self.faces.photos[index])

    def name(self, index: int) -> str:
        """The path; with the number of the face where it is not the first."""
        path, number = Path(self.faces.photos[index]), int(self.faces.numbers[index])
        name = path.name if number < 1 else f"{path.stem}-face{number}{path.suffix}"
        return path.with_name(name).as_posix()


def _folder_name(person: str) -> str:
    """A person's name as that of a folder."""
    return person.replace("\\", "_") if person not in (".", "..") else "_"


def _cut(
    photos: _FacePhotos, paths: dict[int, str], folder: Path, model: FaceModel, progress: Progress
) -> None:
    """Cut crops by known landmarks, those of a photo from its finest useful scale; faults leave no crop."""
    from facerec_cli.faces.views import open_view
    from facerec_cli.images import ImageError, open_photo

    def cut(row: int) -> bytes:
        points = photos.faces.landmarks[row]
        face = Face(np.concatenate([points.min(axis=0), points.max(axis=0)]), points, 1.0)
        try:
            view = open_view(open_photo(photos.read(row)), _FULL)
            [crop] = cut_faces(FoundFaces(view, [face]), model)
        except (ImageError, InputError):
            return b""
        done, data = cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        return data.tobytes() if done else b""

    with ThreadPoolExecutor(4) as threads:
        for done, (path, content) in enumerate(zip(paths.values(), threads.map(cut, paths), strict=True), 1):
            if content:
                write_file(folder / path, content)
            progress(done, len(paths))


def _mark(folder: Path, model: FaceModel) -> None:
    """Make the folder, and note whose crops it holds; an earlier one is gone on with."""
    mark, now = folder / _MARK, {"model": model.pack.name, "hash": model.hash}
    before = None
    try:
        before = parse_json(mark.read_bytes())
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as fault:
        raise UsageError(f"{mark} is damaged.", hint="Name another folder with --crops.") from fault
    if before is None and folder.is_dir() and any(folder.iterdir()):
        raise UsageError(f"{folder} exists and holds other things.", hint="Name another folder with --crops.")
    if before is not None and before != now:
        raise UsageError(f"{folder} holds crops of another model.", hint="Name another folder with --crops.")
    make_folder(folder)
    write_file(mark, json.dumps(now).encode())
