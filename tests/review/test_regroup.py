"""Groups after decisions: compared with groups told by hand, and with a plain replay of the rules."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from facerec_cli.errors import InputError
from facerec_cli.review.decisions import DecidedFace, Decision, Decisions
from facerec_cli.review.regroup import JUNK, Regrouping, in_groups, regroup

FACES = [DecidedFace(f"{at}.jpg", 0) for at in range(12)]
GROUPS = np.array([0, 0, 0, 0, 1, 1, 1, 2, 2, 3, 4, 5])
NAMES = {0: "Anna", 2: "Bert"}


def _one(kind: str, *faces: int, apart: int | None = None, name: str = "") -> Decision:
    return Decision(kind, tuple(FACES[at] for at in faces), None if apart is None else FACES[apart], name)  # type: ignore[arg-type]


def _regroup(*items: Decision, groups: np.ndarray = GROUPS, names: dict[int, str] = NAMES) -> Regrouping:
    where = {face: at for at, face in enumerate(FACES)}
    return regroup(groups, names, Decisions(items, path="d.json"), where)


def _sets(found: Regrouping) -> set[frozenset[int]]:
    return {frozenset(faces) for faces in in_groups(found.groups).values()}


EVERYTHING = (
    _one("junk", 5, 11),
    _one("split", 2, 3, apart=0),
    _one("not_this_person", 6, apart=4),
    _one("merge", 2, 9),
    _one("same", 4, 10),
    _one("not_same", 0, 7),
    _one("name", 2, name="Cleo"),
    _one("name", 6, name="Bert"),
)


def test_each_kind_does_what_it_says() -> None:
    done = _regroup(*EVERYTHING)
    assert _sets(done) == {frozenset(one) for one in ((0, 1), (2, 3, 9), (4, 10), (6, 7, 8))}
    assert done.groups.tolist() == [0, 0, 3, 3, 1, JUNK, 2, 2, 2, 3, 1, JUNK]
    assert done.names == {0: "Anna", 2: "Bert", 3: "Cleo"}
    assert done.moved == 6


def test_nothing_decided_changes_nothing() -> None:
    done = _regroup()
    assert done.groups.tolist() == GROUPS.tolist()
    assert (done.names, done.moved) == (NAMES, 0)


def test_a_second_time_changes_nothing_and_order_does_not_matter() -> None:
    done = _regroup(*EVERYTHING)
    again = _regroup(*EVERYTHING, groups=done.groups, names=done.names)
    assert again.groups.tolist() == done.groups.tolist()
    assert (again.names, again.moved) == (done.names, 0)
    for order in list(permutations(EVERYTHING))[::4001]:
        other = _regroup(*order)
        assert other.groups.tolist() == done.groups.tolist()
        assert other.names == done.names


def test_a_face_that_came_later_stays_where_it_is() -> None:
    done = _regroup(_one("split", 2, 3, apart=0))
    groups = done.groups.copy()
    groups[9] = groups[2]  # a new photo that has joined the group that was split off
    again = _regroup(_one("split", 2, 3, apart=0), groups=groups)
    assert again.groups.tolist() == groups.tolist()


def test_a_group_of_its_own_gets_a_new_number_and_a_name() -> None:
    done = _regroup(_one("not_this_person", 1, 3, apart=0), _one("name", 3, name="Dora"))
    assert done.groups.tolist() == [0, 6, 0, 7, 1, 1, 1, 2, 2, 3, 4, 5]
    assert done.names == {**NAMES, 7: "Dora"}


def test_one_name_is_one_person_and_names_can_change_places() -> None:
    assert _sets(_regroup(_one("name", 4, name="Anna"))) >= {frozenset(range(7))}
    swapped = _regroup(_one("name", 0, name="Bert"), _one("name", 7, name="Anna"))
    assert swapped.groups.tolist() == GROUPS.tolist()
    assert swapped.names == {0: "Bert", 2: "Anna"}
    assert _regroup(_one("name", 0, name="")).names == {2: "Bert"}
    both = _regroup(_one("merge", 0, 7), _one("name", 0, name="Anna"))
    assert both.names == {0: "Anna"}


@pytest.mark.parametrize(
    ("items", "told"),
    [
        ((_one("same", 0, 4), _one("not_same", 1, 5)), ["1.jpg and 5.jpg are put together, and are not the"]),
        ((_one("not_same", 4, 5),), ["4.jpg and 5.jpg"]),
        ((_one("same", 9, 10), _one("same", 10, 11), _one("not_same", 9, 11)), ["9.jpg and 11.jpg"]),
        ((_one("split", 2, 3, apart=0), _one("merge", 3, 1)), ["2.jpg and 0.jpg", "3.jpg and 0.jpg"]),
        ((_one("junk", 4), _one("name", 4, name="Eva")), ["4.jpg is junk, and is called 'Eva'"]),
        ((_one("junk", 4), _one("same", 4, 9)), ["4.jpg is junk, and is put into a group (same)"]),
        (
            (_one("name", 4, name="Eva"), _one("name", 5, name="Fee")),
            ["called 'Eva' (4.jpg) and 'Fee' (5.jpg)"],
        ),
        ((_one("merge", 0, 7),), ["'Anna' and 'Bert' are put together"]),
        (
            (_one("not_same", 9, 10), _one("name", 9, name="Eva"), _one("name", 10, name="Eva")),
            ["9.jpg and 10.jpg"],
        ),
        (
            (_one("not_same", 4, 5), _one("junk", 9), _one("name", 9, name="Eva"), _one("not_same", 0, 1)),
            ["4.jpg and 5.jpg", "9.jpg is junk", "0.jpg and 1.jpg"],
        ),
    ],
)
def test_all_contradictions_are_named(items: tuple[Decision, ...], told: list[str]) -> None:
    with pytest.raises(InputError, match="Nothing was changed") as fault:
        _regroup(*items)
    for one in told:
        assert one in fault.value.message


def test_junk_that_is_decided_about_is_taken_back() -> None:
    junk = _regroup(_one("junk", 9))
    back = _regroup(_one("same", 9, 10), groups=junk.groups)
    assert back.groups[9] == back.groups[10] == 4


def test_random_decisions_agree_with_a_plain_replay() -> None:
    random = np.random.default_rng(11)
    for _ in range(200):
        size = int(random.integers(4, 12))
        groups = random.integers(0, 4, size)
        links = [
            tuple(random.choice(size, 2, replace=False).tolist()) for _ in range(int(random.integers(0, 4)))
        ]
        junk = set(random.choice(size, int(random.integers(0, 2)), replace=False).tolist())
        links = [pair for pair in links if not junk & set(pair)]
        items = [_one("merge", *pair) for pair in links] + ([_one("junk", *junk)] if junk else [])
        found = _regroup(*items, groups=groups, names={})
        reach = np.equal.outer(groups, groups)
        for a, b in links:
            reach[a, b] = reach[b, a] = True
        for _ in range(size):
            reach = (reach.astype(int) @ reach.astype(int)) > 0
        live = [at for at in range(size) if at not in junk]
        for a in live:
            assert [bool(reach[a, b]) for b in live] == [found.groups[a] == found.groups[b] for b in live]
        assert all(found.groups[at] == JUNK for at in junk)
