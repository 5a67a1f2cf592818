"""What a STUDY.toml says, typed, and checked without importing torch.

::

    [study]       data, pairs, aligned, faces, seeds, baseline, judge
    [split]       who is trained on and who is tested
    [test]        the photos, subsets and rates of the verdict
    [validation]  what is chosen on the validation people: how far to go from the first weights
    [recipe.*]    tables of a training recipe, for all arms
    [arms.NAME.*] the same for one arm; its loss is NAME unless it says otherwise; data.path is its own list

Paths are as the shell sees them from the current folder.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

from facerec_cli.errors import InputError, UsageError
from facerec_cli.registry import FACE_RULES, LOSSES
from facerec_cli.settings import Option, convert
from facerec_cli.study.conditions import CONDITIONS
from facerec_cli.suggest import guess, guess_or_list
from facerec_cli.training.compose import parse_assignment, parse_recipe
from facerec_cli.training.config import Recipe
from facerec_cli.untrusted import read_toml

#: Clean photos against each other, then hard ones; "natural" are the least alike same pairs of clean photos.
SUBSETS = (
    "clean clean", "clean px16", "px16 px16", "clean px24", "clean motion", "clean mask", "clean sunglasses",
    "clean dark", "natural",
)  # fmt: skip
BEFORE = "before"  # the arm that is not trained: the network of --init as it is
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")


@dataclass(frozen=True, slots=True)
class StudySettings:
    """What is compared, on which photos.

    Attributes:
        name: Title of the report.
        data: Photos with names: a folder per person, .rec, list or tar.
        pairs: A list of pairs of these photos; those of two test people give the accuracy. "": drawn.
        aligned: Whether the photos are aligned crops of 112 x 112 already.
        faces: Which face of several: main, center or largest.
        seeds: Numbers of the seeds, ``[0, 1, 2]``; each arm is trained once with each. From three on a report
            says what another seed would give.
        baseline: The arm that the others are compared with.
        judge: "test", or "validation" to search for settings without a look at the test people.
    """

    name: str = "study"
    data: str = ""
    pairs: str = ""
    aligned: bool = False
    faces: Annotated[str, Option(choices=FACE_RULES)] = "main"
    seeds: Annotated[tuple[int, ...], Option(ge=0)] = (0, 1, 2)
    baseline: str = "arcface"
    judge: Literal["test", "validation"] = "test"


@dataclass(frozen=True, slots=True)
class SplitSettings:
    """Parts of the people; the rest is tested. ``photos_each`` and ``photos`` (0: all) bound the training."""

    seed: Annotated[int, Option(ge=0)] = 0
    train: Annotated[float, Option(gt=0, lt=1)] = 0.6
    validation: Annotated[float, Option(gt=0, lt=1)] = 0.1
    photos_each: Annotated[int, Option(ge=2)] = 20
    photos: Annotated[int, Option(ge=0)] = 0


@dataclass(frozen=True, slots=True)
class TestSettings:
    """``photos`` in all, ``photos_each`` of a person at most; ``rounds`` of the bootstrap over people."""

    __test__ = False  # no test case of pytest's

    photos: Annotated[int, Option(ge=8)] = 1000
    photos_each: Annotated[int, Option(ge=2)] = 3
    subsets: tuple[str, ...] = SUBSETS
    natural: Annotated[float, Option(gt=0, le=1)] = 0.2
    fars: Annotated[tuple[float, ...], Option(gt=0, lt=1)] = (1e-4, 1e-3, 1e-2)
    far: float = 1e-3
    rounds: Annotated[int, Option(ge=100)] = 1000


@dataclass(frozen=True, slots=True)
class ValidationSettings:
    """Which of w0 + a (w1 - w0) is taken, by the validation people (WiSE-FT, arXiv 2109.01903).

    Attributes:
        photos: Photos of validation people.
        photos_each: Of one person at most.
        interpolate: Values of a; of those that lose no more than ``clean_loss`` on clean pairs, the best on
            the hard ones, else the one that loses least. (1.0,) takes the network as trained.
        subsets: What is measured for that; the first is the clean one.
        clean_loss: TAR on clean pairs that may be lost against the first weights, 0..1.
    """

    photos: Annotated[int, Option(ge=8)] = 300
    photos_each: Annotated[int, Option(ge=2)] = 3
    interpolate: Annotated[tuple[float, ...], Option(gt=0, le=1)] = (1.0,)
    subsets: tuple[str, ...] = ("clean clean", "clean px16", "clean mask", "clean dark")
    clean_loss: Annotated[float, Option(ge=0, le=1)] = 0.001


@dataclass(frozen=True, slots=True)
class Protocol:
    """A study; ``arms`` are the recipes by name."""

    study: StudySettings = field(default_factory=StudySettings)
    split: SplitSettings = field(default_factory=SplitSettings)
    test: TestSettings = field(default_factory=TestSettings)
    validation: ValidationSettings = field(default_factory=ValidationSettings)
    arms: Mapping[str, Recipe] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def init(self) -> str:
        """Where the weights of all arms start, "" for fresh ones."""
        return next(iter(self.arms.values())).backbone.init

    def document(self) -> dict[str, dict[str, Any]]:
        """The settings other than the arms', for JSON."""
        tables = ("study", "split", "test", "validation")
        return {name: dataclasses.asdict(getattr(self, name)) for name in tables}


