"""Lists of labelled pairs: recognize the format, read it, find its photos.

========== =============================================================================================
lfw        ``pairs.txt`` of Labeled Faces in the Wild and lists like it: ``name n1 n2`` is a same pair,
           ``name1 n1 name2 n2`` a different one; a first line ``10 300`` (sets, pairs per class and set),
           one number (development lists) or none
labeled    ``path path label`` with spaces, tabs, commas or semicolons, quotes, with or without a heading
calfw      CALFW and CPLFW: two lines ``file label`` per pair, label 0 for different
bin        insightface ``.bin``: a pickle of encoded crops and flags, read without running anything in it
ijb        IJB-B/C: a folder with ``*_face_tid_mid.txt`` and ``*_template_pair_label.txt``
========== =============================================================================================
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import InputError
from facerec_cli.registry import unknown_name
from facerec_cli.spelling import american
from facerec_cli.verify.names import is_file, is_folder, is_there
from facerec_cli.wording import counted

log = logging.getLogger("facerec")

#: Format -> reader ``(path) -> (PairList whose images are relative paths, ways to complete a path)``.
FORMATS: dict[str, str] = {
    "lfw": "facerec_cli.verify.textlists:read_lfw",
    "labeled": "facerec_cli.verify.textlists:read_labelled",
    "calfw": "facerec_cli.verify.textlists:read_calfw",
    "bin": "facerec_cli.verify.binlists:read_bin",
    "ijb": "facerec_cli.verify.ijb:read_ijb",
}

#: Where the photos of a list often lie, seen from the folder of the list.
ROOTS = (".", "images", "photos", "lfw", "data", "loose_crop", "..", "../images", "../loose_crop")


@dataclass(frozen=True, slots=True)
class Templates:
    """Sets of photos that are compared as one (IJB-B/C).

    Attributes:
        names: (T,) template ids as written.
        image: (R,) int64, photo of each row of the ``tid_mid`` file.
        template: (R,) int64, 0..T-1.
        media: (R,) int64; the photos of one media (frames of a video) are averaged before media are summed.
    """

    names: NDArray[np.int64]
    image: NDArray[np.int64]
    template: NDArray[np.int64]
    media: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PairList:
    """Labelled pairs of photos or of templates.

    Attributes:
        format: A key of ``FORMATS``.
        images: N photos, as paths or as the bytes of an encoded image; a path need not exist.
        names: What the list calls each photo.
        first: (P,) int64 index into ``images``, or into ``templates.names``.
        second: (P,) int64, the other side.
        same: (P,) bool, True where both sides show one person.
        fold: (P,) int64, or None where the list has no folds.
        identity: (N,) int64, who is on each photo, or None where the list does not say.
        aligned: Whether the photos are aligned crops already, not to be detected again.
        landmarks: (N, 5, 2) float32 pixels where the list comes with them.
        templates: How photos make templates; None for pairs of photos.
    """

    format: str
    images: tuple[Path | bytes, ...]
    names: tuple[str, ...]
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    same: NDArray[np.bool_]
    fold: NDArray[np.int64] | None = None
    identity: NDArray[np.int64] | None = None
    aligned: bool = False
    landmarks: NDArray[np.float32] | None = None
    templates: Templates | None = None

    def __len__(self) -> int:
        return int(self.same.size)


def read_pairs(
    path: Path | str, format: str | None = None, root: Path | str | None = None, *, images: bool = True
) -> PairList:
    """Read a list of pairs and find its photos.

    Args:
        path: The list; for ``ijb`` a folder or one of the two files.
        format: A key of ``FORMATS``; recognized from the content when None.
        root: Folder that the list's paths start from; guessed around the list when None.
        images: False when the photos are not needed, because their embeddings are there.

    Raises:
        InputError: The list is missing, empty or broken (with the line), or none of its photos is there.
        UsageError: ``format`` is unknown.
    """
    path = Path(path)
    format = format and american(format)
    if not is_there(path):
        raise InputError(f"There is no pair list {str(path)!r}.")
    if format is not None and format not in FORMATS:
        raise unknown_name(format, FORMATS, "pair format")
    format = format or recognize(path)
    module, _, attribute = FORMATS[format].partition(":")
    reader: Callable[[Path], tuple[PairList, Sequence[str]]] = getattr(import_module(module), attribute)
    pairs, patterns = reader(path)
    if not len(pairs):
        raise InputError(f"The pair list {str(path)!r} has no pair in it.")
    _warn_of_repeats(pairs)
    if images and any(isinstance(image, Path) for image in pairs.images):
        base = path if path.is_dir() else path.parent
        pairs = replace(pairs, images=_find_photos(pairs.images, patterns, base, root))
    return pairs


def recognize(path: Path) -> str:
    """The format of a pair list, from its content.

    Raises:
        InputError: It is none of them; the message shows the first line and names the formats.
    """
    from facerec_cli.verify.textlists import encoding_of, recognize_text

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
        raise InputError(f"The pair list {str(path)!r} cannot be read: {error.strerror}.") from error
    if not head.strip():
        raise InputError(f"The pair list {str(path)!r} is empty.")
    if head[:1] == b"\x80" or path.suffix == ".bin":
        return "bin"
    encoding = encoding_of(head)
    if b"\0" in head and encoding != "utf-16":
        raise InputError(
            f"{str(path)!r} is not a list of pairs but a binary file.",
            hint=f"Known formats: {', '.join(FORMATS)}; `facerec verify` takes one list or two photos.",
        )
    return recognize_text(path, head.decode(encoding, errors="replace"), whole=len(head) < 65536)


def photo_table(names: Iterable[str]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Give each distinct name a number: (names, index of each given name)."""
    number: dict[str, int] = {}
    index = np.fromiter((number.setdefault(name, len(number)) for name in names), np.int64)
    return tuple(number), index


