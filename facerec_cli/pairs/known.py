"""Lists and folders of the field that are known and hold no pairs: named, with what would do."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from facerec_cli.errors import InputError
from facerec_cli.pairs.names import has_suffix, is_folder
from facerec_cli.pairs.numbered import photos_in
from facerec_cli.pairs.pair_format import ListHead
from facerec_cli.pairs.people_by_name import person_of_agedb

_ALL_PAIRS = (
    "To compare each photo of a folder with each other, the same subfolder meaning the same person: "
    "facerec verify FOLDER --all-pairs"
)
_SEARCH = "facerec identify FOLDER --evaluate"
_WRITE = "Write its pairs as lines `path path label`, label 1 for the same person and 0 for different ones."
_NUMBERED = re.compile(r"\d+\s*,\s*\S.*\.\w+")


def explain_known(head: ListHead) -> InputError | None:
    """The error that names a list that is known but is no list of pairs; None where it is none of these."""
    name = repr(str(head.path))
    return next((InputError(f"{name} {what}", hint=hint) for what, hint in _known(head)), None)


def _known(head: ListHead) -> Iterator[tuple[str, str]]:
    """What the list is and what to do, for each that it looks like, the surest first."""
    lines = [line.strip() for line in head.text.splitlines()[:200] if line.strip()]
    body = [line for line in lines if not line.isdecimal()]
    if len(body) < len(lines) and body and all(_NUMBERED.fullmatch(line) for line in body):
        yield (
            "is a set of BLUFR's protocol (a count and then `index, photo`), which names no pairs.",
            f"Its searches, and all pairs of its test sets: {_SEARCH} --root LFW",
        )
    if head.data.startswith((b"MATLAB 5.0 MAT-file", b"\x89HDF\r\n\x1a\n")):
        yield (
            "is a MATLAB file, as the lists of AgeDB, TinyFace and QMUL-SurvFace are.",
            f"The last two are searches: {_SEARCH}. Else: {_WRITE}",
        )
    if head.is_json and '"path"' in head.text:
        yield (
            "is JSON with paths, as MegaFace's and FaceScrub's lists are, and no list of pairs.",
            f"MegaFace is made of searches among distractors: {_SEARCH}. Else: {_WRITE}",
        )
    if head.is_json:
        yield "is a JSON document and no list of pairs.", _WRITE
    if lines and head.rows:
        yield from _known_table(lines[0], [fields for _, fields in head.rows])


def _known_table(line: str, rows: list[list[str]]) -> Iterator[tuple[str, str]]:
    """The same for text with rows; ``line`` is its first."""
    first = rows[0]
    if first[0] in ("TEMPLATE_ID", "SUBJECT_ID", "SIGHTING_ID") or "TEMPLATE_ID" in line.upper():
        yield (
            "is a table of IJB's templates, as IJB-A and NIST publish it.",
            "Give a folder of IJB-B or IJB-C with *_face_tid_mid.txt and *_template_pair_label.txt; its 1:N "
            f"searches: {_SEARCH}",
        )
    if [cell.lower() for cell in first] == ["id", "num", "score"]:
        yield (
            "is XQLFW's table of the quality of each photo, which names no pairs.",
            "Its pairs are in xqlfw_pairs.txt.",
        )
    if "face_id" in line and "image_id" in line:
        yield "is FaceScrub's list of photos, and names no pairs.", _ALL_PAIRS
    if line.replace(" ", "").lower().startswith(("split,name1", "split_number,", "split,first")) or (
        len(first) in (5, 6) and all(cell.isdecimal() for cell in (first[0], *first[-2:])) and "/" in first[1]
    ):
        yield "is a list of pairs of videos, as YouTube Faces has it.", _WRITE
    if all(len(fields) == 1 for fields in rows) and any(has_suffix(fields[0]) for fields in rows):
        yield "names photos and no pairs.", f"{_WRITE} {_ALL_PAIRS}"
    if len(rows) > 1 and all(fields[0].isdecimal() and len(fields) == 1 for fields in rows):
        yield "holds numbers only, such as the labels of other lists.", _WRITE
    pairs = [fields for fields in rows if len(fields) == 2 and fields[1].isdecimal()]
    if len(rows) > 1 and len(pairs) == len(rows) and all(fields[0].isdecimal() for fields in rows):
        yield (
            "holds pairs of numbers, as a fold of CFP's protocol does (`i,j` in its same.txt), but "
            "there is no Pair_list_F.txt above it that would say which photos these are.",
            "Give the folder Protocol of CFP as it was unpacked, or its Split/FF or Split/FP.",
        )
    has_photo = any(has_suffix(fields[0]) or "/" in fields[0] for fields in pairs)
    if len(pairs) > 1 and len(pairs) == len(rows) - (len(first) == 1) and not has_photo:
        yield "lists people and numbers, as LFW's people.txt does, and no pairs.", _ALL_PAIRS


def explain_folder(folder: Path) -> InputError:
    """The error for a folder that holds no list: most often it is one of people or of photos."""
    loose = next(photos_in(folder), None)
    people = next((f for f in sorted(folder.glob("*")) if is_folder(f) and next(photos_in(f), None)), None)
    if people is not None and loose is None:
        return InputError(
            f"{str(folder)!r} is a folder of people ({people.name!r} and so on) and not a list of pairs.",
            hint="To compare each photo with each other, those in one folder being of one person: "
            f"facerec verify {shlex.quote(str(folder))} --all-pairs",
        )
    if loose is not None and person_of_agedb(loose.name) is not None:
        return InputError(
            f"{str(folder)!r} holds photos that are named as AgeDB's ({loose.name!r}) and no list of pairs.",
            hint=f"To compare all photos: facerec verify {shlex.quote(str(folder))} --all-pairs. "
            "The pairs of AgeDB-30 are in insightface's agedb_30.bin, or in a list of `path path label`.",
        )
    if loose is not None:
        return InputError(
            f"{str(folder)!r} holds photos ({loose.name!r} and so on) and no list of pairs.",
            hint="Put each person's photos into a folder of their own and add --all-pairs, which compares "
            "each photo with each other; or give a list with lines of `path path label`.",
        )
    return InputError(
        f"{str(folder)!r} has no list of pairs and no photos in it.",
        hint="Give a list of pairs, a folder with a folder per person and --all-pairs, or a folder of IJB-B "
        "or IJB-C (*_face_tid_mid.txt, *_template_pair_label.txt) or CFP (Protocol).",
    )