def read_protocol(path: Path, assignments: Sequence[str] = ()) -> Protocol:
    """Read and check a STUDY.toml.

    Args:
        path: The file.
        assignments: ``table.key=value`` laid over what it says, e.g. ``split.seed=1``.

    Raises:
        InputError: It cannot be read, has an unknown key (the message has the nearest one), or does not fit.
        UsageError: An assignment is not one.
    """
    document = read_toml(
        path, advice="Name a study file; a checkout of facerec has some in examples/studies/."
    )
    for assignment in assignments:
        key, value = parse_assignment(assignment, "split.seed=1")
        *tables, name = key.split(".")
        place = document
        for table in tables:
            place = place.setdefault(table, {})
            if not isinstance(place, dict):
                raise UsageError(f"--set {assignment}: {table} is not a table.")
        place[name] = value
    return parse_protocol(document, str(path))


def parse_protocol(document: Mapping[str, Any], where: str) -> Protocol:
    """The protocol in ``document``; ``where`` names its file in messages.

    Raises:
        InputError: As in :func:`read_protocol`.
    """
    for table in ("recipe", "arms"):
        if not isinstance(document.get(table, {}), Mapping):
            raise InputError(f"{where}: {table} is not a table.", hint=f"Write [{table}.loss] and the like.")
    seeds = document["study"].get("seeds") if isinstance(document.get("study"), Mapping) else None
    if type(seeds) is int and seeds >= 0:
        raise InputError(
            f"{where}: [study] seeds = {seeds} could mean the one seed number {seeds} or {seeds} seeds.",
            hint=f"Write seeds = [{seeds}] for the one, or seeds = {list(range(min(max(seeds, 1), 10)))} for "
            "as many. With --set: study.seeds=[0,1,2].",
        )
    protocol = convert(
        {name: table for name, table in document.items() if name not in ("recipe", "arms")},
        Protocol,
        source=where,
        given={"arms": MappingProxyType(_arms(document, where))},
        also=("recipe", "arms"),
    )
    _check(protocol, where)
    return protocol


def _arms(document: Mapping[str, Any], where: str) -> dict[str, Recipe]:
    common = parse_recipe(document.get("recipe", {}), f"{where}: [recipe]")
    arms = {}
    for name, tables in document.get("arms", {}).items():
        if not _NAME.fullmatch(name):
            raise InputError(
                f"{where}: an arm cannot be called {name!r}.", hint="Use letters, digits, - and _."
            )
        if name == BEFORE:
            raise InputError(
                f"{where}: an arm cannot be called {BEFORE!r}.",
                hint="That is the network before training, which is judged without being asked for.",
            )
        if not isinstance(tables, Mapping):
            raise InputError(f"{where}: arms.{name} is not a table.", hint=f"Write [arms.{name}.loss].")
        recipe = parse_recipe(tables, f"{where}: [arms.{name}]", common)
        if "name" not in tables.get("loss", {}) and (
            name in LOSSES or "loss" not in document.get("recipe", {})
        ):
            recipe = dataclasses.replace(recipe, loss=dataclasses.replace(recipe.loss, name=name))
        if recipe.loss.name not in LOSSES:
            raise InputError(
                f"{where}: [arms.{name}]: there is no loss {recipe.loss.name!r}.",
                hint=f"{guess_or_list(recipe.loss.name, LOSSES)} An arm is named after its loss, or has "
                f'[arms.{name}.loss] name = "...".',
            )
        arms[name] = recipe
    return arms


def _check(protocol: Protocol, where: str) -> None:
    """Refuse what cannot give a result."""
    study, split, test, validation = protocol.study, protocol.split, protocol.test, protocol.validation
    if not study.data:
        raise InputError(f"{where}: [study] has no data.", hint='Add data = "photos/", a folder per person.')
    if not protocol.arms:
        raise InputError(f"{where} has no arms.", hint="Add [arms.arcface] and one table for each loss.")
    if study.baseline not in protocol.arms:
        raise InputError(
            f"{where}: the baseline {study.baseline!r} is not an arm.",
            hint=f"Add [arms.{study.baseline}], or set baseline to one of: {', '.join(protocol.arms)}.",
        )
    if len({recipe.backbone.init for recipe in protocol.arms.values()}) > 1:
        raise InputError(
            f"{where}: the arms start from different weights.", hint="Set init in [recipe.backbone]."
        )
    for name, recipe in protocol.arms.items():
        new_size = recipe.backbone.init and recipe.backbone.embedding_size is not None
        if new_size and validation.interpolate != (1.0,):
            raise InputError(
                f"{where}: [arms.{name}]: embedding_size and interpolate cannot both be set: a new output "
                "layer has no first weights to go back to.",
                hint="Leave embedding_size out, or set interpolate = [1.0].",
            )
    for table, subsets, least in (("test", test.subsets, 1), ("validation", validation.subsets, 2)):
        for subset in subsets:
            parts = ["clean", "clean"] if subset == "natural" else subset.split(" ")
            for part in parts:
                if part not in CONDITIONS or len(parts) != 2:
                    raise InputError(
                        f"{where}: [{table}]: {subset!r} is no subset.",
                        hint=f'Write natural, or two of {", ".join(CONDITIONS)}: "clean px16". '
                        + guess(part, CONDITIONS),
                    )
        if len(subsets) < least or len(set(subsets)) < len(subsets):
            raise InputError(
                f"{where}: [{table}]: subsets = {list(subsets)} has too few, or one twice.",
                hint="Give each once, and one at least.",
            )
    bounds: Sequence[tuple[bool, str]] = (
        (bool(study.seeds), "study.seeds is empty"),
        (len(set(study.seeds)) == len(study.seeds), "study.seeds must differ"),
        (split.train + split.validation < 1, "split.train and split.validation must leave people to test"),
        (bool(test.fars), "test.fars is empty"),
        (test.far in test.fars, "test.far must be one of test.fars"),
        (bool(validation.interpolate), "validation.interpolate is empty"),
    )
    for fits, message in bounds:
        if not fits:
            raise InputError(f"{where}: {message}.", hint="Correct it; docs/study.md explains the keys.")
