"""Training data: what a data set is, formats, batches, and tools.

::

    dataset = open_dataset("ms1m/")            # folder, .rec, list, tar shards, synthetic:CLASSES
    loader = build_loader(dataset, batch_size=128, sampler="shuffled", seed=1)   # loading/loader.py
    for batch in loader.epoch(0, start=0): ...

From the ground: ``dataset.py`` with ``decode``, ``targets`` and ``cache``; ``formats/``; ``loading/``, whose
modules ``loader``, ``batches``, ``augment`` and ``workers`` may know torch; ``tools/``.
"""

from __future__ import annotations

from pathlib import Path

from facerec_cli.data.dataset import FaceDataset, require_photos
from facerec_cli.data.decode import BrokenPhotoError
from facerec_cli.data.formats.joined import join_datasets, join_sets
from facerec_cli.errors import InputError

__all__ = [
    "BrokenPhotoError",
    "FaceDataset",
    "detect_format",
    "join_datasets",
    "join_sets",
    "open_dataset",
    "open_stored",
]


def detect_format(spec: str | Path) -> str:
    """Name the format of ``spec``, a key of ``registry.DATASETS``.

    Raises:
        InputError: There is nothing at that path, or nothing that is a data set.
    """
    from facerec_cli.data.formats.recognize import detect

    return detect(str(spec))


def open_dataset(spec: str | Path) -> FaceDataset:
    """Open training photos.

    Args:
        spec: A folder with a folder per person; a folder that holds, or a path of, a ``.rec``; a list
            file of ``path label`` lines; tar shards (``shards/*.tar``); or ``synthetic:CLASSES[:PHOTOS]``.

    Raises:
        InputError: It is missing, damaged, or holds no photo.
        UsageError: The spec cannot be understood.
    """
    from facerec_cli.registry import DATASETS, load

    try:
        opener = load(DATASETS, detect_format(spec), "data set format").open
        dataset: FaceDataset = opener(str(spec))
    except OSError as fault:  # a name that is too long for the system, a bad disk
        raise InputError(
            f"{fault.filename or spec} cannot be read: {fault.strerror or fault}.",
            hint="Name data that you may read.",
        ) from fault
    return require_photos(dataset)


def open_stored(spec: str | Path) -> FaceDataset:
    """Open training photos that are at hand in any order, which a stream's are not.

    Raises:
        InputError: As in :func:`open_dataset`, or it is a stream.
        UsageError: The spec cannot be understood.
    """
    dataset = open_dataset(spec)
    if dataset.format == "stream":
        raise InputError(
            f"{spec} is a stream and can only be trained on.", hint="Copy the shards to a disk first."
        )
    return dataset
