"""Who is enrolled, which searches are mated, and which of them cannot be made."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facerec_cli.errors import InputError
from facerec_cli.metrics.scores import Vectors


@dataclass(frozen=True, slots=True, eq=False)
class EnrolledRows:
    """The rows of a gallery, person by person; the people in an order that is drawn.

    Attributes:
        people: (N,) int64, everybody with a template, in the order of the columns.
        columns: (C,) int64, the rows with an embedding, those of a person beside each other.
        starts: (N + 1,) int64, where each person begins among the columns.
        listed: (L,) int64, everybody in the gallery, also without a template; sorted.
        faces: (L,) int64, the rows of each of them, failed ones too.
        failed: How many rows failed.
    """

    people: NDArray[np.int64]
    columns: NDArray[np.int64]
    starts: NDArray[np.int64]
    listed: NDArray[np.int64]
    faces: NDArray[np.int64]
    failed: int


@dataclass(frozen=True, slots=True)
class SearchCounts:
    """What there is to count.

    Attributes:
        people: N, people with a template, among whom each search is made.
        people_without_template: Enrolled people of whom no photo gave an embedding.
        gallery_photos: Rows of the gallery.
        gallery_photos_failed: Those without an embedding.
        mated: Mated searches.
        mated_failed: Those that could not be made: the probe has no embedding, or its person no template.
        mated_people: People of mated searches.
        non_mated: Non-mated searches.
        non_mated_failed: Those whose probe has no embedding; they return nobody.
        non_mated_people: People of non-mated searches; each probe of nobody known counts as one.
    """

    people: int
    people_without_template: int
    gallery_photos: int
    gallery_photos_failed: int
    mated: int
    mated_failed: int
    mated_people: int
    non_mated: int
    non_mated_failed: int
    non_mated_people: int


@dataclass(frozen=True, slots=True, eq=False)
class LabeledSearches:
    """The S searches that can be made, of M probes.

    Attributes:
        made: (S,) int64, which probes.
        person: (S,) int64, position of the mate among the N people of the columns; -1 for a non-mated search.
        identity: (S,) int64, who each probe shows; those of nobody known have numbers below 0 of their own.
        found_faces: (S,) float64, the share of the mate's photos that gave an embedding.
        counts: Of all searches.
    """

    made: NDArray[np.int64]
    person: NDArray[np.int64]
    identity: NDArray[np.int64]
    found_faces: NDArray[np.float64]
    counts: SearchCounts


def enroll_rows(owner: NDArray[np.int64], failed: NDArray[np.bool_], seed: int) -> EnrolledRows:
    """The columns of a search in a gallery.

    Args:
        owner: (G,) int64, who each row shows.
        failed: (G,) bool, rows without an embedding.
        seed: Of the order of the people: the first n of them are a random subset.

    Raises:
        InputError: A row shows nobody, or no row has an embedding.
    """
    if np.any(owner < 0):
        raise InputError("A row of the gallery has no person: people are numbers from 0.")
    people = np.random.default_rng(seed).permutation(np.unique(owner[~failed]))
    if not people.size:
        raise InputError(
            "The gallery is empty, or no photo in it gave an embedding.", hint="Enroll photos with a face."
        )
    columns = np.flatnonzero(~failed)
    position = _position(people, owner[columns])
    order = np.argsort(position, kind="stable")
    starts = np.searchsorted(position[order], np.arange(len(people) + 1)).astype(np.int64)
    listed, faces = np.unique(owner, return_counts=True)
    return EnrolledRows(people, columns[order], starts, listed, faces, int(failed.sum()))


def _position(people: NDArray[np.int64], identity: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each identity lies in ``people``; -1 for those who are not there."""
    order = np.argsort(people)
    at = order[np.minimum(np.searchsorted(people, identity, sorter=order), len(people) - 1)]
    return np.where(people[at] == identity, at, -1)


def label_searches(
    enrolled: EnrolledRows, identity: NDArray[np.int64], failed: NDArray[np.bool_]
) -> LabeledSearches:
    """Which searches are mated, and which can be made.

    Args:
        enrolled: The gallery.
        identity: (M,) int64, who each probe shows; below 0 for nobody known.
        failed: (M,) bool, probes without an embedding.
    """
    who = np.where(identity < 0, -1 - np.arange(len(identity)), identity)
    mated = np.isin(who, enrolled.listed)
    person = _position(enrolled.people, who)
    makes = ~failed & ((person >= 0) == mated)
    made = np.flatnonzero(makes)
    faces = np.diff(enrolled.starts)
    listed = enrolled.faces[np.searchsorted(enrolled.listed, enrolled.people)]
    share = np.append(faces / listed, 0.0)  # the last is that of position -1
    counts = SearchCounts(
        people=len(enrolled.people),
        people_without_template=len(enrolled.listed) - len(enrolled.people),
        gallery_photos=int(enrolled.faces.sum()),
        gallery_photos_failed=enrolled.failed,
        mated=int(mated.sum()),
        mated_failed=int((mated & ~makes).sum()),
        mated_people=len(np.unique(who[mated])),
        non_mated=int((~mated).sum()),
        non_mated_failed=int((~mated & ~makes).sum()),
        non_mated_people=len(np.unique(who[~mated])),
    )
    return LabeledSearches(made, person[made], who[made], share[person[made]], counts)


def checked_rows(
    vectors: Vectors, labels: ArrayLike, failed: ArrayLike | None, name: str
) -> tuple[Vectors, NDArray[np.int64], NDArray[np.bool_]]:
    """Embeddings (R, D), with whom they show and which of them failed, (R,) each.

    Raises:
        InputError: Lengths that differ, or NaN in a row that did not fail.
    """
    table = np.asarray(vectors, np.float32)
    if table.ndim != 2:
        raise InputError(f"The embeddings of the {name} are a table, a row a photo.")
    who, fail = checked_labels(labels, failed, len(table), name)
    with np.errstate(invalid="ignore"):  # a row's sum tells of its numbers, without a table of bools
        bad = np.flatnonzero(~np.isfinite(np.einsum("nd->n", table, dtype=np.float64)) & ~fail)
    if bad.size:
        raise InputError(
            f"{bad.size} of {len(table)} embeddings of the {name} have NaN or infinite numbers, the first in "
            f"row {bad[0]}.",
            hint=f"Mark rows without an embedding in `failed_{name}`.",
        )
    return table, who, fail


def checked_labels(
    labels: ArrayLike, failed: ArrayLike | None, count: int, name: str
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The same without embeddings, of ``count`` rows."""
    given = np.asarray(labels)
    if given.dtype.kind not in "iub" and not (given.dtype.kind == "f" and np.all(given == np.floor(given))):
        raise InputError(
            f"The people of the {name} are not whole numbers.",
            hint="Number the names of gallery and probes together: np.unique(names, return_inverse=True).",
        )
    who = given.astype(np.int64)
    fail = np.zeros(who.shape, bool) if failed is None else np.asarray(failed, bool)
    if who.shape != (count,) or fail.shape != (count,):
        raise InputError(f"People and failures of the {name} must be {count} each, one a row.")
    return who, fail


def check_dimensions(gallery: Vectors, probes: Vectors) -> None:
    """Refuse embeddings of two models.

    Raises:
        InputError: They differ in their dimensions.
    """
    if gallery.shape[1] != probes.shape[1]:
        raise InputError(
            f"The gallery's embeddings have {gallery.shape[1]} dimensions, the probes' {probes.shape[1]}.",
            hint="Embed both with the same model.",
        )
