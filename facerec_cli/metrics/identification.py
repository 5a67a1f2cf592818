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
from facerec_cli.metrics.identification_bootstrap import bootstrap_tpir
from facerec_cli.metrics.identification_counting import (
    accepted_scores,
    det_points,
    miss_points,
    rank_points,
    search_points,
)
from facerec_cli.metrics.identification_curve import curve_over_people, subset_sizes
from facerec_cli.metrics.identification_figures import (
    RULES,
    THRESHOLD_RULE,
    Asked,
    IdentificationEvaluation,
    TemplateRule,
)
from facerec_cli.metrics.labeled_searches import (
    LabeledSearches,
    enroll_rows,
    label_searches,
    mean_templates,
)
from facerec_cli.metrics.scores import Vectors, unit_vectors
from facerec_cli.metrics.searches import ScoreBlock, cosines, search_outcomes
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
    table, owner, fail = _rows(gallery, people, failed_gallery, "gallery")
    wanted, who, missed = _rows(probes, identity, failed_probes, "probes")
    if table.shape[1] != wanted.shape[1]:
        raise InputError(
            f"The gallery's embeddings have {table.shape[1]} dimensions, the probes' {wanted.shape[1]}.",
            hint="Embed both with the same model.",
        )
    enrolled = enroll_rows(owner, fail, seed)
    searches = label_searches(enrolled, who, missed)
    columns, starts = unit_vectors(table[enrolled.columns]), enrolled.starts
    if template == "mean":
        columns, starts = mean_templates(columns, starts), np.arange(len(enrolled.people) + 1)
    asked = Asked(template, tuple(fpirs), tuple(ranks), rounds, seed)
    score = cosines(unit_vectors(wanted[searches.made]), columns)
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
    owner, fail = _labels(people, failed_gallery, matrix.shape[1], "gallery")
    who, missed = _labels(identity, failed_probes, matrix.shape[0], "probes")
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
    counts, mated = searches.counts, outcomes.mated
    points = search_points(outcomes, counts, asked.fpirs)
    tied = outcomes.ties[mated] > 0
    measured = [point.fpir for point in points if point.measurable]
    bootstrap = bootstrap_tpir(
        accepted_scores(outcomes),
        outcomes.best[~mated],
        (searches.identity[mated], searches.identity[~mated]),
        fpirs=measured if asked.rounds else (),
        rounds=asked.rounds,
        seed=asked.seed,
    )
    precision = outcomes.precision[mated] if asked.template == "images" else np.zeros(0)
    found = float(precision @ searches.found_faces[mated]) if precision.size else 0.0
    return IdentificationEvaluation(
        rule=f"{RULES[asked.template]}; {THRESHOLD_RULE}",
        template=asked.template,
        counts=counts,
        tied=int(tied.sum()),
        tied_first=int((tied & (outcomes.rank - outcomes.ties == 1)[mated]).sum()),
        cmc=rank_points(outcomes, counts, asked.ranks),
        tpir_at_fpir=points,
        fnir=miss_points(outcomes, counts, points, asked.ranks),
        mean_average_precision=float(precision.mean()) if precision.size else None,
        mean_average_precision_with_failures=found / counts.mated if precision.size else None,
        det=det_points(outcomes),
        curve=curve_over_people(outcomes, counts.people, points),
        bootstrap=bootstrap,
        outcomes=outcomes,
        searches=searches,
    )


def _rows(
    vectors: Vectors, labels: ArrayLike, failed: ArrayLike | None, name: str
) -> tuple[Vectors, NDArray[np.int64], NDArray[np.bool_]]:
    """Embeddings with whom they show and which of them failed."""
    table = np.asarray(vectors, np.float32)
    if table.ndim != 2:
        raise InputError(f"The embeddings of the {name} are a table, a row a photo.")
    who, fail = _labels(labels, failed, len(table), name)
    bad = np.flatnonzero(~np.isfinite(table).all(axis=1) & ~fail)
    if bad.size:
        raise InputError(
            f"{bad.size} of {len(table)} embeddings of the {name} have NaN or infinite numbers, the first in "
            f"row {bad[0]}.",
            hint=f"Mark rows without an embedding in `failed_{name}`.",
        )
    return table, who, fail


def _labels(
    labels: ArrayLike, failed: ArrayLike | None, count: int, name: str
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    who = np.asarray(labels, np.int64)
    fail = np.zeros(who.shape, bool) if failed is None else np.asarray(failed, bool)
    if who.shape != (count,) or fail.shape != (count,):
        raise InputError(f"People and failures of the {name} must be {count} each, one a row.")
    return who, fail
