"""Groups of faces after decisions about them; decisions that contradict each other are refused, all of them.

The rule is one of states, not of steps, so the order of decisions does not matter and to apply them twice
changes nothing:

1. Junk is in no group.
2. A face that was split off, or is not this person, leaves its group if the face that it is to be apart from
   is in that group.
3. What was merged, is the same, or was split off together, is one group with all that is still in it.
4. Groups that are given one name are one group.

Then each "not the same" has to hold, nobody may have two names, and of junk nothing else may be said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import InputError
from facerec_cli.review.decisions import DecidedFace, Decision, Decisions

JUNK = -1
_TOLD = 50  # contradictions

_Node = tuple[
    str, int
]  # what stays together: ("group", number), or ("face", index) of one that left its group


@dataclass(frozen=True, slots=True)
class Regrouping:
    """Groups after decisions.

    Attributes:
        groups: (F,) int64, the number of the group of each face; ``JUNK`` for none. A group that has lost or
            won faces has the least number of those it was made of; one that was split off has a new number.
        names: Number -> name, of the groups that have one.
        moved: How many faces are in another group than before, or are junk now.
    """

    groups: NDArray[np.int64]
    names: dict[int, str]
    moved: int


def regroup(
    groups: NDArray[np.int64],
    names: Mapping[int, str],
    decisions: Decisions,
    where: Mapping[DecidedFace, int],
) -> Regrouping:
    """Apply decisions.

    Args:
        groups: (F,) the number of the group of each face, 0 or more; a single face has one of its own.
            ``JUNK`` for faces that were junk before.
        names: Number -> name, of the groups that have one.
        decisions: What was decided.
        where: The faces of the decisions -> 0 to F - 1, from :meth:`Decisions.locate`.

    Raises:
        InputError: Decisions contradict each other; every contradiction is named.
    """
    work = _Work(groups, names, decisions, where)
    work.join()
    work.join_names()
    faults = list(dict.fromkeys(work.faults()))
    if faults:
        told = "; ".join(faults[:_TOLD]) + (
            f"; and {len(faults) - _TOLD:,} more" if len(faults) > _TOLD else ""
        )
        raise InputError(
            f"Decisions of {decisions.path or 'the file'} contradict each other: {told}. Nothing was "
            "changed.",
            hint="Open the file on the page, decide these again, and save it.",
        )
    return work.result()


class _Work:
    def __init__(
        self,
        groups: NDArray[np.int64],
        names: Mapping[int, str],
        decisions: Decisions,
        where: Mapping[DecidedFace, int],
    ) -> None:
        self.groups = np.asarray(groups, np.int64)
        self.names, self.items, self.where = names, decisions.items, where
        self.junk = {where[face] for one in self.items if one.kind == "junk" for face in one.faces}
        self.parent: dict[_Node, _Node] = {}
        self.given: dict[
            _Node, dict[str, DecidedFace]
        ] = {}  # root -> names, and a face for which each was given
        self.left = {
            where[face]
            for one in self.items
            if one.apart is not None
            for face in one.faces
            if self.groups[where[face]] == self.groups[where[one.apart]] >= 0
        }

    def node(self, face: DecidedFace) -> _Node:
        """What a face is in before anything is joined."""
        at = self.where[face]
        alone = at in self.left or self.groups[at] < 0
        return ("face", at) if alone else ("group", int(self.groups[at]))

    def root(self, node: _Node) -> _Node:
        path = []
        while (above := self.parent.get(node, node)) != node:
            path.append(node)
            node = above
        for one in path:
            self.parent[one] = node
        return node

    def unite(self, one: _Node, other: _Node) -> None:
        """Make one of two; groups come before faces that left theirs, and the least number first."""
        first, second = sorted(
            (self.root(one), self.root(other)), key=lambda node: (node[0] == "face", node[1])
        )
        if first != second:
            self.parent[second] = first

    def join(self) -> None:
        """What belongs together by decisions about faces."""
        for one in self.items:
            if one.kind in ("merge", "same", "split"):
                for face in one.faces[1:]:
                    self.unite(self.node(one.faces[0]), self.node(face))

    def join_names(self) -> None:
        """Groups that are given one name, or the name of a group that keeps it."""
        for one in self.items:
            if one.kind == "name":
                self.given.setdefault(self.root(self.node(one.faces[0])), {})[one.name] = one.faces[0]
        holders: dict[str, list[_Node]] = {}
        for root, given in self.given.items():
            for name in given:
                if name:
                    holders.setdefault(name, []).append(root)
        for number, name in self.names.items():
            root = self.root(("group", number))
            if name in holders and root not in self.given:
                holders[name].append(root)
        for roots in holders.values():
            for root in roots[1:]:
                self.unite(roots[0], root)
        earlier, self.given = self.given, {}
        for root, some in earlier.items():
            self.given.setdefault(self.root(root), {}).update(some)

    def had(self) -> dict[_Node, set[str]]:
        """Root -> the names of the groups that it was made of."""
        found: dict[_Node, set[str]] = {}
        for number, name in self.names.items():
            if name:
                found.setdefault(self.root(("group", number)), set()).add(name)
        return found

    def faults(self) -> Iterator[str]:
        """What contradicts what, as parts of a sentence."""
        for one in self.items:
            yield from self._of_junk(one)
            for first, second in _apart(one):
                if self.root(self.node(first)) == self.root(self.node(second)):
                    yield f"{first} and {second} are put together, and are not the same ({one.kind})"
        for given in self.given.values():
            if len(given) > 1:
                told = " and ".join(f"{name or 'nobody'!r} ({face})" for name, face in given.items())
                yield f"one group is called {told}"
        for root, had in self.had().items():
            if len(had) > 1 and root not in self.given:
                told = " and ".join(map(repr, sorted(had)))
                yield f"{told} are put together, and it is not said what they are called"

    def _of_junk(self, one: Decision) -> Iterator[str]:
        if one.kind != "junk":
            for face in one.faces:
                if self.where[face] in self.junk:
                    what = {"name": f"called {one.name!r}", "not_same": "not the same as another"}
                    yield f"{face} is junk, and is {what.get(one.kind, 'put into a group')} ({one.kind})"

    def result(self) -> Regrouping:
        before, after = self.groups, self.groups.copy()
        size = int(before.max(initial=-1)) + 1
        target = np.arange(size + 1)  # the last for those in no group
        touched = {one for one in self.parent if one[0] == "group"}
        for kind, number in touched:
            root = self.root((kind, number))
            target[number] = root[1] if root[0] == "group" else number
        live = before >= 0
        after[live] = target[before[live]]
        fresh: dict[_Node, int] = {}
        decided = {self.where[face] for one in self.items for face in one.faces}
        for at in sorted(
            decided - self.junk
        ):  # in the order of the faces, so that numbers are the same each time
            if at in self.left or before[at] < 0:
                root = self.root(("face", at))
                alone = root[0] == "face"
                after[at] = fresh.setdefault(root, size + len(fresh)) if alone else root[1]
        after[list(self.junk)] = JUNK
        names = {self._number(root, fresh): min(had) for root, had in self.had().items()}
        names |= {self._number(root, fresh): next(iter(given)) for root, given in self.given.items()}
        left = set(np.unique(after).tolist())
        return Regrouping(
            groups=after,
            names={number: name for number, name in names.items() if name and number in left - {JUNK}},
            moved=int((after != before).sum()),
        )

    @staticmethod
    def _number(root: _Node, fresh: Mapping[_Node, int]) -> int:
        return root[1] if root[0] == "group" else fresh.get(root, JUNK)


def _apart(one: Decision) -> Iterator[tuple[DecidedFace, DecidedFace]]:
    """Pairs that may not be in one group."""
    if one.kind == "not_same":
        yield one.faces[0], one.faces[1]
    elif one.apart is not None:
        yield from ((face, one.apart) for face in one.faces)


def in_groups(groups: Sequence[int] | NDArray[np.int64]) -> dict[int, list[int]]:
    """Number -> the faces of a group, in their order; ``JUNK`` has none."""
    found: dict[int, list[int]] = {}
    for at, number in enumerate(np.asarray(groups).tolist()):
        if number >= 0:
            found.setdefault(number, []).append(at)
    return found
