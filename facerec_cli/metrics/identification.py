"""How good a search among N enrolled people is: arrays in, an :class:`IdentificationEvaluation` out.

Two kinds of searches answer two questions. A *mated* search is for a person who is enrolled (their place in
the gallery is the mate): is the mate found? A *non-mated* search is for a stranger: does anybody come back?
The terms are those of ISO/IEC 19795-1; ``identification_points.py`` defines each figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facerec_cli.errors import InputError
from facerec_cli.metrics.cosine_blocks import CosineBlocks
from facerec_cli.metrics.identification_curve import subset_sizes
from facerec_cli.metrics.identification_figures import Asked, IdentificationEvaluation, TemplateRule
from facerec_cli.metrics.identification_summary import summarize
from facerec_cli.metrics.labeled_searches import (
    LabeledSearches,
    check_dimensions,
    checked_labels,
    checked_rows,
    enroll_rows,
    label_searches,
)
from facerec_cli.metrics.leave_one_out import LEAVE_ONE_OUT, leave_one_out
from facerec_cli.metrics.scores import Vectors, unit_vectors
from facerec_cli.metrics.searches import ScoreBlock, search_outcomes
from facerec_cli.metrics.templates import mean_templates
from facerec_cli.progress import Progress, silent

#: The false positive identification rates that are measured unless others are asked for.
DEFAULT_FPIRS = (0.001, 0.003, 0.01, 0.1)
DEFAULT_RANKS = (1, 5, 10, 20, 50)


def evaluate_identification(
    gallery: Vectors,
    people: ArrayLike,
    probes: Vectors,
    identity: ArrayLike,
    *,
    failed_gallery: ArrayLike | None = None,
    failed_probes: ArrayLike | None = None,
    fpirs: Sequence[float] = DEFAULT_FPIRS,
    ranks: Sequence[int] = DEFAULT_RANKS,
    template: TemplateRule = "mean",
    rounds: int = 0,
    seed: int = 0,
    progress: Progress = silent,
) -> IdentificationEvaluation:
    """Search each probe in a gallery, exactly, and measure how often the answer is right.

    Args:
        gallery: (G, D) float32 embeddings, a row a photo, raw or unit length.
        people: (G,) int, who each row shows; numbers >= 0 of any size, several rows a person.
        probes: (M, D) float32 embeddings.
        identity: (M,) int, who each probe shows. A person without a row in the gallery, or -1 for somebody
            unknown, makes a non-mated search.
        failed_gallery: (G,) bool, rows without an embedding (no face was found). A person of whom all rows
            failed is enrolled without a template: their searches are misses at every threshold.
        failed_probes: (M,) bool, probes without one: a mated search that is a miss at every threshold, or a
            non-mated one that returns nobody.
        fpirs: Wanted false positive identification rates, 0 < fpir < 1.
        ranks: Of which CMC and FNIR are given, from 1.
        template: What is compared of a person with several rows: the normalized ``mean`` of their unit
            vectors; each row, the highest score being theirs (``max``); or each row by itself, so that the
            rank is over photos and the best of the mates counts (``images``, as TinyFace has it), which adds
            the mean average precision.
        rounds: Of a bootstrap over people for TPIR at FPIR; 0 for none.
        seed: Of the random numbers.
        progress: Told the searches done.

    Returns:
        The figures; what cannot be measured is None, with a reason. Failures are counted in two ways:
        figures without a suffix are over the searches that could be made, those ``with_failures`` over all.

    Raises:
        InputError: Arrays that do not fit, a gallery without one template, NaN, or a rate outside (0, 1).
    """
    table, owner, fail = checked_rows(gallery, people, failed_gallery, "gallery")
    wanted, who, missed = checked_rows(probes, identity, failed_probes, "probes")
    check_dimensions(table, wanted)
    enrolled = enroll_rows(owner, fail, seed)
    searches = label_searches(enrolled, who, missed)
    columns, starts = unit_vectors(table[enrolled.columns]), enrolled.starts
    if template == "mean":
        columns, starts = mean_templates(columns, starts), np.arange(len(enrolled.people) + 1)
    asked = Asked(template, tuple(fpirs), tuple(ranks), rounds, seed)
    score = CosineBlocks(unit_vectors(wanted[searches.made]), columns)
    return _measure(score, np.float32, starts, searches, asked, progress)


def evaluate_scores(
    scores: ArrayLike,
    people: ArrayLike,
    identity: ArrayLike,
    *,
    failed_gallery: ArrayLike | None = None,
    failed_probes: ArrayLike | None = None,
    fpirs: Sequence[float] = DEFAULT_FPIRS,
    ranks: Sequence[int] = DEFAULT_RANKS,
    template: TemplateRule = "max",
    rounds: int = 0,
    seed: int = 0,
    progress: Progress = silent,
) -> IdentificationEvaluation:
    """:func:`evaluate_identification` of scores that are known already.

    Args:
        scores: (M, G) similarity of each probe and each row of the gallery, larger is more alike; float32 and
            float64 are taken as they are. Rows and columns of failures are not looked at.
        people: (G,) int, who each column shows.
        identity: (M,) int, who each probe shows; see :func:`evaluate_identification`, also for the others.
        failed_gallery: (G,) bool.
        failed_probes: (M,) bool.
        fpirs: Wanted rates.
        ranks: From 1.
        template: ``max`` or ``images``; the mean of vectors cannot be known from scores.
        rounds: Of the bootstrap.
        seed: Of the random numbers.
        progress: Told the searches done.

    Raises:
        InputError: As there, or ``template`` is ``mean``.
    """
    if template == "mean":
        raise InputError("Scores have no mean of vectors; use template='max' or 'images'.")
    matrix = np.asarray(scores)
    if matrix.dtype not in (np.float32, np.float64):
        matrix = matrix.astype(np.float64)
    if matrix.ndim != 2:
        raise InputError("Scores are a matrix, a row a probe and a column a row of the gallery.")
    owner, fail = checked_labels(people, failed_gallery, matrix.shape[1], "gallery")
    who, missed = checked_labels(identity, failed_probes, matrix.shape[0], "probes")
    enrolled = enroll_rows(owner, fail, seed)
    searches = label_searches(enrolled, who, missed)
    used = matrix[np.ix_(searches.made, enrolled.columns)]
    if not np.isfinite(used).all():
        raise InputError(
            "Scores are NaN or infinite.", hint="Mark what has no score as failed, or mend the embeddings."
        )
    asked = Asked(template, tuple(fpirs), tuple(ranks), rounds, seed)
    return _measure(
        lambda rows, first, stop: used[rows, first:stop],
        used.dtype.type,
        enrolled.starts,
        searches,
        asked,
        progress,
    )


def _measure(
    score: ScoreBlock,
    kind: type[np.floating[Any]],
    starts: NDArray[np.int64],
    searches: LabeledSearches,
    asked: Asked,
    progress: Progress,
) -> IdentificationEvaluation:
    asked.check()
    outcomes = search_outcomes(
        score,
        starts,
        searches.person,
        kind=kind,
        images=asked.template == "images",
        subsets=subset_sizes(searches.counts.people),
        progress=progress,
    )
    return summarize(searches, outcomes, asked)


def evaluate_leave_one_out(
    distractors: Vectors,
    probes: Vectors,
    identity: ArrayLike,
    *,
    failed_distractors: ArrayLike | None = None,
    failed_probes: ArrayLike | None = None,
    ranks: Sequence[int] = DEFAULT_RANKS,
    progress: Progress = silent,
) -> IdentificationEvaluation:
    """CMC where each photo of a person is enrolled in turn among distractors, as MegaFace has it.

    Of a person with n photos each is enrolled alone, and the other n - 1 are searched for: n (n - 1) mated
    searches, in a gallery of the mate and all distractors. There is no search for a stranger, so that nothing
    is said of FPIR.

    Args:
        distractors: (G, D) float32 embeddings, raw or unit length, each of a person of their own.
        probes: (M, D) float32.
        identity: (M,) int, who each probe shows, from 0.
        failed_distractors: (G,) bool, without an embedding; they are never returned.
        failed_probes: (M,) bool; searches with one of them, as probe or as mate, are misses at every rank.
        ranks: From 1.
        progress: Told the probes done.

    Raises:
        InputError: Arrays that do not fit, no distractor with an embedding, or NaN.
    """
    asked = Asked("max", (), tuple(ranks))
    asked.check()
    table, _, fail = checked_rows(distractors, np.zeros(len(distractors)), failed_distractors, "distractors")
    wanted, who, missed = checked_rows(probes, identity, failed_probes, "probes")
    check_dimensions(table, wanted)
    if np.any(who < 0):
        raise InputError("A probe shows nobody, who has no other photo: people are numbers from 0.")
    searches, outcomes = leave_one_out(
        table, wanted, who, failed_distractors=fail, failed_probes=missed, progress=progress
    )
    return summarize(searches, outcomes, asked, rule=LEAVE_ONE_OUT)
