"""Compares the arms: figures of each run, means over the seeds, differences with intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import InputError
from facerec_cli.metrics.bootstrap import resampled_tar
from facerec_cli.metrics.evaluate import evaluate
from facerec_cli.metrics.folds import kind_for
from facerec_cli.pairs.pairlist import PairList
from facerec_cli.progress import Progress, silent
from facerec_cli.study.comparison import (
    HARD,
    AccuracyPairs,
    Arm,
    ArmSubset,
    Comparison,
    Curves,
    Difference,
    HardestPair,
    RunFigures,
    Shares,
    Similarities,
    Subset,
    SubsetFigures,
)
from facerec_cli.study.curves import BINS, CURVE, curve_of, mean_curve, shares_of
from facerec_cli.study.embeddings import PAIRS
from facerec_cli.study.intervals import (
    Rates,
    Rows,
    difference,
    drawn,
    mean_if_known,
    mean_over_seeds,
    percentiles,
)
from facerec_cli.study.judged import JudgedPairs, judged_pairs
from facerec_cli.study.prepare import Prepared
from facerec_cli.study.protocol import BEFORE, Protocol
from facerec_cli.study.run import EMBEDDINGS, Job
from facerec_cli.study.search_rates import RunSearches, mean_tpir, tpir_differences
from facerec_cli.study.searches import mean_subsets
from facerec_cli.study.subsets import score_subset
from facerec_cli.untrusted import NpzFile

Scores = NDArray[np.float32]
_Differences = TypeVar("_Differences")

_SHOWN = 12  # hardest pairs


@dataclass(frozen=True, slots=True)
class _Measured:
    """A run: its figures, and what the comparison makes of its scores, by subset.

    Attributes:
        figures: For results.json.
        rounds: (R, F) TAR in each round of the bootstrap over people.
        curves: (61,) TAR at each FAR of ``CURVE``.
        shares: (60,) each, of genuine and impostor pairs in each bin.
        genuine: Scores of the genuine pairs that may be shown.
        searches: TPIR and (R, 1) TPIR in each round, of the subsets in which people are searched for.
    """

    figures: RunFigures
    rounds: dict[str, Rows]
    curves: dict[str, Rows]
    shares: dict[str, tuple[Rows, Rows]]
    genuine: Scores
    searches: RunSearches


def compare(
    protocol: Protocol, prepared: Prepared, jobs: Sequence[Job], progress: Progress = silent
) -> Comparison:
    """Measure every run and compare the arms.

    Args:
        protocol: What was asked.
        prepared: What the runs shared.
        jobs: Finished runs.
        progress: Told of the runs measured.
    """
    test = judged_pairs(prepared.materials, protocol.test)
    arms: dict[str, list[_Measured]] = {}
    for done, job in enumerate(jobs, 1):
        arms.setdefault(job.arm, []).append(_measure(job, test, prepared, protocol.test.rounds))
        progress(done, len(jobs))
    measured = {(one.figures.arm, one.figures.seed): one for runs in arms.values() for one in runs}
    pairs, references = prepared.pairs, [name for name in (BEFORE, protocol.study.baseline) if name in arms]
    genuine = int(pairs.same.sum())
    return Comparison(
        protocol=protocol,
        parts=prepared.counts,
        subsets=test.subsets,
        hard=test.hard,
        pairs=AccuracyPairs(genuine, pairs.impostors, kind_for(genuine, pairs.impostors)),
        runs=tuple(measured[job.arm, job.seed].figures for job in jobs),
        arms={arm: _arm(runs, test) for arm, runs in arms.items()},
        differences=_between(arms, references, lambda a, b: _differences(a, b, test)),
        tpir_differences=None
        if test.searches.reason
        else _between(arms, references, lambda a, b: _search_differences(a, b, test)),
        no_searches=test.searches.reason or None,
        curves=Curves(
            tuple(CURVE.tolist()),
            {
                name: {arm: mean_curve([one.curves[name] for one in runs]) for arm, runs in arms.items()}
                for name in test.pairs
            },
        ),
        similarities=Similarities(
            tuple(BINS.tolist()),
            {
                name: {
                    arm: Shares(
                        *(mean_curve(kind) for kind in zip(*(one.shares[name] for one in runs), strict=True))
                    )
                    for arm, runs in arms.items()
                }
                for name in test.pairs
            },
        ),
        hardest=_hardest(prepared, test.pairs[test.shown], arms),
    )


def _between(
    arms: Mapping[str, Sequence[_Measured]],
    references: Sequence[str],
    differ: Callable[[Sequence[_Measured], Sequence[_Measured]], _Differences],
) -> dict[str, dict[str, _Differences]]:
    """Reference -> arm -> how it differs from the reference."""
    return {
        name: {arm: differ(runs, arms[name]) for arm, runs in arms.items() if arm not in (name, BEFORE)}
        for name in references
    }


def _measure(job: Job, test: JudgedPairs, prepared: Prepared, rounds: int) -> _Measured:
    embeddings = _embeddings(job.folder / EMBEDDINGS)
    figures, resampled, curves, shares = {}, {}, {}, {}
    scores = {name: score_subset(name, pairs, embeddings) for name, pairs in test.pairs.items()}
    for name, pairs in test.pairs.items():
        fars, people = test.fars[name], (test.people[pairs.first], test.people[pairs.second])
        figures[name] = _figures(scores[name], pairs.same, test.subsets[name])
        resampled[name] = resampled_tar(scores[name], pairs.same, people, fars=fars, rounds=rounds)
        curves[name] = curve_of(scores[name], pairs.same)
        shares[name] = shares_of(scores[name], pairs.same)
    if test.hard:
        hard = test.hard
        figures[HARD] = _mean_figures([figures[name] for name in hard.subsets], hard.fars)
        columns = {name: [test.fars[name].index(far) for far in hard.fars] for name in hard.subsets}
        resampled[HARD] = np.mean([resampled[name][:, at] for name, at in columns.items()], axis=0)
    searches = {
        name: test.searches.measure(name, embeddings, rounds)
        for name in test.subsets
        if test.searches.measurable(name)
    }
    if test.hard and (hard_ones := [searches[name] for name in test.hard.subsets if name in searches]):
        searches[HARD] = mean_subsets(hard_ones)
    for name, (tpir, _) in searches.items():
        figures[name] = replace(figures[name], tpir=tpir)
    record = job.record() or {}
    recipe = record.get("recipe")
    if recipe is not None:  # without the places of this machine
        recipe.get("run", {}).pop("out", None)
        recipe.get("data", {}).pop("path", None)
    known = ("interpolate", "steps", "seconds", "seconds_training", "validation")
    run = RunFigures(
        arm=job.arm,
        seed=job.seed,
        **{key: record.get(key) for key in known},
        recipe=recipe,
        accuracy=_accuracy(prepared.pairs, embeddings[PAIRS]),
        subsets=figures,
    )
    shown = scores[test.shown][test.pairs[test.shown].same]
    return _Measured(run, resampled, curves, shares, shown, searches)


def _embeddings(path: Path) -> dict[str, Scores]:
    """The embeddings that a run wrote, by condition."""
    try:
        with NpzFile(path) as found:
            return dict(found)
    except (OSError, ValueError) as error:
        raise InputError(
            f"The embeddings {path} are damaged: {error}.",
            hint="Delete the file, and the same study with --resume makes it anew.",
        ) from error


def _figures(scores: Scores, same: NDArray[np.bool_], subset: Subset) -> SubsetFigures:
    if subset.reason is not None:
        return SubsetFigures({}, None, None, None)
    found = evaluate(scores, same, fars=subset.fars)
    tar = {f"{point.far:g}": point.tar for point in found.tar_at_far if point.tar is not None}
    return SubsetFigures(tar, found.eer, found.auc, found.d_prime)


def _mean_figures(figures: Sequence[SubsetFigures], fars: Sequence[float]) -> SubsetFigures:
    """The mean of several subsets as one."""
    tar = {f"{far:g}": float(np.mean([one.tar[f"{far:g}"] for one in figures])) for far in fars}
    eer, auc, d_prime = (
        None if None in values else float(np.mean(values))
        for values in zip(*((one.eer, one.auc, one.d_prime) for one in figures), strict=True)
    )
    return SubsetFigures(tar, eer, auc, d_prime)


def _accuracy(pairs: PairList, units: Scores) -> float | None:
    """Ten-fold accuracy on the pair list; balanced accuracy where its pairs are mostly of one kind."""
    scores = np.einsum("pd,pd->p", units[pairs.first], units[pairs.second])
    found = evaluate(scores, pairs.same, folds=pairs.fold, fars=(0.1,)).accuracy
    return None if found is None else found.mean


def _arm(runs: Sequence[_Measured], test: JudgedPairs) -> Arm:
    """Means over the seeds of one arm."""
    arm, searches = runs[0].figures.arm, [one.searches for one in runs]
    subsets = {}
    for name in test.fars:
        rates = _rates(runs, test, name)
        intervals = percentiles(drawn(rates)) if test.has_intervals(name) else [None] * len(rates.fars)
        figures = [one.figures.subsets[name] for one in runs]
        subsets[name] = ArmSubset(
            {
                f"{far:g}": mean_over_seeds(tar, ends)
                for far, tar, ends in zip(rates.fars, rates.tar.T.tolist(), intervals, strict=True)
            },
            mean_if_known([one.eer for one in figures]),
            mean_if_known([one.auc for one in figures]),
            mean_tpir(arm, searches, name, intervals=test.searches.has_intervals),
        )
    return Arm(subsets, mean_if_known([one.figures.accuracy for one in runs]))


def _differences(
    runs: Sequence[_Measured], others: Sequence[_Measured], test: JudgedPairs
) -> dict[str, dict[str, Difference]]:
    """How the arm of ``runs`` differs from that of ``others``: subset -> FAR -> difference."""
    return {
        name: difference(
            _rates(runs, test, name), _rates(others, test, name), intervals=test.has_intervals(name)
        )
        for name in test.fars
    }


def _search_differences(
    runs: Sequence[_Measured], others: Sequence[_Measured], test: JudgedPairs
) -> dict[str, Difference]:
    """How the arm of ``runs`` differs from that of ``others`` in TPIR: subset -> difference."""
    (arm, mine), (reference, theirs) = (
        (side[0].figures.arm, [one.searches for one in side]) for side in (runs, others)
    )
    return tpir_differences(arm, mine, reference, theirs, intervals=test.searches.has_intervals)


def _rates(runs: Sequence[_Measured], test: JudgedPairs, name: str) -> Rates:
    fars = test.fars[name]
    tar = [[one.figures.subsets[name].tar[f"{far:g}"] for far in fars] for one in runs]
    return Rates(runs[0].figures.arm, fars, np.array(tar), np.array([one.rounds[name] for one in runs]))


def _hardest(
    prepared: Prepared, pairs: PairList, arms: Mapping[str, Sequence[_Measured]]
) -> tuple[HardestPair, ...]:
    """The genuine pairs with the lowest scores of the first arm: the untouched network, if there is one."""
    means = {arm: np.mean([one.genuine for one in runs], axis=0) for arm, runs in arms.items()}
    first, second = pairs.first[pairs.same], pairs.second[pairs.same]
    paths = prepared.materials.judged.paths
    order = np.argsort(next(iter(means.values())), kind="stable")[:_SHOWN]
    return tuple(
        HardestPair((paths[first[i]], paths[second[i]]), {arm: float(mean[i]) for arm, mean in means.items()})
        for i in order
    )
