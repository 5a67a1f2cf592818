"""Whether what is trained on looks like aligned crops, told from the size of a few photos."""

from __future__ import annotations

import numpy as np

from facerec_cli.data import FaceDataset
from facerec_cli.errors import InputError
from facerec_cli.images.headers import read_header

_LOOKED_AT = 8


def size_warning(dataset: FaceDataset, size: tuple[int, int]) -> str:
    """A sentence for the plan where photos have another size than the network takes, else "".

    Training resizes such photos as they are, and a network that sees whole photos where it expects faces
    learns next to nothing, without any error. Only the headers of a few photos over the whole data are read;
    photos that cannot be read are left to the loader, which counts them.

    Args:
        dataset: What is trained on; of a stream nothing is read.
        size: (width, height) of the network's input.
    """
    if dataset.format == "stream":
        return ""
    numbers = np.unique(np.linspace(0, len(dataset) - 1, _LOOKED_AT).astype(int)).tolist()
    found = {number: shape for number in numbers if (shape := _size(dataset, number)) is not None}
    odd = [number for number, shape in found.items() if shape != size]
    if not odd:
        return ""
    width, height = found[odd[0]]
    return (
        f"{len(odd)} of {len(found)} photos looked at are not {size[0]} x {size[1]} "
        f"({dataset.name(odd[0])} is {width} x {height}) and will be resized as they are; unless they are "
        "aligned crops of another size, run `facerec data align` first"
    )


def _size(dataset: FaceDataset, number: int) -> tuple[int, int] | None:
    """(width, height) of a photo; None where it cannot be told."""
    try:
        header = read_header(dataset.read(number))
    except (InputError, ValueError):
        return None
    return None if header is None else (header.width, header.height)
