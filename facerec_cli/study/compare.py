"""What the embeddings of all runs say: figures of each, means over seeds, differences with intervals.

Two kinds of chance: seeds, and who happens to be tested. An arm's mean has Student's interval over its seeds
(another seed, the same people), and one over both (another seed and other people): a bootstrap draws the test
people, and Student's t times the standard error over the arm's seeds is added to each draw. To draw the few
seeds themselves with replacement would give intervals that are too narrow. Differences between arms have the
latter; both arms see the same people, so what makes a draw easy for both cancels. Of one seed nothing can be
said but for the people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import InputError
from facerec_cli.progress import Progress, silent
from facerec_cli.study.crops import read_crops
from facerec_cli.study.judge import PAIRS
from facerec_cli.study.prepare import Prepared
from facerec_cli.study.protocol import BEFORE, Protocol
from facerec_cli.study.run import EMBEDDINGS, Job
from facerec_cli.study.subsets import Pairs, make_pairs, measurable
from facerec_cli.untrusted import NpzFile
from facerec_cli.verify.bootstrap import resampled_tar
from facerec_cli.verify.statistics import evaluate

Rows = NDArray[np.float64]
# 97.5 % points of Student's t for 1 to 9 degrees of freedom; for more the last one, a little too wide.
_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
_CURVE = np.logspace(-5, 0, 61)
_BINS = np.linspace(-0.5, 1.0, 61)
_SHOWN = 12
_DRAWS = 16  # of Student's t for each draw of people: its tails are heavy
HARD = "hard"  # the mean over all subsets but the clean one, as if it were a subset


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
    fars = {name: measurable(test.fars, int((~own.same).sum())) for name, own in pairs.items()}
    hard = [name for name in test.subsets if name != "clean clean"]
    if len(hard) > 1:
        fars[HARD] = tuple(far for far in test.fars if all(far in fars[name] for name in hard))
    for done, job in enumerate(jobs, 1):
        rows = _embeddings(job.folder / EMBEDDINGS)
        record = job.record() or {}
        figures = {}
        for name, own in pairs.items():
            own_scores = own.scores(rows)
            figures[name] = _figures(own_scores, own.same, test.fars)
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
            "different": int((~own.same).sum()),
            "fars": list(fars[name]),
        }
        for name, own in pairs.items()
    }
    return {
        "protocol": protocol.document(),
        "parts": prepared.counts,
        "subsets": subsets,
        "hard": {"subsets": hard, "fars": list(fars[HARD])} if HARD in fars else None,
        "pairs": {"same": int(prepared.pairs.same.sum()), "different": int((~prepared.pairs.same).sum())},
        "runs": runs,
        "arms": {arm: _summary([run for run in runs if run["arm"] == arm], rounds, fars) for arm in arms},
        "differences": {
            reference: {
                arm: {name: _differences(rounds, runs, arm, reference, name, fars[name]) for name in fars}
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


def interval_over_seeds(values: Sequence[float]) -> dict[str, Any]:
    """Mean with Student's 95 % interval; no interval for one seed."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return {"mean": mean, "seeds": list(values)}
    half = _T[min(len(values) - 2, len(_T) - 1)] * float(np.std(values, ddof=1)) / np.sqrt(len(values))
    return {"mean": mean, "half": float(half), "seeds": list(values)}


def _figures(scores: NDArray[np.float32], same: NDArray[np.bool_], fars: Sequence[float]) -> dict[str, Any]:
    found = evaluate(scores, same, fars=fars)
    tar = {f"{point.far:g}": point.tar for point in found.tar_at_far if point.tar is not None}
    return {"tar": tar, "eer": found.eer, "auc": found.auc, "d_prime": found.d_prime}


def _mean_figures(figures: Sequence[Mapping[str, Any]], fars: Sequence[float]) -> dict[str, Any]:
    tar = {f"{far:g}": float(np.mean([one["tar"][f"{far:g}"] for one in figures])) for far in fars}
    kept = [k for k in ("eer", "auc", "d_prime") if all(one[k] is not None for one in figures)]
    return {"tar": tar, "d_prime": None} | {k: float(np.mean([one[k] for one in figures])) for k in kept}


def _accuracy(prepared: Prepared, rows: Mapping[str, NDArray[np.float32]]) -> float | None:
    """Ten-fold accuracy on the pair list."""
    pairs = prepared.pairs
    units = rows[PAIRS]
    scores = np.einsum("pd,pd->p", units[pairs.first], units[pairs.second])
    found = evaluate(scores, pairs.same, folds=pairs.fold, fars=(0.1,)).accuracy
    return None if found is None else found.mean


def _summary(
    runs: Sequence[Mapping[str, Any]],
    rounds: Mapping[tuple[str, int, str], Rows],
    fars: Mapping[str, Sequence[float]],
) -> dict[str, Any]:
    """Means over the seeds of one arm; TAR also with what another draw of people and seeds would give."""
    subsets: dict[str, Any] = {}
    for name, first in runs[0]["subsets"].items():
        own = [run["subsets"][name] for run in runs]
        tar = {far: interval_over_seeds([one["tar"][far] for one in own]) for far in first["tar"]}
        low, high = _interval(_drawn(rounds, runs, name, fars[name]))
        for far, x, y in zip(fars[name], low, high, strict=True):
            tar[f"{far:g}"] |= {"low": max(float(x), 0.0), "high": min(float(y), 1.0)}
        subsets[name] = {
            "tar": tar,
            **{key: interval_over_seeds([one[key] for one in own]) for key in ("eer", "auc")},
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
) -> dict[str, dict[str, float]]:
    """FAR -> mean difference of TAR, its 95 % interval over people and seeds, and the lesser seeds."""
    sides, means, seeds = [], [], []
    for name in (arm, reference):
        own = [run for run in runs if run["arm"] == name]
        sides.append(_drawn(rounds, own, subset, fars))
        seeds += [len(own)] if name != BEFORE else []
        means.append([np.mean([run["subsets"][subset]["tar"][f"{far:g}"] for run in own]) for far in fars])
    low, high = _interval(sides[0] - sides[1])
    return {
        f"{far:g}": {"mean": float(a - b), "low": float(x), "high": float(y), "seeds": min(seeds)}
        for far, a, b, x, y in zip(fars, *means, low, high, strict=True)
    }


def _drawn(
    rounds: Mapping[tuple[str, int, str], Rows],
    runs: Sequence[Mapping[str, Any]],
    subset: str,
    fars: Sequence[float],
) -> Rows:
    """(R * _DRAWS, F) mean TAR of one arm's runs with other people and other seeds.

    The people of a row are the same for all arms; the seeds are not.
    """
    arm = runs[0]["arm"]
    people = np.tile(np.mean([rounds[arm, run["seed"], subset] for run in runs], axis=0), (_DRAWS, 1))
    if len(runs) < 2:
        return people
    tar = [[run["subsets"][subset]["tar"][f"{far:g}"] for far in fars] for run in runs]
    error = np.std(tar, axis=0, ddof=1) / np.sqrt(len(runs))
    student = np.random.default_rng(crc32(arm.encode())).standard_t(len(runs) - 1, (len(people), 1))
    found: Rows = people + student * error
    return found


def _interval(drawn: Rows) -> tuple[Rows, Rows]:
    """2.5 and 97.5 % points of each column."""
    if not drawn.shape[1]:
        return np.empty(0), np.empty(0)
    low, high = np.nanpercentile(drawn, [2.5, 97.5], axis=0)
    return low, high


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
    prepared: Prepared, pairs: Pairs, scores: Mapping[str, Sequence[NDArray[np.float32]]]
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
