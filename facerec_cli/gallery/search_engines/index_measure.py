"""What an index costs: people who are held out are searched for exactly and through it.

Of the people that are drawn, one half stays enrolled: one face of each is searched for among templates that
it is not part of. The other half is taken out of the gallery, and a face of each is a stranger's. Both kinds
of errors change: an index loses mates, and it hides false positives.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerec_cli.gallery.enrolled import EnrolledPeople
from facerec_cli.gallery.search_engines.codes import Codes, take
from facerec_cli.gallery.search_engines.index_file import live_rows
from facerec_cli.gallery.search_engines.scan import CodeScan
from facerec_cli.metrics.roc import accepted_at_most, threshold_between
from facerec_cli.metrics.scores import Vectors
from facerec_cli.metrics.search import top_k
from facerec_cli.progress import Progress, silent

LADDER = (50, 100, 200, 500, 1000, 2000)
"""Numbers of candidates that are tried."""

Faces = Callable[[int], Vectors]
"""Gives the (F, D) float32 embeddings of the faces of a person, a number of ``EnrolledPeople.names``."""

_FPIR = 0.01  # where no threshold is given
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class IndexMeasurement:
    """What an index finds of what an exact search finds, with one number of candidates.

    Attributes:
        candidates: How many were compared exactly.
        people: N, how many were enrolled.
        mated: Searches for people who were enrolled.
        strangers: Searches for people who were not.
        k: How long lists were.
        first_mated: Share of the mated searches with the right first person, i.e. that of an exact search.
        first_strangers: Share of the others likewise: the nearest of people who are all other people.
        listed: Share of the first ``k`` of the exact lists that are in those of the index.
        threshold: From which score on a person is named.
        threshold_source: What it is.
        named_exact: Mated searches in which an exact search names the mate (TPIR x mated).
        named_index: The same through the index.
        false_exact: Strangers whom an exact search names somebody (FPIR x strangers).
        false_index: The same through the index; fewer, since an index hides some.
    """

    candidates: int
    people: int
    mated: int
    strangers: int
    k: int
    first_mated: float | None
    first_strangers: float | None
    listed: float
    threshold: float
    threshold_source: str
    named_exact: int
    named_index: int
    false_exact: int
    false_index: int

    @property
    def first(self) -> float:
        """Share of all searches with the first person of an exact one."""
        shares = ((self.first_mated, self.mated), (self.first_strangers, self.strangers))
        return sum(share * count for share, count in shares if share is not None) / (
            self.mated + self.strangers
        )

    def document(self) -> dict[str, Any]:
        """Plain JSON."""
        return dataclasses.asdict(self)


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """A gallery with people held out, and the searches for them.

    Attributes:
        blocks: The templates, and behind them those of mates without the face that is searched for.
        live: (R,) bool, which rows are enrolled.
        probes: (M, D) float32, mated ones first.
        mates: The row of the mate of each mated probe.
    """

    blocks: tuple[Vectors, ...]
    live: NDArray[np.bool_]
    probes: Vectors
    mates: NDArray[np.int64]


def hold_out(people: EnrolledPeople, faces: Faces | None, probes: int, seed: int = 0) -> HeldOut:
    """Draw people, and hold a face of each out.

    Args:
        people: Who is enrolled.
        faces: Their faces; without them all that are drawn are searched for as strangers, by their template.
        probes: How many are drawn at most; half of all people at most.
        seed: Of the draw.
    """
    random = np.random.default_rng(seed)
    rows = live_rows(people)
    drawn = random.permutation(rows)[: max(1, min(probes, len(rows) // 2))]
    live = people.person >= 0
    live[drawn] = False
    mated: list[Vectors] = []
    patch: list[Vectors] = []
    strange: list[Vectors] = []
    for turn, row in enumerate(drawn.tolist()):
        own = faces(int(people.person[row])) if faces is not None else take(people.templates, np.array([row]))
        one = int(random.integers(len(own)))
        if turn % 2 and len(own) > 1:
            mean = np.delete(own, one, axis=0).mean(axis=0)
            mated.append(own[one])
            patch.append(mean / max(float(np.linalg.norm(mean)), 1e-12))
        else:
            strange.append(own[one])
    blocks = people.templates
    if patch:
        blocks = (*blocks, np.asarray(patch, np.float32))
    live = np.append(live, np.ones(len(patch), bool))
    mates = np.arange(len(live) - len(patch), len(live))
    return HeldOut(blocks, live, np.asarray(mated + strange, np.float32), mates)


def measure(
    people: EnrolledPeople,
    codes: Codes,
    held: HeldOut,
    tried: Sequence[int] = LADDER,
    *,
    enough: float = 1.0,
    k: int = 10,
    threshold: float | None = None,
    source: str = "given",
    progress: Progress = silent,
) -> list[IndexMeasurement]:
    """What is found with each number of candidates, until it is enough.

    Args:
        people: Who is enrolled.
        codes: Of their templates, in the order of rows.
        held: From :func:`hold_out`.
        tried: Numbers of candidates, few first.
        enough: Share of searches with the right first person that is wished for.
        k: How long lists are.
        threshold: From which score on a person is named; None takes the one at which an exact search names
            1 % of the strangers that were drawn.
        source: What the threshold is.
        progress: Told the searches done.
    """
    exact, scores = top_k(held.blocks, held.probes, k, live=held.live, progress=progress)
    mated = len(held.mates)
    if threshold is None:
        threshold = _threshold(scores[mated:, 0])
        source = "FPIR 1 % of the people who were held out"
    kept = held.live[: len(people.person)][live_rows(people)]
    packed = [codes.codes[kept]]
    if mated:
        packed.append(codes.encode(held.blocks[-1]))
    scan = CodeScan(
        Codes(codes.dimensions, codes.pairs, np.concatenate(packed)), np.flatnonzero(held.live), held.blocks
    )
    named = _named(exact, scores, held.mates, threshold)
    measured = []
    for count in tried:
        found, values = scan.search(held.probes, k, count)
        same = values[:, 0] >= scores[:, 0] - _ROUNDING  # of equal scores another row is as good
        through = _named(found, values, held.mates, threshold)
        in_list = values >= scores[:, min(k, int(held.live.sum())) - 1, None] - _ROUNDING
        measured.append(
            IndexMeasurement(
                candidates=count,
                people=int(held.live.sum()),
                mated=mated,
                strangers=len(same) - mated,
                k=k,
                first_mated=float(same[:mated].mean()) if mated else None,
                first_strangers=float(same[mated:].mean()) if len(same) > mated else None,
                listed=float((in_list & (found >= 0)).sum() / max(1, (exact >= 0).sum())),
                threshold=threshold,
                threshold_source=source,
                named_exact=named[0],
                named_index=through[0],
                false_exact=named[1],
                false_index=through[1],
            )
        )
        if measured[-1].first >= enough:
            break
    return measured


def _threshold(best: NDArray[np.float32]) -> float:
    """From which score on 1 % of strangers are named, by the best score of each, at least one."""
    scores = np.sort(best)
    above = min(accepted_at_most(_FPIR, len(scores)), len(scores) - 1)
    rejected, following = scores[-1 - above], np.append(scores, np.float32(2))[len(scores) - above]
    return threshold_between(float(rejected), float(following), np.float32)


def _named(
    rows: NDArray[np.int64], scores: NDArray[np.float32], mates: NDArray[np.int64], threshold: float
) -> tuple[int, int]:
    """Mated searches that end with the mate's name, and strangers who get a name."""
    named = scores[:, 0] >= threshold
    right = rows[: len(mates), 0] == mates
    return int((named[: len(mates)] & right).sum()), int(named[len(mates) :].sum())
