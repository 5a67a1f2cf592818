"""Photos of strangers, found and embedded as probes are, to calibrate a gallery with."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence

from facerec_cli.errors import InputError
from facerec_cli.gallery.enroll_work import photo_sha256
from facerec_cli.gallery.enrolled import EnrolledPeople
from facerec_cli.gallery.kinds import is_embeddings
from facerec_cli.gallery.outsiders import Outsiders, common_folder
from facerec_cli.identify.probes import open_probes
from facerec_cli.identify.settings import IdentifySettings
from facerec_cli.images.remote import is_url
from facerec_cli.tables.paths import absolute
from facerec_cli.verify.settings import Steps, no_steps
from facerec_cli.wording import counted

log = logging.getLogger("facerec")

_TOLD = 5


def read_outsiders(inputs: Sequence[str], people: EnrolledPeople, *, steps: Steps = no_steps) -> Outsiders:
    """The main face of each photo; photos without one are told.

    Args:
        inputs: As ``open_probes`` takes them.
        people: What they will be searched for in.
        steps: Watches the work.

    Raises:
        InputError: No face was found in any of them.
        FacerecError: As ``open_probes`` does.
    """
    shard = open_probes(inputs, people, IdentifySettings(faces="main"), steps=steps).shard
    without = [row for row in shard.rows if "face" not in row]
    some = "; ".join(
        f"{row['path']}: {row['status']}" + (f", {row['reason']}" if row["reason"] else "")
        for row in without[:_TOLD]
    ) + (f"; and {len(without) - _TOLD:,} more" if len(without) > _TOLD else "")
    photos = tuple(str(row["path"]) for row in shard.faces())
    if not photos:
        raise InputError(
            f"None of the {counted(len(without), 'photo')} of strangers has a face that can be used: {some}.",
            hint="Give photos of faces. Nothing was measured, and what the gallery kept is kept.",
        )
    if without:
        log.warning("%s of strangers not counted: %s", counted(len(without), "photo is", "photos are"), some)
    hashes = tuple("" if is_url(photo) else photo_sha256(photo) for photo in photos)
    folders = tuple(absolute(one) for one in inputs if os.path.isdir(one))  # noqa: PTH112 - odd names
    if any(map(is_embeddings, inputs)):
        folders = common_folder(photos)
    return Outsiders(shard.embeddings, photos, hashes, folders)
