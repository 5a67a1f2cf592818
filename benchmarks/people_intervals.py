"""How often does an interval of FAR over people have the true rate in it, and how often has Wilson's?

    python benchmarks/people_intervals.py --simulations 400 --json benchmarks/results/people_intervals.json

Made-up scores of all pairs of some people's photos. A score has parts of the people (some look like many),
of the two people together (some look like each other), of the photos, and chance, with the shares of
variance in each row; the threshold is the one at which strangers have the FAR that is asked for. So the true
rate is known.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import NormalDist, median

import numpy as np

from facerec_cli.metrics.people_interval import of_two_people
from facerec_cli.metrics.roc import wilson_interval

#: People, and photos of each: so many, or drawn (most have few, some up to 30).
SETS = ((20, 10), (80, 5), (80, None), (300, 1))
#: Shares of the variance: people, two people together, photos; the rest is chance.
SHARES = ((0.0, 0.0, 0.0), (0.1, 0.1, 0.05), (0.1, 0.4, 0.1), (0.2, 0.2, 0.1))
FARS = (0.01, 0.001)


def scores(
    random: np.random.Generator, photos: np.ndarray, shares: tuple[float, float, float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores of all pairs of two people, of variance 1, and who is on both sides."""
    who = np.repeat(np.arange(photos.size), photos)
    own = random.normal(size=photos.size)[who] * np.sqrt(shares[0] / 2)
    own += random.normal(size=who.size) * np.sqrt(shares[2] / 2)
    first, second = np.triu_indices(who.size, 1)
    first, second = (side[who[first] != who[second]] for side in (first, second))
    a, b = who[first], who[second]
    alike = random.normal(size=photos.size**2)[a * photos.size + b] * np.sqrt(shares[1])
    chance = random.normal(size=a.size) * np.sqrt(1 - sum(shares))
    return own[first] + own[second] + alike + chance, a, b


def main() -> None:
    """Print a row for each set of people, rate and way in which pairs share people."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--simulations", type=int, default=400)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    results = []
    for people, each in SETS:
        for far in FARS:
            threshold = NormalDist().inv_cdf(1 - far)
            for shares in SHARES:
                random = np.random.default_rng(
                    [people, each or 0, int(1 / far), *(int(100 * s) for s in shares)]
                )
                inside, widths = {"people": 0, "wilson": 0}, {"people": [], "wilson": []}
                for _ in range(given.simulations):
                    drawn = np.minimum(random.geometric(0.35, people), 30)
                    score, a, b = scores(random, np.full(people, each) if each else drawn, shares)
                    accepted = score >= threshold
                    wilson = wilson_interval(int(accepted.sum()), accepted.size)
                    intervals = of_two_people(accepted, a, b).interval(), wilson
                    for name, (low, high) in zip(inside, intervals, strict=True):
                        inside[name] += low <= far <= high
                        widths[name].append(high - low)
                width = {name: round(median(widths[name]) / far, 3) for name in widths}
                row = {
                    "people": people,
                    "photos_each": each or "1 to 30",
                    "far": far,
                    "shares": shares,
                    "simulations": given.simulations,
                    **{f"{name}_covers": hits / given.simulations for name, hits in inside.items()},
                    **{f"{name}_width_over_far": value for name, value in width.items()},
                }
                print(json.dumps(row), flush=True)
                results.append(row)
    for name in ("people", "wilson"):
        covers = [row[f"{name}_covers"] for row in results]
        print(f"{name}: covers {min(covers):.3f} to {max(covers):.3f}, in the middle {median(covers):.3f}")
    if given.json:
        given.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
