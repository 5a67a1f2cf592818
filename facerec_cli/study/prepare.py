"""What a study needs before the first run: the split, the crops, the lists.

:class:`Materials` are plain values, so that they go to other processes and into a hash.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from facerec_cli.data import FaceDataset, open_stored
from facerec_cli.data.tools.pairs import draw_pairs
from facerec_cli.errors import InputError
from facerec_cli.files import write_file
from facerec_cli.images.suffixes import is_photo_name
from facerec_cli.pairs.pairlist import PairList
from facerec_cli.progress import Progress, silent
from facerec_cli.study.arm_lists import TrainingList, list_files, own_lists
from facerec_cli.study.crops import cut_crops
from facerec_cli.study.protocol import Protocol
from facerec_cli.study.split import Split, split_people

_DRAWN = 6000  # pairs, where there is no list: as many as LFW's


@dataclass(frozen=True, slots=True)
class Photos:
    """Crops that are compared with each other.

    Attributes:
        paths: N crops, relative to the folder of crops.
        people: N person numbers.
    """

    paths: tuple[str, ...]
    people: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Materials:
    """What is trained on and what is judged by.

    Attributes:
        crops: Folder of the crops.
        train: List of the crops to train on.
        train_hash: sha256 of what that list says and of its crops.
        first_hash: sha256 of the weights that all arms start from; "" for fresh ones.
        crops_hash: sha256 of the crops that are compared.
        judged: Photos of the verdict.
        validation: Photos that the interpolation is chosen on.
        pairs: Crops of the pair list.
        subsets: Of the verdict.
        natural: Part of the same pairs that is naturally hard.
        means: ``.npy`` of the means that class weights start at, once it is made (``first_weights.py``).
        first: What the validation says of the network before training, once it is known.
        own: Lists of arms that name one, by arm.
    """

    crops: Path
    train: Path
    train_hash: str
    first_hash: str
    crops_hash: str
    judged: Photos
    validation: Photos
    pairs: tuple[str, ...]
    subsets: tuple[str, ...]
    natural: float
    means: Path | None = None
    first: Mapping[str, float] | None = None
    own: Mapping[str, TrainingList] = field(default_factory=dict)

    def of(self, arm: str) -> Materials:
        """The materials of an arm: with its own list, where it names one."""
        if arm not in self.own:
            return replace(self, own={})
        return replace(self, train=self.own[arm].path, train_hash=self.own[arm].hash, own={})


@dataclass(frozen=True, slots=True)
class Prepared:
    """A study that can be run.

    Attributes:
        split: Who is where.
        materials: What the runs share.
        pairs: For the accuracy.
        counts: People and photos of each part that are used.
        files: What :meth:`write` writes.
    """

    split: Split
    materials: Materials
    pairs: PairList
    counts: dict[str, dict[str, int]]
    files: Mapping[Path, bytes]

    def write(self) -> None:
        """Write ``split.json`` and the list to train on."""
        for path, data in self.files.items():
            write_file(path, data)


def prepare(protocol: Protocol, out: Path, *, crops: Path, progress: Progress = silent) -> Prepared:
    """Split the people and cut the crops; nothing but crops is written before :meth:`Prepared.write`.

    Raises:
        InputError: The data or the pair list cannot serve.
    """
    from facerec_cli.training.start import start_hash

    dataset = open_stored(protocol.study.data)
    judged = protocol.study.judge
    parts = split_people(dataset, protocol.split, _wanted(protocol))
    listed = None
    if protocol.study.pairs:
        listed = _listed_pairs(dataset, protocol.study.pairs, parts.people[judged])
    used = [parts.photos["train"], parts.photos["validation"], parts.photos[judged]]
    used += [] if listed is None else [listed[0]]
    found = cut_crops(
        dataset,
        np.concatenate(used),
        crops,
        aligned=protocol.study.aligned,
        faces=protocol.study.faces,
        progress=progress,
    )
    text = json.dumps(parts.document(dataset, protocol.split.seed), indent=1, ensure_ascii=False)
    train = out / "lists" / "train.txt"
    rows = [(found[i], int(dataset.labels[i])) for i in parts.photos["train"].tolist() if i in found]
    files = {out / "split.json": text.encode("utf-8", "surrogateescape")}
    files |= _list_files(train, crops, rows, dataset.class_names)
    photos = {part: _photos(parts.photos[part], dataset, found) for part in ("validation", judged)}
    pairs = _drawn_pairs(photos[judged]) if listed is None else _with_crops(*listed, found)
    own, own_files = own_lists(protocol, parts, dataset, out)
    files |= own_files
    materials = Materials(
        crops=crops,
        train=train,
        train_hash=_hash(crops, [path for path, _ in rows], rows),
        first_hash=start_hash(protocol.init),
        crops_hash=_hash(crops, [*photos[judged].paths, *photos["validation"].paths, *pairs.names]),
        judged=photos[judged],
        validation=photos["validation"],
        pairs=pairs.names,
        subsets=protocol.test.subsets,
        natural=protocol.test.natural,
        own=own,
    )
    counts = {
        part: {"people": len(parts.people[part]), "photos": len(used_photos)}
        for part, used_photos in (
            ("train", rows),
            ("validation", photos["validation"].paths),
            (judged, photos[judged].paths),
        )
    }
    counts["train"]["people_trained"] = len({label for _, label in rows})
    for part, compared in photos.items():
        counts[part]["people_compared"] = len(set(compared.people))
    for arm, one in own.items():
        counts[f"{arm} trains on"] = {"people": one.people, "photos": one.photos, "left_out": one.left_out}
    return Prepared(parts, materials, pairs, counts, files)


def _wanted(protocol: Protocol) -> dict[str, tuple[int, int]]:
    """Part -> how many photos of it are used at most, and how many of each person."""
    wanted = {
        "train": (protocol.split.photos, protocol.split.photos_each),
        "validation": (protocol.validation.photos, protocol.validation.photos_each),
        "test": (protocol.test.photos, protocol.test.photos_each),
    }
    if protocol.study.judge == "validation":  # a search sees as many of them as the verdict would see
        photos, each = wanted["validation"]
        wanted["validation"] = (max(protocol.test.photos, photos), each)
    return wanted


def _hash(crops: Path, paths: Sequence[str], *what: object) -> str:
    """sha256 of crops and of ``what``, so that another photo of the same name is another photo."""
    found = hashlib.sha256(repr(what).encode("utf-8", "surrogateescape"))
    for path in paths:
        found.update(hashlib.sha256((crops / path).read_bytes()).digest())
    return found.hexdigest()


def _photos(rows: NDArray[np.int64], dataset: FaceDataset, found: Mapping[int, str]) -> Photos:
    kept = [i for i in rows.tolist() if i in found]
    people = [int(dataset.labels[i]) for i in kept]
    if len(set(people)) < 2 or len(set(people)) == len(people):
        raise InputError(
            f"{len(kept)} of {len(rows)} photos to compare give a crop: too few for pairs of both kinds.",
            hint="Give more photos with a visible face, or raise test.photos and validation.photos.",
        )
    return Photos(tuple(found[i] for i in kept), tuple(people))


def _list_files(
    target: Path, crops: Path, rows: Sequence[tuple[str, int]], names: Sequence[str]
) -> dict[Path, bytes]:
    """A list to train on, its people numbered without gaps."""
    root = PurePosixPath(Path(os.path.relpath(crops.resolve(), target.parent.resolve())).as_posix())
    return list_files(target, [str(root / path) for path, _ in rows], [label for _, label in rows], names)


def _drawn_pairs(photos: Photos) -> PairList:
    return replace(draw_pairs(np.array(photos.people), _DRAWN), names=photos.paths)


def _listed_pairs(
    dataset: FaceDataset, path: str, people: Sequence[str]
) -> tuple[NDArray[np.int64], PairList]:
    """The pairs of a list whose two people are judged, and which photos of the data they are of."""
    from facerec_cli.pairs.read import read_pairs

    pairs = read_pairs(Path(path), images=False, templates=False)
    names = [_stem(dataset.name(i)) for i in range(len(dataset))]
    number = {name: i for i, name in enumerate(names)}
    number |= {"/".join(name.split("/")[-2:]): i for i, name in enumerate(names)}
    photo = np.array([number.get(_stem(name), -1) for name in pairs.names], np.int64)
    if (photo < 0).all():
        raise InputError(
            f"None of the photos of {path} is in {dataset.spec}; the first is {pairs.names[0]!r}.",
            hint="The list must name the photos as the data does, or leave pairs out of [study].",
        )
    judged = np.isin(np.array(dataset.class_names)[dataset.labels], list(people))
    fine = (photo >= 0) & judged[photo]
    kept = _of_photos(pairs, fine)
    if not kept.same.any() or kept.same.all():
        raise InputError(
            f"{len(kept)} of {len(pairs)} pairs of {path} are of two judged people: too few.",
            hint="Leave pairs out of [study], and pairs of the test people are drawn.",
        )
    used, index = np.unique(photo[np.concatenate([kept.first, kept.second])], return_inverse=True)
    return used, replace(kept, first=index[: len(kept)], second=index[len(kept) :])


def _with_crops(photos: NDArray[np.int64], pairs: PairList, found: Mapping[int, str]) -> PairList:
    """The pairs of the photos that gave a crop, named by their crops."""
    there = np.array([int(photo) in found for photo in photos])
    number = np.cumsum(there) - 1
    kept = _of_photos(pairs, there)
    names = tuple(found[int(photo)] for photo in photos[there])
    return replace(kept, first=number[kept.first], second=number[kept.second], names=names)


def _of_photos(pairs: PairList, photos: NDArray[np.bool_]) -> PairList:
    """Those pairs both photos of which are among ``photos``; their numbers stay, names are left out."""
    kept = photos[pairs.first] & photos[pairs.second]
    fold = None if pairs.fold is None else pairs.fold[kept]
    return PairList(pairs.first[kept], pairs.second[kept], pairs.same[kept], fold=fold)


def _stem(name: str) -> str:
    name = name.replace("\\", "/")
    return name.rpartition(".")[0] if is_photo_name(name) else name
