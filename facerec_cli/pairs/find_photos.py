"""The photos that a pair list names: under which root, with which suffix, in which form they are there."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from facerec_cli.errors import InputError
from facerec_cli.pairs.names import is_file, is_folder
from facerec_cli.pairs.numbered import NumberedOnDisk, numbered, photos_in
from facerec_cli.tables.paths import Disk, drop_parts, form, has_drive, shared_depth, turned
from facerec_cli.wording import counted

log = logging.getLogger("facerec")

#: Where the photos of a list often lie, seen from the folder of the list. Those of CALFW and CPLFW lie in
#: ``aligned images``, XQLFW's in folders of its archives; ``{name}`` is the list's folder, as RFW has it.
ROOTS = (
    *(".", "images", "photos", "lfw", "data", "loose_crop", "..", "../images", "../loose_crop"),
    *("aligned images", "lfw_original_imgs_min_qual0.85variant11", "xqlfw_aligned_112"),
    *("AgeDB", "../../data/{name}"),
)

_SAMPLE = 40  # photos by which root and pattern are chosen


@dataclass(frozen=True, slots=True)
class _Choice:
    """A root and a pattern, a format string of ``stem`` (the path as listed), ``parent`` and ``name``."""

    root: Path
    pattern: str

    def path(self, image: Path) -> Path:
        return self.root / self.pattern.format(stem=image, parent=image.parent, name=image.name)


def find_listed(
    images: tuple[Path | bytes, ...], patterns: Sequence[str], base: Path, root: Path | str | None
) -> tuple[Path | bytes, ...]:
    """Complete the paths of a list: the root and the pattern under which most of a sample exist.

    A photo that is missing there is tried under the other patterns, in other Unicode forms, and where it is
    numbered as in LFW, under other names with its number.

    Args:
        images: Paths as the list has them, or encoded images, which stay.
        patterns: Ways to complete a path.
        base: The list's folder.
        root: Where the user says that paths start.

    Raises:
        InputError: None of the photos is there, or ``root`` is not.
    """
    listed = [image for image in images if isinstance(image, Path)]
    if root is not None and not is_folder(Path(root)):
        raise InputError(
            f"The folder {str(root)!r} given as --root is not there.", hint="Correct it, or leave it out."
        )
    roots = (
        [Path(root)]
        if root is not None
        else [base / r.format(name=base.absolute().name) for r in ROOTS] + [Path()]
    )
    choices = [_Choice(r, p) for r in roots if is_folder(r) for p in patterns]
    disk, numbers = Disk(), NumberedOnDisk()

    def look(choice: _Choice, image: Path) -> Path | None:
        return _in_form(choice.path(image), choice.root, disk) or numbers.find(choice.root, str(image))

    best = _best(choices, listed, lambda choice, image: is_file(choice.path(image)))
    if best is None and not any(is_file(choices[0].path(image)) for image in listed):
        for spelled in _from_windows(images, roots, disk):
            return find_listed(spelled, patterns, base, root)
        best = _best(choices, listed, lambda choice, image: look(choice, image) is not None)
        if best is None:
            raise _none_there(listed, choices[0], roots, numbers)
    best = best or choices[0]
    others = [choice for choice in choices if choice.root == best.root and choice != best]
    paths: list[Path | bytes] = []
    renamed: list[tuple[Path, Path]] = []
    for image in images:
        path = best.path(image) if isinstance(image, Path) else image
        if isinstance(image, Path) and isinstance(path, Path) and not is_file(path):
            tries = (choice.path(image) for choice in others)
            path = next((t for t in tries if is_file(t)), None) or look(best, image) or path
            if numbered(str(image)) and form(path.stem) != form(image.name) and is_file(path):
                renamed.append((image, path))
        paths.append(path)
    if renamed:
        log.warning(
            "%s found by the number in another name, the first: %s is %s",
            counted(len(renamed), "photo"),
            *renamed[0],
        )
    return tuple(paths)


def _best(
    choices: Sequence[_Choice], listed: Sequence[Path], is_there: Callable[[_Choice, Path], bool]
) -> _Choice | None:
    """The choice under which most of a sample are there; None where nothing is."""
    sample = listed[:: max(1, len(listed) // _SAMPLE)]

    def hits(choice: _Choice) -> int:
        return sum(is_there(choice, image) for image in sample)

    best = max(choices, key=hits)
    return best if hits(best) else None


def _in_form(path: Path, root: Path, disk: Disk) -> Path | None:
    """The path below a root as the disk writes it, where that is in another Unicode form."""
    if str(path).isascii():
        return None
    below = str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
    written = disk.find(below, [str(root)])
    return Path(written) if written is not None and is_file(written) else None


def _from_windows(
    images: tuple[Path | bytes, ...], roots: Sequence[Path], disk: Disk
) -> list[tuple[Path | bytes, ...]]:
    """The paths with slashes, and without the drive where the rest is here; none where nothing changes."""
    paths = [str(image) for image in images if isinstance(image, Path)]
    drives = [path for path in paths if has_drive(path)]
    folders = [str(root) for root in roots]
    depth = shared_depth(drives, lambda name: disk.find(name, folders) is not None)

    def spelled(path: Path) -> Path:
        return Path(drop_parts(str(path), depth) if depth and has_drive(str(path)) else turned(str(path)))

    changed = tuple(spelled(image) if isinstance(image, Path) else image for image in images)
    return [changed] if changed != images else []


def _none_there(
    listed: Sequence[Path], choice: _Choice, roots: Sequence[Path], numbers: NumberedOnDisk
) -> InputError:
    """What was looked for, what is there instead, and which form of list would do."""
    first = listed[0]
    expected = str(choice.path(first))
    message = f"None of the {len(listed):,} photos of the list is there; the first would be {expected!r}."
    hint = (
        "Give the folder that the list's paths start from (--root of verify, identify and export), or write "
        "paths that start at the list's own folder."
    )
    lfw = numbered(str(first))
    if lfw is None:
        return InputError(message, hint=hint)
    above, name, number = lfw
    folder = next((r / above / name for r in roots if is_folder(r / above / name)), None)
    there = [] if folder is None else list(photos_in(folder))
    if not there:
        return InputError(
            message,
            hint=f"{hint} Looked for: {name}/{name}_{number:04d} and {name}_{number:04d} with any suffix and "
            f"any zeros before the number, and the one photo with this number in a folder {name}.",
        )
    shown = ", ".join(photo.name for photo in there[:3]) + (", ..." if len(there) > 3 else "")
    pair = " ".join(f'"{name}/{photo.name}"' for photo in (there * 2)[:2])
    return InputError(
        message,
        hint=f"{str(folder)!r} has {counted(len(there), 'photo')} ({shown}), and not just one has the "
        f"number {number}. A list of paths would do, two and a label on a line: {pair} 1",
    )
