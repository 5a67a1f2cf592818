"""insightface's ``.bin`` verification sets, which are pickles, read without running what is in them."""

from __future__ import annotations

import io
import pickle
import pickletools
from pathlib import Path
from typing import Any

import numpy as np

from facerec_cli.errors import InputError
from facerec_cli.pairs.pair_format import ListHead, PairFormat
from facerec_cli.pairs.pairlist import PairList

#: CFP has 7,000 pairs of 112 x 112 crops in 60 MB; a set that needs more than this is not one of them.
MAX_BYTES = 2 << 30
_AGAIN = "Get the file again, or make one with `facerec data bin`."


class Bin(PairFormat):
    """``(2P encoded images, P flags)``; pair i is images 2i and 2i + 1, aligned 112 x 112 crops."""

    description = "insightface's .bin, a pickle of encoded crops and flags; nothing in it is run"

    def recognizes(self, head: ListHead) -> bool:
        """Whether it begins as a pickle does, or is called so."""
        return not head.is_folder and (head.data[:1] == b"\x80" or head.path.suffix == ".bin")

    def read(self, path: Path) -> PairList:
        """Read it.

        Raises:
            InputError: Too large, no such pickle, or one that asks for anything but tuples, lists, bytes,
                numbers and NumPy arrays. Nothing that it names is imported or called.
        """
        images, flags = _parts(path, _load(path))
        number: dict[bytes, int] = {}
        index = np.array([number.setdefault(image, len(number)) for image in images], np.int64)
        first_seen = np.unique(index, return_index=True)[1]
        return PairList(
            first=index[0::2],
            second=index[1::2],
            same=np.array(flags, bool),
            images=tuple(number),
            names=tuple(f"{path.name}[{i}]" for i in first_seen),
            aligned=True,
        )


def _load(path: Path) -> Any:
    """What the pickle holds."""
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise InputError(f"{str(path)!r} has {size:,} bytes; a .bin set may have {MAX_BYTES:,}.")
    try:
        data = path.read_bytes()
        _check_memo(data)
        return _Restricted(io.BytesIO(data), encoding="bytes").load()
    except _RefusedError as error:
        raise InputError(
            f"{str(path)!r} is refused: its pickle asks for {error}, which a set of images does not need.",
            hint="It may be meant to run code on this machine; get the set from a source you trust.",
        ) from error
    except OSError as error:
        raise InputError(
            f"{str(path)!r} cannot be read: {error.strerror}.",
            hint=_AGAIN,
        ) from error
    except Exception as error:  # whatever a broken pickle makes the parser raise
        raise InputError(
            f"{str(path)!r} is not a pickle of images and flags: {error}.",
            hint=_AGAIN,
        ) from error


def _check_memo(data: bytes) -> None:
    """Refuse a memo number beyond the file's length: the unpickler would allocate a table that long."""
    for code, argument, position in pickletools.genops(data):
        if code.name in ("PUT", "BINPUT", "LONG_BINPUT") and int(argument or 0) > (position or 0):
            raise _RefusedError(f"a table of {argument} entries")


def _parts(path: Path, content: Any) -> tuple[list[bytes], list[bool]]:
    if not isinstance(content, tuple | list) or len(content) != 2:
        raise InputError(
            f"{str(path)!r} does not hold (images, flags).",
            hint=_AGAIN,
        )
    for part, what in zip(content, ("images", "flags"), strict=True):
        if not isinstance(part, tuple | list | np.ndarray) or (
            isinstance(part, np.ndarray) and not part.ndim
        ):
            raise InputError(
                f"{str(path)!r} holds {type(part).__name__} in place of a list of {what}.",
                hint="A .bin set is a pickle of (encoded images, flags), two images for each flag.",
            )
    images, total = [], 0
    for image in content[0]:
        images.append(_encoded(path, image))
        total += len(images[-1])
        if total > 2 * MAX_BYTES:  # one large array may be listed many times
            raise InputError(
                f"{str(path)!r} unpacks to more than {2 * MAX_BYTES:,} bytes.",
                hint=_AGAIN,
            )
    flags = [_flag(path, flag) for flag in content[1]]
    if len(images) != 2 * len(flags):
        raise InputError(
            f"{str(path)!r} has {len(images)} images for {len(flags)} flags; each pair takes two images."
        )
    return images, flags


