"""Which class each person of several sets is: separate ones follow each other, shared ones are matched."""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from facerec_cli.data.dataset import ClassNumbers, FaceDataset
from facerec_cli.errors import InputError
from facerec_cli.wording import people

_TWICE = -1  # the class of a name that several separate sets have
_TOLD = 5  # names that a message shows


class SeveralNames(Sequence[str]):
    """The class names of separate sets, each below the name of its set; made when they are asked for."""

    def __init__(self, spaces: Sequence[tuple[str, Sequence[str]]]) -> None:
        self._spaces = spaces
        self._starts = np.cumsum([0, *(len(names) for _, names in spaces)]).tolist()

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, index):  # type: ignore[no-untyped-def]  # int -> str, slice -> list[str]
        span = range(len(self))[index]
        return self._name(span) if isinstance(span, int) else [self._name(number) for number in span]

    def _name(self, number: int) -> str:
        space = bisect_right(self._starts, number) - 1
        spec, names = self._spaces[space]
        name = names[number - self._starts[space]]
        return f"{spec}/{name}" if spec else name


class Numbering:
    """Which class each person of each set is.

    Separate sets have a space of classes each, all shared ones have one space together; spaces follow each
    other in the order of the sets that begin them, and people of hard groups alone come last.
    """

    def __init__(self, sets: Sequence[FaceDataset], words: Sequence[str]) -> None:
        self.warnings: list[str] = []
        self._sets, self._words = sets, words
        self._shared: dict[str, int] = {}
        self._added: dict[str, int] = {}
        together = [one for one, word in zip(sets, words, strict=True) if word == "shared"]
        for one in together if len(together) > 1 else ():
            self._share(one, together[0])
        self._spaces: list[tuple[str, Sequence[str]]] = []
        self._space_of: list[int] = []
        for one, word in zip(sets, words, strict=True):
            joins = word == "shared" and len(together) > 1
            if joins and one is not together[0]:
                self._space_of.append(self._space_of[sets.index(together[0])])
                continue
            self._space_of.append(len(self._spaces))
            names = list(self._shared) if joins else one.class_names
            self._spaces.append(("" if joins or len(sets) == 1 else one.spec, names))
        self._starts = np.cumsum([0, *(len(names) for _, names in self._spaces)]).tolist()
        self._together = together if len(together) > 1 else []
        self._warn_of_same_names()
        self._by_name: dict[str, int] | None = None

    def labels(self, number: int) -> NDArray[np.int64]:
        """The classes of the photos of set ``number``."""
        one, start = self._sets[number], self._starts[self._space_of[number]]
        if not any(one is shared for shared in self._together):
            return np.asarray(one.labels + start, np.int64)
        table = np.array([self._shared[_key(name)] for name in one.class_names], np.int64)
        return np.asarray(table[one.labels] + start, np.int64)

    def hard(self, group: FaceDataset) -> NDArray[np.int64]:
        """The classes of the photos of a hard group."""
        if self._by_name is None:
            self._by_name = self._names_of_all()
        table, added = [], len(self._added)
        for key in _keys(group.class_names, group.spec):
            known = self._by_name.get(key)
            if known == _TWICE:
                raise InputError(
                    f"{group.spec} has photos of {key!r}, and so is somebody called in several of the data "
                    "sets, whose people are separate.",
                    hint="Say --data-labels shared where they are the same people, or rename one of them.",
                )
            if known is None:
                known = self._starts[-1] + len(self._added)
                self._by_name[key] = self._added[key] = known
            table.append(known)
        if added := len(self._added) - added:
            first = self._sets[0].spec if len(self._sets) == 1 else "the data"
            self.warnings.append(f"new classes: {people(added)} of the hard data, not in {first}")
        return np.array(table, np.int64)[group.labels]

    def class_names(self) -> Sequence[str]:
        """The names of all classes."""
        spaces = [*self._spaces, ("", list(self._added))] if self._added else self._spaces
        return spaces[0][1] if len(spaces) == 1 else SeveralNames(spaces)

    def _share(self, one: FaceDataset, first: FaceDataset) -> None:
        """Add the people of a shared set, after a look at whether its names are of the same kind."""
        if _numbered(one) != _numbered(first):
            named, numbered = (first, one) if _numbered(one) else (one, first)
            raise InputError(
                f"{named.spec} calls its people by names ({named.class_names[0]!r}) and {numbered.spec} by "
                "numbers, so nobody can tell who is the same person in both.",
                hint="Leave --data-labels shared out, or name the classes: a .classes.txt beside the data "
                "has a name a line.",
            )
        keys = _keys(one.class_names, one.spec)
        known = sum(key in self._shared for key in keys)
        if self._shared and not known:
            self.warnings.append(
                f"labels are shared, but nobody of {one.spec} has the name of a person in the sets before"
            )
        for key in keys:
            self._shared.setdefault(key, len(self._shared))

    def _warn_of_same_names(self) -> None:
        """Say where separate sets have people of one name, who may be the same."""
        seen: set[str] = set()
        alike: list[str] = []
        for _, names in self._spaces if len(self._spaces) > 1 else ():
            if isinstance(names, ClassNumbers) or all(name.isdecimal() for name in names):
                continue  # numbers name nobody
            keys = {_key(name) for name in names}
            alike += sorted(keys & seen)
            seen |= keys
        if alike:
            shown = ", ".join(alike[:_TOLD]) + (", ..." if len(alike) > _TOLD else "")
            self.warnings.append(
                f"taken for different people though they have one name: {people(len(alike))} of several data "
                f"sets ({shown}); --data-labels shared makes them one"
            )

    def _names_of_all(self) -> dict[str, int]:
        """The class of each name, for hard groups; ``_TWICE`` where it is not one."""
        found: dict[str, int] = {}
        for start, (spec, names) in zip(self._starts, self._spaces, strict=False):
            for number, key in enumerate(_keys(names, spec or self._sets[0].spec), start):
                found[key] = _TWICE if key in found else number
        return found


def _keys(names: Sequence[str], spec: str) -> list[str]:
    """How the people of a set are matched; two of one name would become one person in silence."""
    keys = [_key(name) for name in names]
    if len(set(keys)) < len(keys):
        seen: set[str] = set()
        twice = next(key for key in keys if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise InputError(
            f"{spec} calls two of its classes {twice!r}, so people cannot be matched by name.",
            hint="Rename one of them, or give both the same label.",
        )
    return keys


def _key(name: str) -> str:
    """A name as it is matched: disks write the same letters in several Unicode forms."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def _numbered(one: FaceDataset) -> bool:
    return isinstance(one.class_names, ClassNumbers) or all(name.isdecimal() for name in one.class_names)
