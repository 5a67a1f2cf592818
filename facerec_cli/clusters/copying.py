"""What groups do for photos: a folder a group, and named face regions beside them."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np

from facerec_cli.clusters.clustering import Clustering
from facerec_cli.gallery.sidecars import Sidecar, write_sidecar
from facerec_cli.gallery.xmp import FaceRegion, sidecar_of
from facerec_cli.identify.sorting import SortedPhotos, folder_names, put_photos
from facerec_cli.images.metadata import Box
from facerec_cli.images.remote import is_url
from facerec_cli.progress import Progress, silent

SINGLE = "single"
"""The folder of photos with a face that is in no group."""


def group_names(found: Clustering) -> dict[int, str]:
    """Number of a group -> what its folder is called, its person or its number; not of single faces."""
    named = {}
    for label, faces in found.groups.items():
        people = [found.person[face] for face in faces.tolist() if found.person[face]]
        if people:
            named[label] = people[0]
        elif len(faces) > 1:
            named[label] = f"group-{label:05d}"
    return named


def copy_groups(
    found: Clustering, folder: Path, *, link: str = "none", progress: Progress = silent
) -> SortedPhotos:
    """Put each photo with a face into the folders of the groups on it, or into ``single``.

    Nothing that is there is replaced, and a run that was killed is finished by running it again; see
    ``identify.sorting``. Photos with junk alone, or without a face, are left where they are.

    Args:
        found: The groups.
        folder: Where to; it is made.
        link: ``none`` copies; ``hard`` or ``symbolic`` links.
        progress: Told the photos done.

    Raises:
        OutputError: Something cannot be written.
        UsageError: Another process sorts into this folder now.
    """
    names = group_names(found)
    folder_of = dict(folder_names([SINGLE, *dict.fromkeys(names.values())]))
    wanted: dict[str, list[str]] = {}
    for face, label in enumerate(found.labels.tolist()):
        if label < 0:
            continue
        folders = wanted.setdefault(found.path(face), [])
        if label in names and folder_of[names[label]] not in folders:
            folders.append(folder_of[names[label]])
    sorted_into = {photo: folders or [folder_of[SINGLE]] for photo, folders in wanted.items()}
    return put_photos(sorted_into, folder, link=link, progress=progress)


def write_regions(found: Clustering, progress: Progress = silent) -> tuple[Sidecar, ...]:
    """Write a region for each face with a name into the XMP sidecar of its photo.

    Args:
        found: The groups, of faces with boxes.
        progress: Told the photos done.

    Returns:
        What became of each photo with a named face, in their order.

    Raises:
        OutputError: A sidecar cannot be written.
    """
    photos: dict[str, list[int]] = {}
    for face, name in enumerate(found.person):
        if name and found.labels[face] >= 0:
            photos.setdefault(found.path(face), []).append(face)
    done = []
    for number, (photo, faces) in enumerate(photos.items(), 1):
        done.append(_write_one(found, photo, faces))
        progress(number, len(photos))
    return tuple(done)


def _write_one(found: Clustering, photo: str, faces: list[int]) -> Sidecar:
    boxes = found.faces.boxes[faces]
    fault = ""
    if is_url(photo):
        fault = "nothing is written beside photos at a URL"
    elif not np.isfinite(boxes).all():
        fault = "a face has no box"
    if fault:
        return Sidecar(photo, str(sidecar_of(photo)), "failed", 0, fault)
    regions = [
        FaceRegion(found.person[face], cast("Box", tuple(box)))
        for face, box in zip(faces, boxes.tolist(), strict=True)
    ]
    return write_sidecar(photo, regions)
