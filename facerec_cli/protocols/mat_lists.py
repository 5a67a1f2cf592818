"""MATLAB files that list photos and the numbers of their people, as TinyFace and QMUL-SurvFace have them."""

from __future__ import annotations

import os
import warnings
import zlib
from pathlib import Path
from typing import Any, Literal

import numpy as np

from facerec_cli.errors import InputError, MissingExtraError

_BYTES, _VALUES = 256 << 20, 5_000_000  # TinyFace's lists have 8,171 names, SurvFace's 121,736
_HEADER, _COMPRESSED = 128, 15
_AGAIN = "Get the list again, or remove it: names and folders say who is on the photos."


def read_mat_list(path: Path, names: str, ids: str) -> list[tuple[str, str]]:
    """(file, number of the person) of a ``.mat``, in its order.

    scipy reads the file; nothing in it can run. What it announces is checked before memory is taken.

    Args:
        path: The file.
        names: The variable with a cell of file names.
        ids: The variable with the numbers.

    Raises:
        InputError: It cannot be read, or does not have the two variables.
        MissingExtraError: scipy is not installed.
    """
    try:
        import scipy.io
    except ImportError:
        raise MissingExtraError("scipy", extra="mat", purpose=f"reading {path.name}") from None
    try:
        _refuse_much(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            announced = {name: shape for name, shape, _ in scipy.io.whosmat(str(path))}
            for name in (names, ids):
                if name not in announced:
                    raise ValueError(f"it has no variable {name}")
                if (
                    any(side < 0 for side in announced[name])
                    or np.prod(announced[name], dtype=float) > _VALUES
                ):
                    raise ValueError(f"its {name} announces a shape of {announced[name]}")
            loaded = scipy.io.loadmat(str(path), variable_names=[names, ids])
        files, numbers = [_text(cell) for cell in loaded[names].ravel()], loaded[ids].ravel()
        if len(files) != len(numbers):
            raise ValueError(f"{names} has {len(files):,} values and {ids} {len(numbers):,}")
        return [(file, str(int(number))) for file, number in zip(files, numbers, strict=True)]
    except OSError as error:
        raise InputError(f"{str(path)!r} cannot be read: {error.strerror or error}.", hint=_AGAIN) from error
    except NotImplementedError as error:
        raise InputError(
            f"{str(path)!r} is a MATLAB 7.3 file, which is HDF5.", hint="Save it with MATLAB's flag -v7."
        ) from error
    except Exception as error:  # scipy's reader has a dozen kinds for damaged files
        raise InputError(f"{str(path)!r} is no list as published: {error}.", hint=_AGAIN) from error


def _refuse_much(path: Path) -> None:
    """Unpack the variables of a file piece by piece, keeping nothing, to see that they are no flood."""
    left = _BYTES - path.stat().st_size
    with path.open("rb") as stream:
        header = stream.read(_HEADER)
        order: Literal["little", "big"] = "big" if header.endswith(b"MI") else "little"
        while left >= 0 and len(tag := stream.read(8)) == 8:
            kind, size = int.from_bytes(tag[:4], order), int.from_bytes(tag[4:], order)
            if kind != _COMPRESSED:
                stream.seek(size, os.SEEK_CUR)
                continue
            unpacker, packed = zlib.decompressobj(), stream.read(min(size, _BYTES))
            while packed and not unpacker.eof and left >= 0:
                left -= len(unpacker.decompress(packed, 1 << 20))
                packed = unpacker.unconsumed_tail
    if left < 0:
        raise ValueError(f"it takes more than {_BYTES:,} bytes, which no list of names does")


def _text(cell: Any) -> str:
    """The name in a cell, which is an array of one string."""
    while isinstance(cell, np.ndarray):
        if cell.size != 1:
            raise ValueError("a cell does not hold one name")
        cell = cell.ravel()[0]
    if not isinstance(cell, str) or not cell.strip():
        raise ValueError(f"{cell!r} is no name")
    return cell.strip()
