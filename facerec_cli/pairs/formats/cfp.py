"""CFP's protocol: ten folds of pairs, frontal with frontal (FF) and frontal with profile (FP).

``Protocol/Pair_list_F.txt`` numbers the frontal photos and ``Pair_list_P.txt`` the profiles
(``1 ../Data/Images/001/frontal/01.jpg``); ``Split/FP/01/same.txt`` and ``diff.txt`` have a line ``i,j`` for
each pair of the first fold, ``i`` in the frontal list and ``j`` in the list of profiles (in ``Split/FF`` in
the frontal one).

Source: Sengupta et al., "Frontal to Profile Face Verification in the Wild", WACV 2016, and its own files.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path

from facerec_cli.errors import InputError
from facerec_cli.pairs.names import is_file, is_folder
from facerec_cli.pairs.pair_format import ListHead, PairFormat
from facerec_cli.pairs.pairlist import PairList
from facerec_cli.tables.rows import read_rows
from facerec_cli.tables.text import read_text, split_lines

log = logging.getLogger("facerec")

_FRONTAL, _PROFILE = "Pair_list_F.txt", "Pair_list_P.txt"
_SIDES = {"same.txt": True, "diff.txt": False}
_FILES = (*_SIDES, _FRONTAL, _PROFILE)


def find_protocol(path: Path) -> Path | None:
    """The folder with the two lists of photos, for any part of the protocol; None where there is none.

    Args:
        path: The folder itself, the folder that holds it as ``Protocol``, ``Split`` or a folder in it, or one
            of the protocol's files.
    """
    if not is_folder(path) and path.name not in _FILES:
        return None
    start = path if is_folder(path) else path.parent
    near = [start / "Protocol", start, *start.absolute().parents[:3]]
    return next((folder for folder in near if is_file(folder / _FRONTAL)), None)


def protocol_folder(path: Path) -> Path:
    """As :func:`find_protocol`.

    Raises:
        InputError: There is none.
    """
    folder = find_protocol(path)
    if folder is None:
        raise InputError(
            f"{str(path)!r} is no part of CFP's protocol: there is no {_FRONTAL} in it or above it.",
            hint="Give the folder Protocol of CFP as it was unpacked, or its Split/FF or Split/FP.",
        )
    return folder


class Cfp(PairFormat):
    """A part of CFP's protocol: the folds of FF or FP, all ten, or the one that is named."""

    description = "CFP's: the folder Protocol with Pair_list_F.txt, or a part of its Split"

    def recognizes(self, head: ListHead) -> bool:
        """Whether the protocol's lists of photos are there."""
        return find_protocol(head.path) is not None

    def read(self, path: Path) -> PairList:
        """Read it.

        Raises:
            InputError: A file is missing or broken; the message has the line.
        """
        protocol = protocol_folder(path)
        kind, folds = _folds(path, protocol)
        frontal = _photos(protocol / _FRONTAL)
        second = frontal if kind == "FF" else _photos(protocol / _PROFILE)
        sides: list[str] = []
        same: list[bool] = []
        fold: list[int] = []
        for number, folder in enumerate(folds):
            for name, label in _SIDES.items():
                pairs = _pairs(folder / name, frontal, second)
                for pair in pairs:
                    sides += pair
                same += [label] * len(pairs)
                fold += [number] * len(pairs)
        return PairList.from_names(sides, same, fold=fold if len(folds) > 1 else None, person=_person)

    def folder(self, path: Path) -> Path:
        """The folder that holds the protocol."""
        return protocol_folder(path).parent

    def other_files(self, path: Path) -> list[Path]:
        """The files of the protocol."""
        protocol = find_protocol(path)
        if protocol is None:
            return []
        return [protocol / _FRONTAL, protocol / _PROFILE, *protocol.glob("Split/*/*/*.txt")]


def _folds(path: Path, protocol: Path) -> tuple[str, list[Path]]:
    """FF or FP, and the folders of the folds that are meant."""
    start = path.absolute() if is_folder(path) else path.absolute().parent
    kind = next((part for part in reversed(start.parts) if part in ("FF", "FP")), "")
    if start.name.isdecimal() and kind:
        log.warning("fold %s of CFP's %s alone is read; give %s for all ten", start.name, kind, start.parent)
        return kind, [start]
    if not kind:
        kind = "FP"
        log.warning(
            "CFP's frontal-profile pairs (FP) are read; for frontal-frontal give %s",
            protocol / "Split" / "FF",
        )
    folder = start if start.name == kind else protocol / "Split" / kind
    folds = sorted(
        (f for f in folder.glob("*") if f.name.isdecimal() and is_folder(f)), key=lambda f: int(f.name)
    )
    if not folds:
        raise InputError(
            f"{str(folder)!r} has no folds.",
            hint="CFP's Split/FP holds the folders 01 to 10 with same.txt and diff.txt.",
        )
    return kind, folds


def _photos(path: Path) -> dict[int, str]:
    """The photos of a list by their numbers; a list without numbers counts its lines."""
    photos: dict[int, str] = {}
    for line, fields in read_rows(split_lines(read_text(path, "list of photos")), str(path)):
        number, name = (fields[0], fields[1]) if len(fields) == 2 else (str(len(photos) + 1), fields[0])
        if len(fields) > 2 or not re.fullmatch("[0-9]{1,9}", number):
            raise InputError(
                f"{str(path)!r}, line {line}: {' '.join(fields)[:80]!r} is not `number path`.",
                hint="Take the file as CFP's protocol has it.",
            )
        photos[int(number)] = re.sub(r"^(\.\.?/)+", "", name.replace("\\", "/"))
    return photos


def _pairs(path: Path, first: dict[int, str], second: dict[int, str]) -> list[tuple[str, str]]:
    pairs = []
    for line, fields in read_rows(split_lines(read_text(path, "list of pairs")), str(path)):
        try:
            i, j = map(int, fields)
            pairs.append((first[i], second[j]))
        except (ValueError, KeyError):
            raise InputError(
                f"{str(path)!r}, line {line}: {' '.join(fields)[:80]!r} is not `i,j` of listed photos.",
                hint="Take the file as CFP's protocol has it, beside its own Pair_list files.",
            ) from None
    return pairs


def _person(name: str) -> str:
    """``Data/Images/001`` of ``Data/Images/001/frontal/01.jpg``."""
    return name.rsplit("/", 2)[0]
