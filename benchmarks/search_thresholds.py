"""How many strangers get a name, and how often the interval that facerec states for it holds.

    python models/measure_impostor_tails.py ../shared/lfw/images --keep SCRATCH
    python benchmarks/search_thresholds.py SCRATCH/sface.npz --json benchmarks/results/search_thresholds.json

Each draw divides the people of a folder-a-person data set: one part gives the impostor tail, the others a
gallery of N people, strangers to calibrate with, and the strangers who then meet the threshold, one photo
each. It comes from that tail, from the gallery's own searches (one photo a person), from the strangers to
calibrate with, or from what ``choose_search_threshold`` takes of the first two. ``--faces`` enrolls that
many photos a person, of those who have them. People of doubtful names (docs/search/lfw_doubtful.csv) are
left out; in other rows they are enrolled and searched for, though never in the tail.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facerec_cli.embeddings.read import open_table
from facerec_cli.metrics.impostor_pairs import measure_impostor_tail
from facerec_cli.metrics.impostor_tail import for_templates
from facerec_cli.metrics.search_threshold import (
    SearchThreshold,
    choose_search_threshold,
    from_searches,
    from_tail,
)

DOUBTFUL = Path(__file__).resolve().parents[1] / "docs" / "search" / "lfw_doubtful.csv"
SIZES = {100: (2500, 500), 1000: (2500, 500), 4000: (150, 300)}
"""People of the gallery: people whose tail is measured, and strangers to calibrate with; the rest meet it."""
FPIRS = (0.1, 0.01, 0.003)

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Met:
    """One threshold of one draw, and what strangers met.

    Attributes:
        threshold: As it was stated.
        fpir: The share of the strangers who got a name.
        strangers: How many there were.
    """

    threshold: SearchThreshold
    fpir: float
    strangers: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """All draws of one kind.

    Attributes:
        people: Enrolled, N.
        faces: Photos a person, at most.
        doubtful: Whether people of doubtful names took part.
        source: What the threshold rests on.
        wished: FPIR that was asked for.
        draws: How many.
        stated: Draws that state an interval.
        covered: Those whose interval holds what the strangers met.
        met: Mean share of strangers who got a name, over all draws with a threshold.
        spread: Its standard deviation over the draws.
        expected: Mean of what was stated.
        low: Mean lower end of the interval.
        high: Mean upper end.
        threshold: Mean threshold.
        strangers: How many met it.
    """

    people: int
    faces: int
    doubtful: bool
    source: str
    wished: float
    draws: int
    stated: int
    covered: int
    met: float
    spread: float
    expected: float
    low: float
    high: float
    threshold: float
    strangers: int


def templates(
    vectors: Vectors, rows_of: list[NDArray[np.int64]], who: NDArray[np.int64], most: int
) -> Vectors:
    """One unit vector a person, the mean of at most ``most`` photos."""
    if most == 1:
        return vectors[[rows_of[person][0] for person in who]]
    sums = np.array([vectors[rows_of[person][:most]].mean(axis=0) for person in who])
    return np.asarray(sums / np.linalg.norm(sums, axis=1, keepdims=True), np.float32)


def draw(
    vectors: Vectors,
    rows_of: list[NDArray[np.int64]],
    clean: NDArray[np.bool_],
    size: int,
    most: int,
    random: np.random.Generator,
) -> Iterator[tuple[str, float, Met]]:
    """One division of the people, ``clean`` or of doubtful names: source, wished FPIR and what met it."""
    rows_of = [random.permutation(rows) for rows in rows_of]
    order = random.permutation(len(rows_of))
    for_tail, enrolled, known, strangers = np.split(order, np.cumsum([SIZES[size][0], size, SIZES[size][1]]))
    for_tail = for_tail[clean[for_tail]]
    rows = np.concatenate([rows_of[person] for person in for_tail])
    identity = np.repeat(np.arange(len(for_tail)), [len(rows_of[person]) for person in for_tail])
    tail = measure_impostor_tail(vectors[rows], identity, data="other people")
    faces = np.array([min(most, len(rows_of[person])) for person in enrolled])
    gallery = templates(vectors, rows_of, enrolled, most)
    scores = templates(vectors, rows_of, enrolled, 1) @ gallery.T
    np.fill_diagonal(scores, -1)
    own = scores.max(axis=1)
    outside, met = (
        (templates(vectors, rows_of, who, 1) @ gallery.T).max(axis=1) for who in (known, strangers)
    )
    for fpir in FPIRS:
        made: dict[str, Callable[[], SearchThreshold]] = {
            "impostor tail": lambda f=fpir: from_tail(for_templates(tail, faces), size, f),  # type: ignore[misc]
            "own searches": lambda f=fpir: choose_search_threshold(  # type: ignore[misc]
                f, size, own=own, tail=tail, faces=faces
            ),
            "outsiders": lambda f=fpir: from_searches(outside, size, f, source="outsiders"),  # type: ignore[misc]
        }
        for source, make in made.items():
            found = make()
            if found.value is not None and found.source == source:
                yield source, fpir, Met(found, float((met >= found.value).mean()), len(met))
        found = made["own searches"]()
        assert found.value is not None
        yield "chosen", fpir, Met(found, float((met >= found.value).mean()), len(met))


def coverage(key: tuple[int, int, bool, str, float], draws: int, all_met: list[Met]) -> Coverage:
    """What the draws of one kind come to."""
    stated = [one for one in all_met if one.threshold.low is not None and one.threshold.high is not None]
    covered = sum((one.threshold.low or 0) <= one.fpir <= (one.threshold.high or 0) for one in stated)

    def mean(values: list[float]) -> float:
        return round(float(np.mean(values)), 6) if values else 0.0

    return Coverage(
        *key,
        draws=draws,
        stated=len(stated),
        covered=covered,
        met=mean([one.fpir for one in all_met]),
        spread=round(float(np.std([one.fpir for one in all_met])), 6),
        expected=mean([one.threshold.expected or 0 for one in all_met]),
        low=mean([one.threshold.low or 0 for one in stated]),
        high=mean([one.threshold.high or 0 for one in stated]),
        threshold=mean([one.threshold.value or 0 for one in all_met]),
        strangers=all_met[0].strangers,
    )


def line(one: Coverage) -> str:
    """A row of what is printed."""
    doubtful = "in " if one.doubtful else "out"
    who = f"{one.people:5} {one.faces:3}   {doubtful}     {one.source:14} {one.wished:5.1%}"
    stated = f"{one.low:6.2%} to {one.high:6.2%}  {one.covered} of {one.stated}" if one.stated else "none"
    return f"{who} {one.met:6.2%} +- {one.spread:5.2%}   {stated}  ({one.strangers:,} strangers)"


def main() -> None:
    """Draw, count and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("embeddings", help="file of facerec embed --faces main, of a folder a person")
    parser.add_argument("--draws", type=int, default=40)
    parser.add_argument("--faces", type=int, nargs="+", default=[1, 10])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write what was counted to this file")
    wanted = parser.parse_args()
    table = open_table(wanted.embeddings)
    assert table.paths is not None
    names, person = np.unique([Path(path).parent.name for path in table.paths], return_inverse=True)
    with DOUBTFUL.open(encoding="utf-8") as file:
        out = {name for row in csv.DictReader(file) for name in (row["name"], row["other_name"])}
    found = []
    print("   N faces doubtful source         wished  met +- sd over draws  stated interval  holds")
    for doubtful in (False, True):
        taken = [n for n, name in enumerate(names) if doubtful or name not in out]
        rows_of = [np.flatnonzero(person == n) for n in taken]
        clean = np.array([names[n] not in out for n in taken])
        for size in SIZES:
            for most in wanted.faces:
                met: dict[tuple[int, int, bool, str, float], list[Met]] = defaultdict(list)
                for seed in range(wanted.draws):
                    random = np.random.default_rng((wanted.seed, seed))
                    for source, fpir, one in draw(table.vectors, rows_of, clean, size, most, random):
                        met[size, most, doubtful, source, fpir].append(one)
                for key, every in met.items():
                    one = coverage(key, wanted.draws, every)
                    found.append(one)
                    print(line(one), flush=True)
    if wanted.json:
        settings = {"embeddings": table.model.name, "draws": wanted.draws, "seed": wanted.seed}
        document = {"settings": settings, "results": [asdict(one) for one in found]}
        wanted.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
