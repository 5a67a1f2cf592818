"""Files from outside: whatever their readers choke on is one fault, with what the file is instead."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from facerec_cli.errors import FacerecError, ModelError
from facerec_cli.resources import resource_error
from facerec_cli.sniff import HEAD, ONNX, recognize

_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


@contextmanager
def reading(path: Path, kind: str, *, hint: str = "Get or export the file again.") -> Iterator[None]:
    """Turn every fault of a reader of ``path`` into a ModelError.

    Readers of foreign formats raise nearly anything for a damaged file: struct.error, zlib.error, ValueError
    of NumPy, RecursionError, MemoryError for a size that the file made up. A list of them would never be
    complete, so all are caught here, and only here. A full disk stays what it is: the file is not at fault.

    Args:
        path: The file.
        kind: What it should be, with its article: "an ONNX file".
        hint: What to do.
    """
    try:
        yield
    except FacerecError:
        raise
    except FileNotFoundError as fault:
        raise ModelError(f"{fault.filename or path} does not exist.", hint="Correct the path.") from fault
    except OSError as fault:
        if fault.errno in _DISK:
            raise
        raise ModelError(f"{path} cannot be read: {fault.strerror or fault}.", hint=hint) from fault
    except Exception as fault:
        if short := resource_error(fault):
            raise short from fault
        reason = str(fault).strip().partition("\n")[0][:200] or type(fault).__name__
        raise ModelError(f"{path} is damaged, or not {kind}: {reason}.", hint=hint) from fault


def inside(folder: Path, file: Path) -> Path:
    """``file``, which must lie in ``folder`` also where links lead.

    What is copied out of a folder from outside must not be the reader's own: a link in it to a key or a
    password would be one. The folder itself may be a link, and hard links are files.

    Raises:
        ModelError: A link leads out of the folder.
    """
    try:
        real, room = file.resolve(), folder.resolve()
    except (OSError, RuntimeError) as fault:  # a link to itself
        raise ModelError(
            f"{file} cannot be read: its links lead nowhere.", hint="Get the files again."
        ) from fault
    if not real.is_relative_to(room):
        raise ModelError(
            f"{file} is a link out of its folder, to {real}.",
            hint=f"If that is meant, make a copy that has the files themselves: cp -rL {folder} COPY",
        )
    return file


def not_onnx(path: Path) -> ModelError:
    """The refusal of a file that is no ONNX file, with what it seems to be."""
    try:
        with path.open("rb") as stream:
            content = recognize(stream.read(HEAD))
    except OSError:
        content = None
    message, again = f"{path} is not an ONNX file, or it is cut short", "Get or export the file again."
    if content is None or content.name == ONNX:
        return ModelError(f"{message}.", hint=again)
    name, hint = _MODELS.get(content.name, (content.name, content.hint or again))
    return ModelError(f"{message}: it is {name}.", hint=hint)


_MODELS = {
    "a ZIP archive": (
        "a ZIP archive or a PyTorch file",
        "Unpack an archive first; a network of PyTorch has to be exported: facerec export CHECKPOINT",
    ),
    "an HDF5 file": ("a Keras or HDF5 file", "Export the network to ONNX, e.g. with tf2onnx."),
}
"""What :func:`sniff.recognize` calls a file -> what it is where a model was asked for, and what to do."""
