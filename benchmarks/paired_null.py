"""How often does ``facerec compare`` call two models different that are equally good?

    python benchmarks/paired_null.py --simulations 200 --json benchmarks/results/paired_null.json

Made-up scores: people differ in how hard they are, both models share most of a pair's score, and each adds
noise of its own of the same size. Nothing distinguishes the models, so every verdict is a mistake.
Beside them two models of which one has more noise: how often is that seen?
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from facerec_cli.metrics.paired import compare_scores


def draw(
    random: np.random.Generator, noise: tuple[float, float], people: int
) -> tuple[list[np.ndarray], np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Scores of two models, labels and people of 6 genuine and 40 impostor pairs a person."""
    hard = random.normal(size=people) * 0.5
    genuine = random.integers(0, people, 6 * people)
    first = random.integers(0, people, 40 * people)
    second = (first + random.integers(1, people, len(first))) % people
    same = np.repeat([True, False], [len(genuine), len(first)])
    sides = np.concatenate([genuine, first]), np.concatenate([genuine, second])
    level = np.where(same, 3.2 + hard[sides[0]], 0.5 * hard[sides[0]] * hard[sides[1]])
    common = level + random.normal(size=len(same)) * 0.7
    return [common + random.normal(size=len(same)) * size for size in noise], same, sides


def main() -> None:
    """Print a row for each rate and kind of models."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--simulations", type=int, default=200)
    parser.add_argument("--people", type=int, default=150)
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    results = []
    for far in (0.01, 0.001):
        for noise in ((0.5, 0.5), (0.5, 0.8)):
            called = {
                "first is better": 0,
                "second is better": 0,
                "no difference shown": 0,
                "not measurable": 0,
            }
            mcnemar = 0
            for seed in range(given.simulations):
                random = np.random.default_rng([seed, int(1 / far)])
                scores, same, sides = draw(random, noise, given.people)
                compared = compare_scores(
                    scores, same, sides, far=far, fars=(far,), rounds=given.rounds, seed=seed
                )
                pair = compared.pairs[0]
                called[pair.verdict] += 1
                mcnemar += pair.mcnemar is not None and pair.mcnemar.p < 0.05
            row = {"far": far, "noise": noise, "simulations": given.simulations, "people": given.people,
                   "rounds": given.rounds, "verdicts": called, "mcnemar_p_below_0.05": mcnemar}  # fmt: skip
            print(json.dumps(row), flush=True)
            results.append(row)
    if given.json:
        given.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
