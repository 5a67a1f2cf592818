"""Search protocols of every format: recognized, read, and their photos found."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from facerec_cli import registry
from facerec_cli.errors import InputError, UsageError
from facerec_cli.pairs.names import is_there
from facerec_cli.pairs.pair_format import ListHead
from facerec_cli.pairs.pairlist import distinct
from facerec_cli.protocols.protocol import SearchProtocol, SearchTrial
from facerec_cli.protocols.protocol_format import ProtocolFormat
from facerec_cli.spelling import american
from facerec_cli.wording import counted

log = logging.getLogger("facerec")

_LINE = "a photo and a person a line, such as `ann/1.jpg,ann`"


def read_protocol(
    inputs: Sequence[Path | str],
    format: str | None = None,
    root: Path | str | None = None,
    *,
    images: bool = True,
) -> SearchProtocol:
    """Read who is enrolled and what is searched for, and find the photos.

    Args:
        inputs: One protocol, a folder or a file of it; or two, the gallery and the probes.
        format: A key of ``registry.PROTOCOL_FORMATS``; recognized from the content when None.
        root: Folder that the lists' paths start from; guessed around each list when None.
        images: False when the photos are not needed, because their embeddings are there.

    Returns:
        The protocol. A photo of it may be missing, which is a status of its own when it is embedded.

    Raises:
        InputError: An input is missing, empty or broken (with the line), or none of its photos is there.
        UsageError: ``format`` is unknown, or takes another number of inputs.
    """
    paths = [Path(path) for path in inputs]
    if len(paths) not in (1, 2):
        raise UsageError(f"A protocol is one input, or a gallery and probes, not {len(paths)} inputs.")
    for path in paths:
        if not is_there(path):
            raise InputError(f"There is no protocol or list {str(path)!r}.")
    name = american(format) if format else recognize(paths)
    reader = open_protocol_format(name)
    if reader.inputs != len(paths):
        wanted = (
            "one folder, or a file in it" if reader.inputs == 1 else "two inputs, the gallery and the probes"
        )
        raise UsageError(f"--format {name} takes {wanted}, not {counted(len(paths), 'input')}.")
    protocol = replace(reader.read(paths), format=name)
    for trial in protocol.trials:
        _refuse_empty(trial, paths)
    if images and any(isinstance(image, Path) for image in protocol.images):
        protocol = replace(protocol, images=reader.find(protocol, paths, root))
    _warn_of_photos_listed_twice(protocol)
    return protocol


def open_protocol_format(name: str) -> ProtocolFormat:
    """The reader of a format.

    Raises:
        UsageError: There is none of this name.
    """
    reader: ProtocolFormat = registry.load(registry.PROTOCOL_FORMATS, name, "protocol")()
    return reader


def find_format(paths: Sequence[Path]) -> str | None:
    """The format of a protocol, from its content: the first of the registry that says that it is its own.

    Raises:
        InputError: A file is empty or cannot be read.
    """
    heads = [ListHead(path, "list", _LINE) for path in paths]
    for name in registry.PROTOCOL_FORMATS:
        reader = open_protocol_format(name)
        if reader.recognized and reader.inputs == len(heads) and reader.recognizes(heads):
            return name
    return None


def recognize(paths: Sequence[Path]) -> str:
    """The same, where it has to be one.

    Raises:
        InputError: It is none of them; the message names the formats.
    """
    name = find_format(paths)
    if name is not None:
        return name
    shown = " and ".join(repr(str(path)) for path in paths)
    formats = ", ".join(registry.PROTOCOL_FORMATS)
    if len(paths) == 1:
        raise InputError(
            f"{shown} is not a search protocol that is known here.",
            hint="Name the gallery and the probes, two folders or lists; --format lfw-open makes the trials "
            f"O1 to O3 of one folder of people. Known: {formats}",
        )
    raise InputError(
        f"{shown} are not a gallery and probes.",
        hint=f"Two folders with a subfolder a person, or two lists with {_LINE}.",
    )


def files_of(paths: Sequence[Path]) -> list[Path]:
    """The files that reading a protocol may open, whatever its format: no output may replace one of them."""
    readers = [open_protocol_format(name) for name in registry.PROTOCOL_FORMATS]
    return [*paths, *(file for reader in readers for file in reader.other_files(paths))]


def _refuse_empty(trial: SearchTrial, paths: Sequence[Path]) -> None:
    for part, path in (("gallery", paths[0]), ("probes", paths[-1])):
        if not getattr(trial, part).size and not (part == "gallery" and trial.leave_one_out):
            what = "nobody in its gallery" if part == "gallery" else "no probe"
            raise InputError(
                f"{str(path)!r} has {what} ({trial.name}).",
                hint="A search needs at least one enrolled photo and one probe.",
            )


def _warn_of_photos_listed_twice(protocol: SearchProtocol) -> None:
    """Say which photos are searched for in themselves, and which show two people; each line still counts."""
    if protocol.templates is not None or all(trial.leave_one_out for trial in protocol.trials):
        return
    names = [
        os.path.normpath(image) if isinstance(image, Path) else name
        for image, name in zip(protocol.images, protocol.names, strict=True)
    ]
    photo = distinct(names)[1]
    searches = [trial for trial in protocol.trials if not trial.leave_one_out]
    shared = [np.intersect1d(photo[trial.gallery], photo[trial.probes]) for trial in searches]
    labels = np.unique(np.stack([photo, protocol.identity], axis=1), axis=0)[:, 0]
    warnings = {
        "in the gallery and searched for in it, which finds them in themselves": np.concatenate(shared),
        "listed as two people": labels[1:][labels[1:] == labels[:-1]],
    }
    for what, found in warnings.items():
        if found.size:
            first = names[int(np.argmax(photo == found[0]))]
            log.warning("%s: %s, the first %s", what, counted(found.size, "photo"), first)
