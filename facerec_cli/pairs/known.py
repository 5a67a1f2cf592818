"""Lists of the field that are known and are no pairs that could be read: named, with what would do."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from facerec_cli.errors import InputError
from facerec_cli.pairs.names import has_suffix

_ALL = "To compare each photo of a folder with each other, the same subfolder meaning the same person: "
_ALL_PAIRS = _ALL + "facerec verify FOLDER --all-pairs"
_WRITE = "Write its pairs as lines `path path label`, label 1 for the same person and 0 for different ones."
_NUMBERED = re.compile(r"\d+\s*,\s*\S.*\.\w+")
_IJB_CSV = ("TEMPLATE_ID", "SUBJECT_ID", "SIGHTING_ID")


def refuse_known(path: Path, head: str, rows: Sequence[Sequence[str]]) -> None:
    """Name a list that is known but is no list of pairs.

    Args:
        path: The list.
        head: How it begins.
        rows: The fields of its first lines.

    Raises:
        InputError: It is one.
    """
    name = str(path)
    lines = [line.strip() for line in head.splitlines()[:200] if line.strip()]
    body = [line for line in lines if not line.isdecimal()]
    first = rows[0] if rows else []
    if len(body) < len(lines) and body and all(_NUMBERED.fullmatch(line) for line in body):
        raise InputError(
            f"{name!r} is a set of BLUFR's protocol (a count and then `index, photo`), which names no pairs.",
            hint="BLUFR compares all photos of a set, which is not done from its lists here. " + _ALL_PAIRS,
        )
    if head.startswith("MATLAB 5.0 MAT-file") or head[:8] == "\x89HDF\r\n\x1a\n":
        raise InputError(f"{name!r} is a MATLAB file, as AgeDB's and TinyFace's protocols are.", hint=_WRITE)
    if head.lstrip()[:1] == "{" and '"path"' not in head:
        raise InputError(f"{name!r} is a JSON document and no list of pairs.", hint=_WRITE)
    if head.lstrip()[:1] == "{":
        raise InputError(
            f"{name!r} is JSON with paths, as MegaFace's and FaceScrub's lists are, and no list of pairs.",
            hint="MegaFace is a test of identification among distractors. " + _WRITE,
        )
    if (first and first[0] in _IJB_CSV) or _IJB_CSV[0] in lines[0].upper():
        raise InputError(
            f"{name!r} is a table of IJB's templates, as IJB-A and NIST publish it.",
            hint="Give a folder of IJB-B or IJB-C with *_face_tid_mid.txt and *_template_pair_label.txt.",
        )
    if "face_id" in lines[0] and "image_id" in lines[0]:
        raise InputError(f"{name!r} is FaceScrub's list of photos, and names no pairs.", hint=_ALL_PAIRS)
    if lines[0].replace(" ", "").lower().startswith(("split,name1", "split_number,", "split,first")) or (
        len(first) in (5, 6) and all(cell.isdecimal() for cell in (first[0], *first[-2:])) and "/" in first[1]
    ):
        raise InputError(f"{name!r} is a list of pairs of videos, as YouTube Faces has it.", hint=_WRITE)
    if rows and all(len(fields) == 1 for fields in rows) and any(has_suffix(fields[0]) for fields in rows):
        raise InputError(f"{name!r} names photos and no pairs.", hint=f"{_WRITE} {_ALL_PAIRS}")
    if len(rows) > 1 and all(fields[0].isdecimal() and len(fields) == 1 for fields in rows):
        raise InputError(f"{name!r} holds numbers only, such as the labels of other lists.", hint=_WRITE)
    if len(rows) > 1 and all(
        len(fields) == 2 and fields[0].isdecimal() and fields[1].isdecimal() for fields in rows
    ):
        raise InputError(
            f"{name!r} holds pairs of numbers, as a fold of CFP's protocol does (`i,j` in its same.txt), but "
            "there is no Pair_list_F.txt above it that would say which photos these are.",
            hint="Give the folder Protocol of CFP as it was unpacked, or its Split/FF or Split/FP.",
        )
    named = [fields for fields in rows if len(fields) == 2 and fields[1].isdecimal()]
    if len(named) > 1 and len(named) == len(rows) - (len(first) == 1):
        people = not any(has_suffix(fields[0]) or "/" in fields[0] for fields in named)
        if people:
            raise InputError(
                f"{name!r} lists people and numbers, as LFW's people.txt does, and no pairs.", hint=_ALL_PAIRS
            )
