"""Opening what ``--eval`` names: which kind of list it is, and where its photos are."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from facerec_cli import registry
from facerec_cli.errors import InputError, UsageError
from facerec_cli.pairs.names import is_there
from facerec_cli.pairs.pair_format import ListHead
from facerec_cli.pairs.pairlist import PairList
from facerec_cli.pairs.read import open_format, read_pairs
from facerec_cli.progress import Progress, silent
from facerec_cli.protocols.protocol import SearchProtocol
from facerec_cli.protocols.read import find_format, read_protocol
from facerec_cli.training.devices import World
from facerec_cli.training.evaluation_crops import EvaluationCrops
from facerec_cli.training.evaluation_sets import EvaluationSet, PairSet, SearchSet, TemplatePairSet

_SIDES = (("gallery",), ("probes", "probe"))
_LISTS = (".csv", ".txt", ".tsv")


def open_set(
    path: str,
    world: World,
    *,
    unit: int,
    pool: str = "mean",
    at_end: bool = False,
    progress: Progress = silent,
) -> EvaluationSet:
    """Open what ``--eval`` names: a list of pairs, a protocol, or a folder with a gallery and probes.

    Args:
        path: A ``.bin`` or list of pairs; IJB's folder; what a protocol of searches is; or a folder with
            ``gallery`` and ``probes``, each a folder of people or a list (``gallery.csv``).
        world: The processes.
        unit: Crops that are embedded together.
        pool: How photos of a template weigh.
        at_end: Whether it is looked at after the last step only.
        progress: Told of the photos that are read.

    Raises:
        InputError: It is none of them, or its photos are no aligned crops.
        UsageError: The photos' detection scores are asked for and not known.
    """
    place = Path(path)
    name = place.resolve().name if place.is_dir() else place.stem
    listed: PairList | SearchProtocol
    sides = _sides(place)
    found = [side for side in sides.values() if side is not None]
    if len(found) == len(sides):
        listed = read_protocol(found)
    elif _is_protocol(place):
        listed = read_protocol([place])
    else:
        _refuse_one_side(place, sides)
        listed = _read_pairs(path)
    if listed.templates is not None and "score" in pool.split("-") and listed.detection_scores is None:
        raise UsageError(
            f"evaluate.pool = {pool!r} weighs by the score of the detection, which {path} does not say.",
            hint="IJB's *_name_5pts_score.txt has it; mean and norm do without.",
        )
    crops = EvaluationCrops(
        path,
        listed.images,
        listed.names,
        aligned=listed.aligned,
        landmarks=listed.landmarks,
        world=world,
        unit=unit,
        progress=progress,
    )
    if isinstance(listed, SearchProtocol):
        return SearchSet(name, crops, at_end, replace(listed, images=()), pool)
    pairs = replace(listed, images=(), names=())
    if pairs.templates is None:
        return PairSet(name, crops, at_end, pairs)
    return TemplatePairSet(name, crops, at_end, pairs, pool)


def _read_pairs(path: str) -> PairList:
    """A list of pairs; a folder of photos needs another word of advice than ``verify`` gives."""
    try:
        return read_pairs(path)
    except InputError as fault:
        if not Path(path).is_dir():
            raise
        hint = f"Make pairs of its people: facerec data pairs {shlex.quote(path)} -o pairs.txt."
        raise InputError(
            fault.message, hint=f"{hint} A search is a folder with gallery and probes."
        ) from fault


def _sides(place: Path) -> dict[str, Path | None]:
    """The gallery and the probes in a folder, by what they may be called."""
    return {" or ".join(names): _side(place, names) if place.is_dir() else None for names in _SIDES}


def _refuse_one_side(place: Path, sides: Mapping[str, Path | None]) -> None:
    """Say what a folder lacks that was meant to be searched."""
    lacking = [names for names, side in sides.items() if side is None]
    if len(lacking) == 1:
        raise InputError(
            f"{place} has only one side of a search: {lacking[0]} is missing.",
            hint="It needs gallery and probes: folders with a folder per person, or lists of path,person.",
        )


def _side(place: Path, names: tuple[str, ...]) -> Path | None:
    candidates = (place / f"{name}{suffix}" for name in names for suffix in ("", *_LISTS))
    return next((side for side in candidates if side.exists()), None)


def _is_protocol(place: Path) -> bool:
    """Whether it is a protocol of searches, and no list of pairs."""
    if not is_there(place):
        return False
    try:
        head = ListHead(place)
        if any(open_format(name).recognizes(head) for name in registry.PAIR_FORMATS):
            return False
        return find_format([place]) is not None
    except InputError:  # which reading it as a list of pairs tells of
        return False
