"""Verification sets from labeled photos: pairs, ``.bin``, and splits that share no person."""

from __future__ import annotations

import math
import os
import pickle
import posixpath
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facerec_cli.data.dataset import FaceDataset, class_lines
from facerec_cli.data.decode import read_photo
from facerec_cli.data.formats.folder import FolderDataset
from facerec_cli.data.formats.list import ListDataset, list_lines, listable
from facerec_cli.data.targets import require_free, require_replaceable
from facerec_cli.errors import InputError, UsageError
from facerec_cli.files import write_file, writing
from facerec_cli.pairs.pairlist import PairList
from facerec_cli.progress import Progress, silent
from facerec_cli.workshop import move, workshop

_MOST_PHOTOS = 100  # of one person that pairs are drawn from


def draw_pairs(labels: NDArray[np.int64], count: int = 6000, *, folds: int = 10, seed: int = 0) -> PairList:
    """Draw half same-person and half different-person pairs, no pair twice.

    Same-person pairs go round the people, so that those with many photos do not outweigh the others. Pairs
    come in ``folds`` blocks of same, then different, so that blocks of equal size are balanced folds.

    Args:
        labels: (N,) int64.
        count: Pairs to draw; fewer where the photos do not give so many of one person.
        folds: Blocks; the count is rounded down to a multiple of twice as many.
        seed: Fixes the draw.

    Raises:
        InputError: No person has two photos, or there is one person only.
        UsageError: ``count`` is smaller than two a fold.
    """
    if count < 2 * folds:
        raise UsageError(f"{count} pairs cannot fill {folds} folds.", hint=f"Ask for {2 * folds} or more.")
    counts = np.bincount(labels)
    some = np.minimum(counts, _MOST_PHOTOS)
    possible = int((some * (some - 1) // 2).sum())
    if possible == 0 or int((counts > 0).sum()) < 2:
        raise InputError(
            "Pairs need two photos of a person, and a second person.", hint="Give data with more photos each."
        )
    folds = min(folds, possible)
    different_possible = (len(labels) ** 2 - int((counts**2).sum())) // 2
    half = min(count // 2, possible, different_possible) // folds * folds
    if half == 0:
        raise InputError("There are too few photos for pairs of different people.", hint="Give more photos.")
    random = np.random.default_rng(seed)
    same = _same_pairs(labels, half, random)
    different = _different_pairs(labels, half, random)
    both = (
        np.stack([same, different]).reshape(2, folds, -1, 2).transpose(1, 0, 2, 3)
    )  # fold, kind, pair, side
    flags = np.broadcast_to(np.array([True, False])[None, :, None], both.shape[:3])
    return PairList(both[..., 0].ravel(), both[..., 1].ravel(), flags.ravel())


def _same_pairs(labels: NDArray[np.int64], count: int, random: np.random.Generator) -> NDArray[np.int64]:
    """(count, 2): round after round one new pair of each person who has one left, people in random order."""
    order = np.argsort(labels, kind="stable")
    people = np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)
    left = [(photos, _queue(len(photos), random)) for photos in people if len(photos) > 1]
    drawn: list[NDArray[np.int64]] = []
    while len(drawn) < count:
        random.shuffle(left)
        drawn += [photos[queue.pop()] for photos, queue in left[: count - len(drawn)]]
        left = [(photos, queue) for photos, queue in left if queue]
    return np.array(drawn, np.int64)


def _queue(photos: int, random: np.random.Generator) -> list[list[int]]:
    """All pairs of a person's photos in random order; of at most ``_MOST_PHOTOS`` random photos."""
    some = random.permutation(photos)[:_MOST_PHOTOS]
    pairs = np.stack(np.triu_indices(len(some), 1), axis=1)
    return np.sort(some[random.permutation(pairs)], axis=1).tolist()  # type: ignore[no-any-return]


def _different_pairs(labels: NDArray[np.int64], count: int, random: np.random.Generator) -> NDArray[np.int64]:
    """(count, 2) of different people, no pair twice."""
    drawn: dict[tuple[int, int], None] = {}
    while len(drawn) < count:
        for a, b in np.sort(random.integers(0, len(labels), (2 * count, 2)), axis=1).tolist():
            if labels[a] != labels[b]:
                drawn[a, b] = None
            if len(drawn) == count:
                break
    return np.array(list(drawn), np.int64)


def write_bin(
    dataset: FaceDataset,
    pairs: PairList,
    target: Path,
    progress: Progress = silent,
    *,
    overwrite: bool = False,
) -> None:
    """Write insightface's ``.bin``: a pickle of (2 P encoded photos, P flags), bytes as they are stored.

    Photos should be aligned crops of 112 x 112, which is what readers of the format expect.

    Raises:
        UsageError: ``target`` is a folder or training data, or exists without ``overwrite``.
        InputError: A photo cannot be read.
        OutputError: ``target`` cannot be written.
    """
    require_replaceable(target, dataset, overwrite=overwrite)
    photos: list[bytes] = []
    encoded: dict[int, bytes] = {}
    for done, both in enumerate(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True), 1):
        for index in both:
            if index not in encoded:
                encoded[index] = dataset.read(index)
            photos.append(encoded[index])
        progress(done, len(pairs.same))
    # Protocol 4: bytes stay bytes, without the codecs call that older protocols need and safe readers refuse.
    write_file(target, pickle.dumps((photos, pairs.same.tolist()), protocol=4), devices="through")


def write_pairs(dataset: FaceDataset, pairs: PairList, target: Path, *, overwrite: bool = False) -> None:
    """Write ``path<TAB>path<TAB>1|0`` lines, paths relative to the list.

    Raises:
        UsageError: Photos are no files, or ``target`` is a folder or training data, or exists without
            ``overwrite``.
        InputError: A photo's name cannot stand in a list.
        OutputError: ``target`` cannot be written.
    """
    require_replaceable(target, dataset, overwrite=overwrite)
    path = _paths(dataset, target)
    lines = (
        f"{path(a)}\t{path(b)}\t{int(same)}\n"
        for a, b, same in zip(pairs.first.tolist(), pairs.second.tolist(), pairs.same.tolist(), strict=True)
    )
    write_file(target, "".join(lines).encode("utf-8", "surrogateescape"), devices="through")


def split(
    dataset: FaceDataset,
    folder: Path,
    *,
    test_identities: float = 0.2,
    min_photos: int = 1,
    seed: int = 0,
    overwrite: bool = False,
) -> dict[str, tuple[int, int]]:
    """Write ``train.txt`` and ``test.txt``, lists that share no person.

    Args:
        dataset: Photos that are files.
        folder: Where the lists go.
        test_identities: Part of the people (below 1) or their number (1 and above) in ``test.txt``.
        min_photos: People with fewer photos are in neither.
        seed: Fixes who is where.
        overwrite: Replace lists that are there.

    Returns:
        People and photos of "train" and "test".

    Raises:
        UsageError: A side would be empty, photos are no files, one of the lists exists, or ``folder`` is the
            photos' own.
        OutputError: The lists cannot be written.
        InputError: A name cannot stand in a list.
    """
    counts = np.bincount(dataset.labels, minlength=dataset.num_classes)
    people = np.flatnonzero(counts >= max(1, min_photos))
    if not math.isfinite(test_identities):
        test_people = 0
    else:
        test_people = round(test_identities * len(people)) if test_identities < 1 else int(test_identities)
    if not 1 <= test_people < len(people):
        raise UsageError(
            f"{test_identities:g} of {len(people):,} people leaves one side of the split empty.",
            hint="Give a part between 0 and 1, or a number below the number of people.",
        )
    drawn = np.random.default_rng(seed).permutation(people)
    sides = {"test": np.sort(drawn[:test_people]), "train": np.sort(drawn[test_people:])}
    files: dict[Path, bytes] = {}
    summary = {}
    for side in ("train", "test"):
        people, target = sides[side], folder / f"{side}.txt"
        lines, photos = _side(dataset, people, target)
        names = (dataset.class_names[person] for person in people.tolist())
        files[target.with_suffix(".classes.txt")] = class_lines(names, dataset.spec)
        files[target] = lines
        summary[side] = (len(people), photos)
    if isinstance(dataset, FolderDataset) and folder.resolve().is_relative_to(dataset.root.resolve()):
        raise UsageError(
            f"{folder} is in the folder of the photos; lists among the people would be taken for photos.",
            hint="Name a folder for the lists, such as -o lists/",
        )
    with workshop(folder / "split", files) as room:
        require_free(files, dataset, overwrite=overwrite)
        moves = {room / target.name: target for target in files}
        for made, target in moves.items():
            with writing(target):
                made.write_bytes(files[target])
        move(room, moves)
    return summary


def _side(dataset: FaceDataset, people: NDArray[np.int64], target: Path) -> tuple[bytes, int]:
    """The list of some people's photos, and how many these are."""
    path = _paths(dataset, target)
    number = np.full(dataset.num_classes, -1)
    number[people] = np.arange(len(people))
    rows = np.flatnonzero(number[dataset.labels] >= 0)
    weights = None if dataset.weights is None else dataset.weights[rows]
    labels = number[dataset.labels[rows]].astype(np.int64)
    return list_lines([path(row) for row in rows.tolist()], labels, weights), len(rows)


def _paths(dataset: FaceDataset, target: Path) -> Callable[[int], str]:
    """Where a photo is, seen from ``target``'s folder."""
    if not isinstance(dataset, FolderDataset | ListDataset):
        raise UsageError(
            f"The photos of {dataset.spec} are not files that a list can name.",
            hint="Convert it to a folder first: facerec data convert.",
        )
    root = Path(os.path.relpath(dataset.root.resolve(), target.parent.resolve())).as_posix()
    return lambda index: listable(posixpath.normpath(posixpath.join(root, dataset.name(index))))


def open_evaluation(spec: str) -> list[tuple[str, bytes]]:
    """Names and encoded photos of an evaluation set; photos that cannot be read are left out.

    Args:
        spec: A pair list that ``facerec verify`` reads, or any data set.

    Raises:
        InputError: It cannot be opened, or none of its photos can be read.
    """
    from facerec_cli.data import open_dataset
    from facerec_cli.pairs.read import is_protocol, read_pairs

    path = Path(spec)
    names: Sequence[str]
    read: Callable[[int], bytes]
    if is_protocol(path) or (path.is_file() and path.suffix not in (".rec", ".idx", ".tar")):
        pairs = read_pairs(path)
        names = pairs.names

        def read(number: int) -> bytes:
            image = pairs.images[number]
            return image if isinstance(image, bytes) else read_photo(str(image), pairs.names[number])

    else:
        dataset = open_dataset(spec)
        names = [dataset.name(index) for index in range(len(dataset))]
        read = dataset.read
    photos = []
    for number, name in enumerate(names):
        with suppress(OSError, InputError):
            photos.append((name, read(number)))
    if not photos:
        raise InputError(
            f"None of the photos of {spec} can be read.", hint="Check that they are beside the list."
        )
    return photos
