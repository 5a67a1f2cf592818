"""How often the intervals of TPIR at FPIR hold: Wilson's, and those of the bootstrap over people.

    facerec embed ../shared/lfw/images --faces main -o SCRATCH/lfw.npz
    python benchmarks/search_intervals.py SCRATCH/lfw.npz

In each of some galleries 1,000 people are enrolled with one photo each; what all other photos, at most ten a
person, give there is taken for the truth. Then people of both kinds of searches are drawn anew, again and
again, and it is counted how often the interval of what they give holds the truth. Pairs of people above
``--bound`` are left out, since they are rather one person.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facerec_cli.embeddings.read import open_table
from facerec_cli.metrics.doubtful import doubtful_people
from facerec_cli.metrics.identification import evaluate_identification
from facerec_cli.metrics.identification_bootstrap import bootstrap_tpir
from facerec_cli.metrics.identification_counting import accepted_scores, least_threshold
from facerec_cli.metrics.roc import wilson_interval

FPIRS = (0.01, 0.1)
SIZES = ((50, 400), (150, 700), (500, 1500))  # people of mated and of non-mated searches
ENROLLED, MOST_PHOTOS = 1000, 10


def main() -> None:
    """Print a row for each size and rate."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("embeddings", type=Path, help="of photos in a folder a person")
    parser.add_argument("--bound", type=float, default=0.55)
    parser.add_argument("--galleries", type=int, default=5)
    parser.add_argument("--draws", type=int, default=100, help="of each gallery and size")
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    random = np.random.default_rng(args.seed)
    shares = np.zeros((len(SIZES), len(FPIRS), 4))
    for _ in range(args.galleries):
        known, strangers, truth = searches(args.embeddings, args.bound, random)
        for share, size in zip(shares, SIZES, strict=True):
            share += held(known, strangers, truth, size, (args.draws, args.rounds), random)
    names = ("bootstrap holds", "bootstrap width", "wilson holds", "wilson width")
    rows = [
        {"mated people": size[0], "strangers": size[1], "fpir": fpir}
        | {name: round(float(value), 4) for name, value in zip(names, values, strict=True)}
        for size, share in zip(SIZES, shares / args.galleries, strict=True)
        for fpir, values in zip(FPIRS, share, strict=True)
    ]
    for row in rows:
        print(row)
    if args.json:
        args.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


def searches(
    path: Path, bound: float, random: np.random.Generator
) -> tuple[list[NDArray[np.float32]], list[NDArray[np.float32]], dict[float, float]]:
    """The scores of each enrolled person's searches, those of each stranger's, and TPIR at each FPIR."""
    table = open_table(path)
    vectors = np.asarray(table.vectors)
    person = np.unique([Path(name).parent.name for name in table.paths], return_inverse=True)[1]
    doubted = [(pair.first, pair.second) for pair in doubtful_people(vectors, person, bound, limit=10_000)]
    photos = random.permutation(np.flatnonzero(~np.isin(person, doubted)))
    people, counts = np.unique(person[photos], return_counts=True)
    enrolled = random.permutation(people[counts > 1])[:ENROLLED]
    order = photos[np.argsort(person[photos], kind="stable")]
    number = np.arange(len(order)) - np.searchsorted(person[order], person[order])
    gallery = order[np.isin(person[order], enrolled) & (number == 0)]
    probes = np.setdiff1d(order[number <= MOST_PHOTOS], gallery)
    found = evaluate_identification(
        vectors[gallery], person[gallery], vectors[probes], person[probes], fpirs=FPIRS
    )
    mated, who = found.outcomes.mated, found.searches.identity
    known = by_person(accepted_scores(found.outcomes), who[mated])
    strangers = by_person(found.outcomes.best[~mated], who[~mated])
    return known, strangers, {point.fpir: point.tpir or 0.0 for point in found.tpir_at_fpir}


def by_person(scores: NDArray[np.float32], who: NDArray[np.int64]) -> list[NDArray[np.float32]]:
    """The scores of each person's searches."""
    return [scores[who == person] for person in np.unique(who)]


def held(
    known: list[NDArray[np.float32]],
    strangers: list[NDArray[np.float32]],
    truth: dict[float, float],
    size: tuple[int, int],
    draws_and_rounds: tuple[int, int],
    random: np.random.Generator,
) -> NDArray[np.float64]:
    """(FPIRs, 4) the share of draws in which each interval holds the truth, and how wide it is."""
    draws, rounds = draws_and_rounds
    sums = np.zeros((len(FPIRS), 4))
    for draw in range(draws):
        sides = []
        for people, count in zip((known, strangers), size, strict=True):
            drawn = [people[i] for i in random.integers(0, len(people), count)]
            sides.append((np.concatenate(drawn), np.repeat(np.arange(count), [len(s) for s in drawn])))
        (mates, first), (others, second) = sides
        intervals = bootstrap_tpir(mates, others, (first, second), fpirs=FPIRS, rounds=rounds, seed=draw)
        for row, interval in zip(sums, intervals, strict=True):
            threshold = least_threshold(interval.far, others, mates)
            wilson = wilson_interval(int((mates >= threshold).sum()), len(mates))
            ends = ((interval.low or 0.0, interval.high or 0.0), wilson)
            row += [x for low, high in ends for x in (low <= truth[interval.far] <= high, high - low)]
    return sums / draws


if __name__ == "__main__":
    main()
