"""Who is on a photo, where the names of a list say it: ``Ann_Lee_0001.jpg``, ``12_AnnLee_30_f.jpg``."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from facerec_cli.pairs.pairlist import distinct

_AGEDB = re.compile(r"[0-9]+_(?P<person>.+)_[0-9]{1,3}_[fm]")
_NUMBERED = re.compile(r"(?P<person>.*[^0-9_])_[0-9]+")


def person_of_agedb(name: str) -> str | None:
    """The person of AgeDB's ``number_name_age_gender``; None for another name.

    Source: Moschoglou et al., "AgeDB: the first manually collected, in-the-wild age database", CVPR Workshops
    2017, and its own files.
    """
    found = _AGEDB.fullmatch(_stem(name))
    return found["person"] if found else None


def person_of_name(name: str) -> str | None:
    """The folder and person of a photo that is named as in AgeDB, LFW, CALFW or CPLFW; None otherwise."""
    person = person_of_agedb(name)
    found = _NUMBERED.fullmatch(_stem(name))
    person = person or (found["person"] if found else None)
    folder = _plain(name).rpartition("/")[0]
    return None if person is None else f"{folder}/{person}"


def people_by_name(
    names: Sequence[str], first: NDArray[np.int64], second: NDArray[np.int64], same: NDArray[np.bool_]
) -> NDArray[np.int64] | None:
    """Who is on each photo by its name, (N,) int64; None unless that agrees with the label of every pair.

    Args:
        names: N, of photos.
        first: (P,) int64, index of a name.
        second: (P,) int64, the other side.
        same: (P,) bool.
    """
    people = [person_of_name(name) for name in names]
    known = [person for person in people if person is not None]
    if len(known) < len(people) or not known:
        return None
    identity = distinct(known)[1]
    agrees = np.array_equal(identity[first] == identity[second], same)
    return identity if agrees else None


def _stem(name: str) -> str:
    return _plain(name).rpartition("/")[2].rpartition(".")[0]


def _plain(name: str) -> str:
    return name.replace("\\", "/")
