"""What the embeddings of all runs say: figures of each, means over seeds, differences with intervals.

Two kinds of chance: seeds, and who happens to be tested. An arm's mean has Student's interval over its seeds
(another seed, the same people), and one over both (another seed and other people): a bootstrap draws the test
people, and Student's t times the standard error over the arm's seeds is added to each draw. To draw the few
seeds themselves with replacement would give intervals that are too narrow. Differences between arms have the
latter; both arms see the same people, so what makes a draw easy for both cancels. Of one or two seeds nothing
can be said but for the people, and of a few people nothing either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import InputError
from facerec_cli.metrics.bootstrap import MIN_PEOPLE, resampled_tar
from facerec_cli.metrics.evaluate import evaluate
from facerec_cli.metrics.folds import kind_for
from facerec_cli.pairs.pairlist import PairList
from facerec_cli.progress import Progress, silent
from facerec_cli.study.crops import read_crops
from facerec_cli.study.intervals import MIN_SAME_PAIRS, Rows, drawn, interval_over_seeds, percentiles
from facerec_cli.study.judge import PAIRS
from facerec_cli.study.prepare import Prepared
from facerec_cli.study.protocol import BEFORE, Protocol
from facerec_cli.study.run import EMBEDDINGS, Job
from facerec_cli.study.subsets import make_pairs, measurable, score_subset
from facerec_cli.untrusted import NpzFile

_CURVE = np.logspace(-5, 0, 61)
_BINS = np.linspace(-0.5, 1.0, 61)
_SHOWN = 12
HARD = "hard"  # the mean over the measured subsets but the clean one, as if it were a subset


def compare(
    protocol: Protocol, prepared: Prepared, jobs: Sequence[Job], progress: Progress = silent
) -> dict[str, Any]:
    """Measure every run and compare the arms; the result is plain values for JSON.

    Args:
        protocol: What was asked.
        prepared: What the runs shared.
        jobs: Finished runs.
        progress: Told of the runs measured.
    """
    materials, test = prepared.materials, protocol.test
    people = np.unique(np.array(materials.judged.people), return_inverse=True)[1].astype(np.int64)
    crops = read_crops(materials.crops, materials.judged.paths)
    pairs = {name: make_pairs(name, people, crops, test.natural) for name in test.subsets}
    runs: list[dict[str, Any]] = []
    curves: dict[str, dict[str, list[Rows]]] = {}
    spread: dict[str, dict[str, list[tuple[Rows, Rows]]]] = {}
    scores: dict[str, list[NDArray[np.float32]]] = {}
    rounds: dict[tuple[str, int, str], Rows] = {}
    fars = {name: measurable(test.fars, own.impostors) for name, own in pairs.items()}
    few = {name: reason for name, own in pairs.items() if (reason := _too_few(own))}
    fars |= dict.fromkeys(few, ())
    enough = {name: _people_with_pairs(own, people) >= MIN_PEOPLE for name, own in pairs.items()}
    hard = [name for name in test.subsets if name != "clean clean" and name not in few]
    if len(hard) > 1:
        enough[HARD] = all(enough[name] for name in hard)
        fars[HARD] = tuple(far for far in test.fars if all(far in fars[name] for name in hard))
    for done, job in enumerate(jobs, 1):
        rows = _embeddings(job.folder / EMBEDDINGS)
        record = job.record() or {}
        figures = {}
        for name, own in pairs.items():
            own_scores = score_subset(name, own, rows)
            figures[name] = _figures(own_scores, own.same, fars[name], measured=name not in few)
            rounds[job.arm, job.seed, name] = resampled_tar(
                own_scores,
                own.same,
                (people[own.first], people[own.second]),
                fars=fars[name],
                rounds=test.rounds,
            )
            curves.setdefault(name, {}).setdefault(job.arm, []).append(_curve(own_scores, own.same))
            spread.setdefault(name, {}).setdefault(job.arm, []).append(_histograms(own_scores, own.same))
            if name == _hardest_subset(test.subsets):
                scores.setdefault(job.arm, []).append(own_scores[own.same])
        if HARD in fars:
            figures[HARD] = _mean_figures([figures[name] for name in hard], fars[HARD])
            columns = [[fars[name].index(far) for far in fars[HARD]] for name in hard]
            own_rounds = [rounds[job.arm, job.seed, name] for name in hard]
            mean = np.mean([r[:, c] for r, c in zip(own_rounds, columns, strict=True)], axis=0)
            rounds[job.arm, job.seed, HARD] = mean
        kept = ("interpolate", "steps", "seconds", "seconds_training", "validation", "recipe")
        facts = {key: record[key] for key in kept if key in record}
        facts.get("recipe", {}).get("run", {}).pop("out", None)
        facts.get("recipe", {}).get("data", {}).pop("path", None)
        runs.append(
            {
                "arm": job.arm,
                "seed": job.seed,
                **facts,
                "accuracy": _accuracy(prepared, rows),
                "subsets": figures,
            }
        )
        progress(done, len(jobs))
    arms = {job.arm: None for job in jobs}
    subsets: dict[str, dict[str, Any]] = {
        name: {
            "photos": len(people),
            "people": int(people.max()) + 1,
            "same": int(own.same.sum()),
            "different": own.impostors,
            "fars": list(fars[name]),
            **({"reason": few[name]} if name in few else {}),
            **({} if enough[name] else {"few_people": _people_with_pairs(own, people)}),
        }
        for name, own in pairs.items()
    }
    return {
        "protocol": protocol.document(),
        "parts": prepared.counts,
        "subsets": subsets,
        "hard": {"subsets": hard, "fars": list(fars[HARD])} if HARD in fars else None,
        "pairs": {"same": int(prepared.pairs.same.sum()), "different": prepared.pairs.impostors}
        | {"accuracy": kind_for(int(prepared.pairs.same.sum()), prepared.pairs.impostors)},
        "runs": runs,
        "arms": {
            arm: _summary([run for run in runs if run["arm"] == arm], rounds, fars, enough) for arm in arms
        },
        "differences": {
            reference: {
                arm: {
                    name: _differences(rounds, runs, arm, reference, name, fars[name], enough=enough[name])
                    for name in fars
                }
                for arm in arms
                if arm not in (reference, BEFORE)
            }
            for reference in (BEFORE, protocol.study.baseline)
            if reference in arms
        },
        "curves": {
            "far": _CURVE.tolist(),
            "tar": {n: {arm: _mean(c) for arm, c in by.items()} for n, by in curves.items()},
        },
        "similarities": {
            "edges": _BINS.tolist(),
            "shares": {
                name: {
                    arm: {"same": _mean([h[0] for h in own]), "different": _mean([h[1] for h in own])}
                    for arm, own in by.items()
                }
                for name, by in spread.items()
            },
        },
        "hardest": _hardest(prepared, pairs[_hardest_subset(test.subsets)], scores),
    }


def _embeddings(path: Path) -> dict[str, NDArray[np.float32]]:
    """The embeddings that a run wrote, by condition."""
    try:
        with NpzFile(path) as found:
            return dict(found)
    except (OSError, ValueError) as error:
        raise InputError(
            f"The embeddings {path} are damaged: {error}.",
            hint="Delete the file, and the same study with --resume makes it anew.",
        ) from error


def _too_few(pairs: PairList) -> str:
    """Why a subset gives no figures; "" where it does."""
    same = int(pairs.same.sum())
    return "" if same >= MIN_SAME_PAIRS else f"{same} same pairs are too few; it takes {MIN_SAME_PAIRS}"


def _people_with_pairs(pairs: PairList, people: NDArray[np.int64]) -> int:
    """How many people have a same pair: as many have a say in TAR."""
    return len(np.unique(people[pairs.first[pairs.same]]))


def _figures(
    scores: NDArray[np.float32], same: NDArray[np.bool_], fars: Sequence[float], *, measured: bool
) -> dict[str, Any]:
    if not measured:
        return {"tar": {}, "eer": None, "auc": None, "d_prime": None}
    found = evaluate(scores, same, fars=fars)
    tar = {f"{point.far:g}": point.tar for point in found.tar_at_far if point.tar is not None}
    return {"tar": tar, "eer": found.eer, "auc": found.auc, "d_prime": found.d_prime}


def _mean_figures(figures: Sequence[Mapping[str, Any]], fars: Sequence[float]) -> dict[str, Any]:
    tar = {f"{far:g}": float(np.mean([one["tar"][f"{far:g}"] for one in figures])) for far in fars}
    kept = [k for k in ("eer", "auc", "d_prime") if all(one[k] is not None for one in figures)]
    missing = dict.fromkeys(("eer", "auc", "d_prime"))
    return {"tar": tar, **missing} | {k: float(np.mean([one[k] for one in figures])) for k in kept}


def _accuracy(prepared: Prepared, rows: Mapping[str, NDArray[np.float32]]) -> float | None:
    """Ten-fold accuracy on the pair list; balanced accuracy where its judged pairs are mostly of one kind."""
    pairs = prepared.pairs
    units = rows[PAIRS]
    scores = np.einsum("pd,pd->p", units[pairs.first], units[pairs.second])
    found = evaluate(scores, pairs.same, folds=pairs.fold, fars=(0.1,)).accuracy
    return None if found is None else found.mean


def _summary(
    runs: Sequence[Mapping[str, Any]],
    rounds: Mapping[tuple[str, int, str], Rows],
    fars: Mapping[str, Sequence[float]],
    enough: Mapping[str, bool],
) -> dict[str, Any]:
    """Means over the seeds of one arm; TAR also with what another draw of people and seeds would give."""
    subsets: dict[str, Any] = {}
    for name, first in runs[0]["subsets"].items():
        own = [run["subsets"][name] for run in runs]
        tar = {far: interval_over_seeds([one["tar"][far] for one in own]) for far in first["tar"]}
        intervals = percentiles(drawn(rounds, runs, name, fars[name])) if enough[name] else []
        for far, ends in zip(fars[name], intervals, strict=False):
            tar[f"{far:g}"] |= {} if ends is None else {"low": ends[0], "high": ends[1]}
        rates = {key: [one[key] for one in own] for key in ("eer", "auc")}
        subsets[name] = {
            "tar": tar,
            **{key: None if None in found else interval_over_seeds(found) for key, found in rates.items()},
        }
    accuracies = [run["accuracy"] for run in runs if run["accuracy"] is not None]
    return {"subsets": subsets, "accuracy": interval_over_seeds(accuracies) if accuracies else None}


def _differences(
    rounds: Mapping[tuple[str, int, str], Rows],
    runs: Sequence[Mapping[str, Any]],
    arm: str,
    reference: str,
    subset: str,
    fars: Sequence[float],
    *,
    enough: bool = True,
) -> dict[str, dict[str, float]]:
    """FAR -> mean difference of TAR, its 95 % interval over people and seeds, and the lesser seeds.

    Without ``enough`` people there is no interval.
    """
    sides, means, seeds = [], [], []
    for name in (arm, reference):
        own = [run for run in runs if run["arm"] == name]
        sides.append(drawn(rounds, own, subset, fars))
        seeds += [len(own)] if name != BEFORE else []
        means.append([np.mean([run["subsets"][subset]["tar"][f"{far:g}"] for run in own]) for far in fars])
    intervals = percentiles(sides[0] - sides[1])
    return {
        f"{far:g}": {"mean": float(a - b), "seeds": min(seeds)}
        | ({} if ends is None or not enough else {"low": ends[0], "high": ends[1]})
        for far, a, b, ends in zip(fars, *means, intervals, strict=True)
    }


def _curve(scores: NDArray[np.float32], same: NDArray[np.bool_]) -> Rows:
    """TAR at each FAR of ``_CURVE``; NaN below one different pair."""
    impostor = np.sort(scores[~same])[::-1]
    allowed = np.floor(_CURVE * len(impostor) * (1 + 1e-12)).astype(int)
    genuine = scores[same]
    rates = [
        np.nan if k == 0 else 1.0 if k >= len(impostor) else float((genuine > impostor[k]).mean())
        for k in allowed
    ]
    return np.array(rates)


def _histograms(scores: NDArray[np.float32], same: NDArray[np.bool_]) -> tuple[Rows, Rows]:
    kinds = (np.histogram(np.clip(scores[kind], -0.5, 1.0), _BINS)[0] / kind.sum() for kind in (same, ~same))
    one, two = kinds
    return one, two


def _mean(rows: Sequence[Rows]) -> list[float | None]:
    return [None if np.isnan(value) else round(float(value), 6) for value in np.mean(rows, axis=0)]


def _hardest_subset(subsets: Sequence[str]) -> str:
    return "natural" if "natural" in subsets else subsets[0]


def _hardest(
    prepared: Prepared, pairs: PairList, scores: Mapping[str, Sequence[NDArray[np.float32]]]
) -> list[dict[str, Any]]:
    """The same pairs that the first arm (the untouched network, if there is one) likes least."""
    means = {arm: np.mean(own, axis=0) for arm, own in scores.items()}
    first, second = pairs.first[pairs.same], pairs.second[pairs.same]
    paths = prepared.materials.judged.paths
    order = np.argsort(next(iter(means.values())), kind="stable")[:_SHOWN]
    return [
        {
            "photos": [paths[first[i]], paths[second[i]]],
            "scores": {arm: float(own[i]) for arm, own in means.items()},
        }
        for i in order
    ]
