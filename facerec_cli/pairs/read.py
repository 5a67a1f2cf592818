"""Lists of labelled pairs: recognize the format, read it, find its photos.

========== =============================================================================================
lfw        ``pairs.txt`` of Labeled Faces in the Wild and lists like it: ``name n1 n2`` is a same pair,
           ``name1 n1 name2 n2`` a different one; a first line ``10 300`` (sets, pairs per class and set),
           one number (development lists) or none
labeled    ``path path label`` with spaces, tabs, commas or semicolons, quotes, with or without a heading
calfw      CALFW and CPLFW: two lines ``file label`` per pair, label 0 for different
bin        insightface ``.bin``: a pickle of encoded crops and flags, read without running anything in it
ijb        IJB-B/C: a folder with ``*_face_tid_mid.txt`` and ``*_template_pair_label.txt``
cfp        CFP: the folder ``Protocol`` with ``Pair_list_F.txt``, or a part of its ``Split``
========== =============================================================================================
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from facerec_cli.errors import InputError
from facerec_cli.pairs.find_photos import find_listed
from facerec_cli.pairs.formats.cfp import find_protocol, protocol_folder
from facerec_cli.pairs.formats.text import recognize_text
from facerec_cli.pairs.known import refuse_known
from facerec_cli.pairs.names import is_file, is_folder, is_there
from facerec_cli.pairs.pairlist import PairList
from facerec_cli.registry import PAIR_FORMATS, load
from facerec_cli.sniff import refuse_as_list, refuse_pointer
from facerec_cli.spelling import american
from facerec_cli.tables.text import encoding_of
from facerec_cli.wording import counted

log = logging.getLogger("facerec")


def read_pairs(
    path: Path | str,
    format: str | None = None,
    root: Path | str | None = None,
    *,
    images: bool = True,
    templates: bool = True,
) -> PairList:
    """Read a list of pairs and find its photos.

    Args:
        path: The list; for ``ijb`` and ``cfp`` a folder or one of its files.
        format: A key of ``registry.PAIR_FORMATS``; recognized from the content when None.
        root: Folder that the list's paths start from; guessed around the list when None.
        images: False when the photos are not needed, because their embeddings are there.
        templates: False when only pairs of photos can be used.

    Raises:
        InputError: The list is missing, empty or broken (with the line), none of its photos is there, or it
            compares templates and they cannot be used.
        UsageError: ``format`` is unknown.
    """
    path = Path(path)
    format = format and american(format)
    if not is_there(path):
        raise InputError(f"There is no pair list {str(path)!r}.")
    format = format or recognize(path)
    reader: Callable[[Path], tuple[PairList, Sequence[str]]] = load(PAIR_FORMATS, format, "pair format")
    pairs, patterns = reader(path)
    pairs = replace(pairs, format=format)
    if not templates and pairs.templates is not None:
        raise InputError(f"{path} compares templates.", hint="Give a list of pairs of photos.")
    if not len(pairs):
        raise InputError(
            f"The pair list {str(path)!r} has no pair in it.",
            hint="Write a pair a line, such as `a.jpg b.jpg 1`.",
        )
    _warn_of_repeats(pairs)
    if images and any(isinstance(image, Path) for image in pairs.images):
        base = path if path.is_dir() else path.parent
        if format == "cfp":
            base = protocol_folder(path).parent
        pairs = replace(pairs, images=find_listed(pairs.images, patterns, base, root))
    return pairs


def recognize(path: Path) -> str:
    """The format of a pair list, from its content.

    Raises:
        InputError: It is none of them; the message shows the first line and names the formats.
    """
    if find_protocol(path) is not None:
        return "cfp"
    if is_folder(path):
        return "ijb"
    if is_there(path) and not is_file(path):
        raise InputError(
            f"{str(path)!r} is a pipe or device, which can be read only once.",
            hint="Name the list's format with --format, or write the list to a file.",
        )
    try:
        with path.open("rb") as file:
            head = file.read(65536)
    except OSError as error:
        raise InputError(
            f"The pair list {str(path)!r} cannot be read: {error.strerror}.",
            hint="Name a list that you may read.",
        ) from error
    if not head.strip():
        raise InputError(
            f"The pair list {str(path)!r} is empty.", hint="Write a pair a line, such as `a.jpg b.jpg 1`."
        )
    if head[:1] == b"\x80" or path.suffix == ".bin":
        refuse_pointer(head, repr(str(path)))
        return "bin"
    refuse_pointer(head, repr(str(path)))
    encoding = encoding_of(head)
    if encoding is None or head.startswith(b"MATLAB 5.0"):
        refuse_known(path, head.decode("latin-1"), [])
        refuse_as_list(head, repr(str(path)), what="list of pairs")
        raise InputError(
            f"{str(path)!r} is not a list of pairs but a binary file.",
            hint=f"Known formats: {', '.join(PAIR_FORMATS)}; `facerec verify` takes one list or two photos.",
        )
    return recognize_text(path, head.decode(encoding, errors="replace"), whole=len(head) < 65536)


def _warn_of_repeats(pairs: PairList) -> None:
    """Say how often a pair is listed twice, with two labels, or with itself; every line still counts."""
    low, high = np.minimum(pairs.first, pairs.second), np.maximum(pairs.first, pairs.second)
    key = low * (int(high.max()) + 1) + high
    labelled = key * 2 + pairs.same
    key.sort()
    labelled.sort()
    repeated = int(np.count_nonzero(key[1:] == key[:-1]))
    agreeing = int(np.count_nonzero(labelled[1:] == labelled[:-1]))
    if repeated:
        log.warning("%s of %d repeated; each is counted", counted(repeated, "pair"), len(pairs))
    if repeated > agreeing:
        log.warning("listed both as same and as different: %s", counted(repeated - agreeing, "pair"))
    alone = int(np.count_nonzero(low == high))
    if alone:
        log.warning("a photo is compared with itself in %s", counted(alone, "pair"))
