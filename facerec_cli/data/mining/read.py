"""What is mined: an enrolled gallery, groups of ``facerec cluster``, stored embeddings, or labeled photos."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from facerec_cli.data import open_stored
from facerec_cli.data.formats.folder import FolderDataset
from facerec_cli.data.formats.list import ListDataset
from facerec_cli.data.mining.groups_file import is_groups_file, read_groups
from facerec_cli.data.mining.labeled_faces import LabeledFaces, number_names
from facerec_cli.data.mining.settings import MineSettings
from facerec_cli.embeddings.read import open_table
from facerec_cli.embeddings.table import EmbeddingTable
from facerec_cli.errors import InputError, ModelError, UsageError
from facerec_cli.gallery.gallery import open_gallery
from facerec_cli.gallery.kinds import gallery_folder, is_embeddings
from facerec_cli.gallery.labeled import LabeledPhotos, people_of_table
from facerec_cli.packs.resolve import open_pack, pack_hash
from facerec_cli.pairs.names import has_suffix
from facerec_cli.verify.photo_vectors import open_embeddings
from facerec_cli.verify.settings import Steps, no_steps


def read_faces(name: str | Path, settings: MineSettings, steps: Steps = no_steps) -> LabeledFaces:
    """Read faces and whom they are said to show.

    Args:
        name: A gallery (``NAME`` or ``NAME.gallery``), a file of groups, a file of embeddings, a folder with
            a folder per person, or a list of ``path label``.
        settings: How photos are embedded.
        steps: Watches the work.

    Raises:
        InputError: It is missing or damaged, or does not say whom its faces show.
        ModelError: The model cannot be used.
        UsageError: Its photos are no files.
    """
    folder = gallery_folder(name)
    if folder is not None:
        return _of_model(read_gallery(folder), settings)
    path = Path(name)
    if is_groups_file(path):
        return read_groups(path, settings, steps)
    if is_embeddings(name):
        table = open_table(path)
        named = [row for row, who in enumerate(table.people) if who]
        table = table.select(named) if named else table.one_per_photo(settings.faces)
        return _of_model(faces_of_table(table, people_of_table(table)), settings)
    return read_photos(str(name), settings, steps)


def _of_model(faces: LabeledFaces, settings: MineSettings) -> LabeledFaces:
    """Stored faces, if no other model was named than the one that made them."""
    if settings.model is not None:
        pack = open_pack(settings.model) if isinstance(settings.model, str) else settings.model
        if pack_hash(pack) != faces.model.sha256:
            raise ModelError(
                f"The vectors of {faces.source} were made with the model "
                f"{faces.model.name or 'unknown'!r}, not with {pack.name!r}.",
                hint="Leave --model out; `facerec gallery upgrade` and `facerec embed` make vectors anew.",
            )
    return faces


def read_gallery(folder: Path) -> LabeledFaces:
    """The faces of an enrolled gallery, but of people whose date has passed."""
    with open_gallery(folder) as gallery:
        names = {person.id: person.name for person in gallery.people() if not person.expired}
        faces = [face for face in gallery.faces() if face.person in names]
        labels, people = number_names([names[face.person] for face in faces])
        landmarks = np.full((len(faces), 5, 2), np.nan, np.float32)
        for row, face in enumerate(faces):
            if face.landmarks is not None and len(face.landmarks) == 10:
                landmarks[row] = np.reshape(face.landmarks, (5, 2))
        kept = [gallery.crop(face) for face in faces]
        ready = bool(gallery.info.settings.get("aligned", False))  # enrolled from crops
        return LabeledFaces(
            source=str(folder),
            vectors=gallery.vectors(faces),
            labels=labels,
            people=people,
            photos=tuple(face.path for face in faces),
            numbers=np.full(len(faces), -1, np.int64),
            sha256=tuple(face.photo_sha256 for face in faces),
            crops=tuple(
                str(crop) if crop is not None and crop.is_file() else face.path if ready else ""
                for face, crop in zip(faces, kept, strict=True)
            ),
            landmarks=landmarks,
            margins=np.full(len(faces), np.nan, np.float32),
            model=gallery.info.model_info(),
            flip=gallery.info.flip,
        )


def faces_of_table(table: EmbeddingTable, names: tuple[str, ...]) -> LabeledFaces:
    """The faces of stored embeddings, with their people's names."""
    labels, people = number_names(names)
    paths = table.paths or ("",) * len(names)
    # a face without a place in its photo is the whole photo: a ready crop
    aligned = bool(table.settings.get("aligned", False))
    ready = [aligned and not np.isfinite(points).all() for points in table.landmarks]
    return LabeledFaces(
        source=table.source,
        vectors=table.vectors,
        labels=labels,
        people=people,
        photos=paths,
        numbers=table.numbers,
        sha256=table.photo_sha256,
        crops=tuple(path if crop else "" for path, crop in zip(paths, ready, strict=True)),
        landmarks=table.landmarks,
        margins=np.full(len(names), np.nan, np.float32),
        model=table.model,
        flip=bool(table.settings.get("flip", False)),
    )


def read_photos(spec: str, settings: MineSettings, steps: Steps) -> LabeledFaces:
    """One face of each photo of a labeled folder or list."""
    dataset = open_stored(spec)
    if not isinstance(dataset, FolderDataset | ListDataset):
        raise UsageError(
            f"The photos of {spec} are not files that a list can name.",
            hint="Convert it to a folder first: facerec data convert.",
        )
    if dataset.class_names and all(map(has_suffix, dataset.class_names)):
        raise InputError(
            f"{spec} is a list of pairs: it has photos where people should be, the first "
            f"{dataset.class_names[0]!r}.",
            hint="Name a list of `path label`, or a folder with a folder per person.",
        )
    names = tuple(dataset.name(i) for i in range(len(dataset)))
    photos = tuple(os.path.normpath(dataset.root / name) for name in names)
    people = tuple(dataset.class_names[label] for label in dataset.labels.tolist())
    listed = LabeledPhotos(tuple(map(Path, photos)), names, people, aligned=settings.aligned)
    with steps("Embedding", "photos") as progress:
        found = open_embeddings(listed, settings.embedding(), progress)
    there = np.flatnonzero(~found.failed)
    if not len(there):
        raise InputError(
            f"None of the {len(names):,} photos of {spec} gives a face.", hint="Name photos with faces."
        )
    labels, every = number_names(people)
    whole = LabeledFaces(
        source=spec,
        vectors=found.vectors,
        labels=labels,
        people=every,
        photos=photos,
        numbers=np.full(len(names), -1, np.int64),
        sha256=("",) * len(names),
        crops=photos if settings.aligned else ("",) * len(names),
        landmarks=np.full((len(names), 5, 2), np.nan, np.float32),
        margins=np.full(len(names), np.nan, np.float32),
        model=found.model,
        flip=settings.flip,
    )
    return replace(whole.select(there), source=spec)