def _encoded(path: Path, image: Any) -> bytes:
    if isinstance(image, bytes | bytearray):
        return bytes(image)
    if isinstance(image, np.ndarray) and image.dtype == np.uint8:
        return image.tobytes()
    raise InputError(
        f"{str(path)!r} holds an image that is {type(image).__name__}, not encoded bytes.",
        hint=_AGAIN,
    )


def _flag(path: Path, flag: Any) -> bool:
    if isinstance(flag, bool | int | np.bool_ | np.integer) and flag in (0, 1):
        return bool(flag)
    raise InputError(
        f"{str(path)!r} holds a flag {flag!r} that is neither true nor false.",
        hint=_AGAIN,
    )


class _RefusedError(Exception):
    """The pickle names something that is not admitted."""


def _latin_bytes(text: Any = b"", encoding: Any = "latin1") -> bytes:
    """Stands for ``_codecs.encode``, by which Python 3 writes bytes into an old pickle."""
    if isinstance(text, bytes):
        return text
    if encoding not in ("latin1", b"latin1"):
        raise _RefusedError(f"the encoding {encoding!r}")
    return str(text).encode("latin1")


def _bytes(*arguments: Any) -> bytes:
    """Stands for the type ``bytes``, which may only be called empty: ``bytes(10**12)`` takes the memory."""
    if arguments:
        raise _RefusedError("bytes of a number or list")
    return b""


_NDARRAY = object()  # stands for the type numpy.ndarray, which may be named but not called


def _reconstruct(kind: Any, shape: Any, code: Any) -> Any:
    """Stands for NumPy's ``_reconstruct``, admitting only what NumPy itself writes: an empty array."""
    if kind is not _NDARRAY or tuple(shape) != (0,):
        raise _RefusedError("an array of another type or size")
    return np.ndarray.__new__(np.ndarray, (0,), np.dtype("b"))


def _dtype(name: Any, *rest: Any) -> Any:
    """Stands for ``numpy.dtype``, admitting plain numbers and truth values."""
    text = name.decode("latin1") if isinstance(name, bytes) else name
    if text not in ("u1", "b1", "i1", "i2", "i4", "i8"):
        raise _RefusedError(f"an array of type {text!r}")
    return np.dtype(text)


def _scalar(kind: Any, data: Any = None) -> Any:
    """Stands for NumPy's ``scalar``: a number from its bytes."""
    raw = data.encode("latin1") if isinstance(data, str) else data
    if not isinstance(kind, np.dtype) or kind.hasobject or not isinstance(raw, bytes):
        raise _RefusedError("a NumPy scalar of another kind")
    return np.frombuffer(raw, kind, count=1)[0]


def _frombuffer(buffer: Any, kind: Any, shape: Any, order: Any, *axes: Any) -> Any:
    """Stands for NumPy's ``_frombuffer``, protocol 5's way to keep an array: a view of its bytes."""
    plain = isinstance(kind, np.dtype) and kind.kind in "bui" and kind.subdtype is None
    if not plain or not isinstance(buffer, bytes | bytearray) or order not in ("C", "F") or axes:
        raise _RefusedError("an array of another type or order")
    return np.frombuffer(buffer, kind).reshape(shape, order=order)


_ADMITTED: dict[tuple[str, str], object] = {
    ("_codecs", "encode"): _latin_bytes,
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): _dtype,
    **{
        (f"numpy.{core}.multiarray", name): function
        for core in ("core", "_core")
        for name, function in (("_reconstruct", _reconstruct), ("scalar", _scalar))
    },
    **{(f"numpy.{core}.numeric", "_frombuffer"): _frombuffer for core in ("core", "_core")},
    **{(module, "bytes"): _bytes for module in ("builtins", "__builtin__")},
}


class _Restricted(pickle.Unpickler):
    """Gives the pickle our own stand-ins for the few names it may use, and refuses every other."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ADMITTED[module, name]
        except KeyError:
            raise _RefusedError(f"{module}.{name}") from None

    def persistent_load(self, pid: Any) -> Any:
        raise _RefusedError("an object kept elsewhere")
