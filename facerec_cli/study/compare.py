"""Compares the arms: figures of each run, means over the seeds, differences with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import InputError
from facerec_cli.metrics.bootstrap import MIN_PEOPLE, resampled_tar
from facerec_cli.metrics.evaluate import evaluate
from facerec_cli.metrics.folds import kind_for
from facerec_cli.pairs.pairlist import PairList
from facerec_cli.progress import Progress, silent
from facerec_cli.study.comparison import (
    CLEAN,
    HARD,
    AccuracyPairs,
    Arm,
    ArmSubset,
    Comparison,
    Curves,
    Difference,
    HardestPair,
    HardSubsets,
    RunFigures,
    Shares,
    Similarities,
    Subset,
    SubsetFigures,
)
from facerec_cli.study.crops import read_crops
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
from facerec_cli.study.prepare import Prepared
from facerec_cli.study.protocol import BEFORE, Protocol
from facerec_cli.study.run import EMBEDDINGS, Job
from facerec_cli.study.subsets import NATURAL, make_pairs, measurable, score_subset
from facerec_cli.untrusted import NpzFile

Scores = NDArray[np.float32]

MIN_GENUINE = 20  # genuine pairs; fewer are no subset to judge by: one pair would be more than five points
_CURVE = np.logspace(-5, 0, 61)
_BINS = np.linspace(-0.5, 1.0, 61)
_SHOWN = 12  # hardest pairs


@dataclass(frozen=True, slots=True)
class _TestPairs:
    """The pairs of each subset and what they can measure.

    Attributes:
        people: (N,) int64 person of each photo, without gaps.
        pairs: Subset -> its pairs.
        subsets: Subset -> counts and rates.
        hard: The subsets whose mean decides.
    """

    people: NDArray[np.int64]
    pairs: dict[str, PairList]
    subsets: dict[str, Subset]
    hard: HardSubsets | None

    @property
    def fars(self) -> dict[str, tuple[float, ...]]:
        """The rates that can be measured on each subset, and on the mean of the hard ones."""
        fars = {name: subset.fars for name, subset in self.subsets.items()}
        return fars | ({HARD: self.hard.fars} if self.hard else {})

    def has_intervals(self, name: str) -> bool:
        """Whether there are people enough to say what others would give."""
        names = self.hard.subsets if self.hard and name == HARD else (name,)
        return all(self.subsets[one].few_people is None for one in names)

    @property
    def shown(self) -> str:
        """The subset of which the hardest pairs are shown."""
        return NATURAL if NATURAL in self.pairs else next(iter(self.pairs))


@dataclass(frozen=True, slots=True)
class _Measured:
    """A run: its figures, and what the comparison makes of its scores, by subset.

    Attributes:
        figures: For results.json.
        rounds: (R, F) TAR in each round of the bootstrap over people.
        curves: (61,) TAR at each FAR of ``_CURVE``.
        shares: (60,) each, of genuine and impostor pairs in each bin.
        genuine: Scores of the genuine pairs that may be shown.
    """

    figures: RunFigures
    rounds: dict[str, Rows]
    curves: dict[str, Rows]
    shares: dict[str, tuple[Rows, Rows]]
    genuine: Scores


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
    test = _test_pairs(protocol, prepared)
    arms: dict[str, list[_Measured]] = {}
    for done, job in enumerate(jobs, 1):
        arms.setdefault(job.arm, []).append(_measure(job, test, prepared, protocol.test.rounds))
        progress(done, len(jobs))
    measured = {(one.figures.arm, one.figures.seed): one for runs in arms.values() for one in runs}
    pairs = prepared.pairs
    genuine = int(pairs.same.sum())
    return Comparison(
        protocol=protocol,
        parts=prepared.counts,
        subsets=test.subsets,
        hard=test.hard,
        pairs=AccuracyPairs(genuine, pairs.impostors, kind_for(genuine, pairs.impostors)),
        runs=tuple(measured[job.arm, job.seed].figures for job in jobs),
        arms={arm: _arm(runs, test) for arm, runs in arms.items()},
        differences={
            reference: {
                arm: {name: _difference(runs, arms[reference], test, name) for name in test.fars}
                for arm, runs in arms.items()
                if arm not in (reference, BEFORE)
            }
            for reference in (BEFORE, protocol.study.baseline)
            if reference in arms
        },
        curves=Curves(
            tuple(_CURVE.tolist()),
            {
                name: {arm: _mean([one.curves[name] for one in runs]) for arm, runs in arms.items()}
                for name in test.pairs
            },
        ),
        similarities=Similarities(
            tuple(_BINS.tolist()),
            {
                name: {
                    arm: Shares(
                        *(_mean(kind) for kind in zip(*(one.shares[name] for one in runs), strict=True))
                    )
                    for arm, runs in arms.items()
                }
                for name in test.pairs
            },
        ),
        hardest=_hardest(prepared, test.pairs[test.shown], arms),
    )


def _test_pairs(protocol: Protocol, prepared: Prepared) -> _TestPairs:
    photos, test = prepared.materials.judged, protocol.test
    people = np.unique(np.array(photos.people), return_inverse=True)[1].astype(np.int64)
    crops = read_crops(prepared.materials.crops, photos.paths)
    pairs = {name: make_pairs(name, people, crops, test.natural) for name in test.subsets}
    subsets = {name: _subset(own, people, test.fars) for name, own in pairs.items()}
    hard = tuple(name for name, subset in subsets.items() if name != CLEAN and subset.reason is None)
    fars = tuple(far for far in test.fars if all(far in subsets[name].fars for name in hard))
    return _TestPairs(people, pairs, subsets, HardSubsets(hard, fars) if len(hard) > 1 else None)


def _subset(pairs: PairList, people: NDArray[np.int64], fars: Sequence[float]) -> Subset:
    """What the pairs of a subset can measure."""
    genuine = int(pairs.same.sum())
    having = len(np.unique(people[pairs.first[pairs.same]]))  # each of them has a say in TAR
    few = genuine < MIN_GENUINE
    return Subset(
        photos=len(people),
        people=int(people.max()) + 1,
        same=genuine,
        different=pairs.impostors,
        fars=() if few else measurable(fars, pairs.impostors),
        reason=f"{genuine} same pairs are too few; it takes {MIN_GENUINE}" if few else None,
        few_people=having if having < MIN_PEOPLE else None,
    )


def _measure(job: Job, test: _TestPairs, prepared: Prepared, rounds: int) -> _Measured:
    embeddings = _embeddings(job.folder / EMBEDDINGS)
    figures, resampled, curves, shares = {}, {}, {}, {}
    scores = {name: score_subset(name, pairs, embeddings) for name, pairs in test.pairs.items()}
    for name, pairs in test.pairs.items():
        fars, people = test.fars[name], (test.people[pairs.first], test.people[pairs.second])
        figures[name] = _figures(scores[name], pairs.same, test.subsets[name])
        resampled[name] = resampled_tar(scores[name], pairs.same, people, fars=fars, rounds=rounds)
        curves[name] = _curve(scores[name], pairs.same)
        shares[name] = _shares(scores[name], pairs.same)
    if test.hard:
        hard = test.hard
        figures[HARD] = _mean_figures([figures[name] for name in hard.subsets], hard.fars)
        columns = {name: [test.fars[name].index(far) for far in hard.fars] for name in hard.subsets}
        resampled[HARD] = np.mean([resampled[name][:, at] for name, at in columns.items()], axis=0)
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
    return _Measured(run, resampled, curves, shares, scores[test.shown][test.pairs[test.shown].same])


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


def _arm(runs: Sequence[_Measured], test: _TestPairs) -> Arm:
    """Means over the seeds of one arm."""
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
        )
    return Arm(subsets, mean_if_known([one.figures.accuracy for one in runs]))


def _difference(
    runs: Sequence[_Measured], others: Sequence[_Measured], test: _TestPairs, name: str
) -> dict[str, Difference]:
    """How the arm of ``runs`` differs from that of ``others`` on one subset."""
    return difference(
        _rates(runs, test, name), _rates(others, test, name), intervals=test.has_intervals(name)
    )


def _rates(runs: Sequence[_Measured], test: _TestPairs, name: str) -> Rates:
    fars = test.fars[name]
    tar = [[one.figures.subsets[name].tar[f"{far:g}"] for far in fars] for one in runs]
    return Rates(runs[0].figures.arm, fars, np.array(tar), np.array([one.rounds[name] for one in runs]))


def _curve(scores: Scores, same: NDArray[np.bool_]) -> Rows:
    """TAR at each FAR of ``_CURVE``; NaN below one impostor pair."""
    impostor = np.sort(scores[~same])[::-1]
    allowed = np.floor(_CURVE * len(impostor) * (1 + 1e-12)).astype(int)
    genuine = scores[same]
    rates = [
        np.nan if k == 0 else 1.0 if k >= len(impostor) else float((genuine > impostor[k]).mean())
        for k in allowed
    ]
    return np.array(rates)


def _shares(scores: Scores, same: NDArray[np.bool_]) -> tuple[Rows, Rows]:
    """Shares of the genuine and of the impostor pairs in each bin."""
    clipped = np.clip(scores, -0.5, 1.0)
    genuine, impostor = (np.histogram(clipped[kind], _BINS)[0] / kind.sum() for kind in (same, ~same))
    return genuine, impostor


def _mean(rows: Sequence[Rows]) -> tuple[float | None, ...]:
    """The mean of some curves, rounded; None where it is not measured."""
    return tuple(None if np.isnan(one) else round(float(one), 6) for one in np.mean(rows, axis=0))


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
