"""How often does ``facerec compare`` call two models different that are equally good?

    python benchmarks/paired_null.py --simulations 200 --json benchmarks/results/paired_null.json
    python benchmarks/paired_null.py --searches --json benchmarks/results/paired_null_searches.json

Pairs: made-up scores. People differ in how hard they are, both models share most of a pair's score, and each
adds noise of its own of the same size. Nothing distinguishes the models, so every verdict is a mistake.
Beside them two models of which one has more noise: how often is that seen?

Searches: made-up vectors, of 150 people with one enrolled photo and three probes each and of 150 strangers
with two. Both models share what is of a photo, and each adds noise of its own. FPIR none is rank 1.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from facerec_cli.metrics.identification import evaluate_identification
from facerec_cli.metrics.identification_figures import IdentificationEvaluation
from facerec_cli.metrics.paired import compare_scores
from facerec_cli.metrics.paired_searches import compare_searches

DIMENSIONS = 64


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


def draw_searches(
    random: np.random.Generator, noise: tuple[float, float], people: int
) -> tuple[list[IdentificationEvaluation], np.ndarray]:
    """What two models find, and who each search is for."""
    identity = np.concatenate([np.arange(people), np.repeat(np.arange(people), 3)])
    identity = np.concatenate([identity, np.repeat(people + np.arange(people), 2)])
    hard = np.exp(random.normal(size=2 * people) * 0.25)[identity, None]
    photos = random.normal(size=(2 * people, DIMENSIONS))[identity]
    photos += random.normal(size=photos.shape) * 0.9 * hard
    found = []
    for size in noise:
        vectors = (photos + random.normal(size=photos.shape) * size * hard).astype(np.float32)
        found.append(
            evaluate_identification(
                vectors[:people],
                identity[:people],
                vectors[people:],
                identity[people:],
                fpirs=(0.1, 0.01),
                ranks=(1,),
            )
        )
    return found, identity[people:][found[0].searches.made]


def main() -> None:
    """Print a row for each rate and kind of models."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--simulations", type=int, default=200)
    parser.add_argument("--people", type=int, default=150)
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--searches", action="store_true", help="searches instead of pairs")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    results = []
    for rate in (0.1, None) if given.searches else (0.01, 0.001):
        for noise in ((0.5, 0.5), (0.5, 0.8)):
            row = {
                "fpir" if given.searches else "far": rate,
                "noise": noise,
                "simulations": given.simulations,
                "people": given.people,
                "rounds": given.rounds,
                **count(given, rate, noise),
            }
            print(json.dumps(row), flush=True)
            results.append(row)
    if given.json:
        given.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def count(given: argparse.Namespace, rate: float | None, noise: tuple[float, float]) -> dict[str, object]:
    """The verdicts over all simulations, and how often McNemar's test alone would call a difference."""
    verdicts = ("first is better", "second is better", "no difference shown", "not measurable")
    called, mcnemar = dict.fromkeys(verdicts, 0), 0
    for seed in range(given.simulations):
        random = np.random.default_rng([seed, 2 if rate is None else int(1 / rate)])
        if given.searches:
            found, who = draw_searches(random, noise, given.people)
            if rate is None:  # rank 1 decides where nothing else is measured
                found = [replace(one, tpir_at_fpir=()) for one in found]
            compared = compare_searches(
                [[one] for one in found], [who], fpir=rate, rounds=given.rounds, seed=seed
            )
            pair = compared.pairs[0]
        else:
            scores, same, sides = draw(random, noise, given.people)
            pair = compare_scores(
                scores, same, sides, far=rate, fars=(rate,), rounds=given.rounds, seed=seed
            ).pairs[0]
        called[pair.verdict] += 1
        mcnemar += pair.mcnemar is not None and pair.mcnemar.p < 0.05
    return {"verdicts": called, "mcnemar_p_below_0.05": mcnemar}


if __name__ == "__main__":
    main()