def _find_photos(
    images: tuple[Path | bytes, ...], patterns: Sequence[str], base: Path, root: Path | str | None
) -> tuple[Path | bytes, ...]:
    """Complete the paths of a list: the root and the pattern under which most of a sample exist.

    A pattern is a format string of ``stem`` (the path as listed), ``parent`` and ``name``.
    """
    listed = [image for image in images if isinstance(image, Path)]
    if root is not None and not is_folder(Path(root)):
        raise InputError(f"The folder {str(root)!r} given as --root is not there.")
    roots = [Path(root)] if root is not None else [base / r for r in ROOTS] + [Path()]
    sample = listed[:: max(1, len(listed) // 40)]

    def complete(image: Path, root: Path, pattern: str) -> Path:
        return root / pattern.format(stem=image, parent=image.parent, name=image.name)

    def hits(choice: tuple[Path, str]) -> int:
        return sum(is_file(complete(image, *choice)) for image in sample)

    choices = [(r, p) for r in roots if is_folder(r) for p in patterns]
    best = max(choices, key=hits)
    found = [complete(image, *best) if isinstance(image, Path) else image for image in images]
    if not hits(best) and not any(isinstance(f, Path) and is_file(f) for f in found):
        turned = tuple(Path(str(i).replace("\\", "/")) if isinstance(i, Path) else i for i in images)
        if turned != images:  # the list comes from Windows
            return _find_photos(turned, patterns, base, root)
        expected = complete(listed[0], roots[0], patterns[0])
        raise InputError(
            f"None of the {len(listed):,} photos of the list is there; the first would be {str(expected)!r}.",
            hint="Give the folder that the list's paths start from with --root.",
        )
    # One list may mix suffixes: a photo that is missing under the best pattern is tried under the others.
    others = [(best[0], p) for p in patterns if p != best[1]]
    for at, (image, path) in enumerate(zip(images, found, strict=True)):
        if others and isinstance(image, Path) and isinstance(path, Path) and not is_file(path):
            tries = (complete(image, *choice) for choice in others)
            found[at] = next((t for t in tries if is_file(t)), path)
    return tuple(found)


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
