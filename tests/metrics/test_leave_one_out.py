"""Searches among distractors against plain loops, with ties, failures and people of one photo."""

from __future__ import annotations

import numpy as np
import pytest

from facerec_cli.errors import InputError
from facerec_cli.metrics import leave_one_out, searches
from facerec_cli.metrics.identification import evaluate_leave_one_out


def plain(scores, mates, identity, failed):
    """(probe, mate's score, rank, ties) of each search, and how many cannot be made."""
    found, missed = [], 0
    for b in range(len(identity)):
        for a in range(len(identity)):
            if a != b and identity[a] == identity[b]:
                if failed[a] or failed[b]:
                    missed += 1
                    continue
                others, mate = scores[b], mates[b, a]
                rank, ties = 1 + int((others >= mate).sum()), int((others == mate).sum())
                found.append((b, mate, rank, ties))
    return sorted(found), missed


@pytest.mark.parametrize("tile", [(512, 2048), (64, 64)])
def test_searches_equal_those_of_plain_loops(tile, monkeypatch):
    for module in (searches, leave_one_out):
        monkeypatch.setattr(module, "ROWS", tile[0])
        monkeypatch.setattr(module, "COLUMNS", tile[1])
    random = np.random.default_rng(0)
    identity = np.append(random.integers(0, 12, 150), [5] * 80 + [99])
    # Vectors of four signs have cosines that are exact, and many equal ones.
    signs = random.choice([-1.0, 1.0], (len(identity) + 300, 4)).astype(np.float32)
    probes, distractors = signs[: len(identity)], signs[len(identity) :]
    failures = {
        "failed_distractors": random.random(300) < 0.2,
        "failed_probes": random.random(len(probes)) < 0.1,
    }
    asked = {"ranks": (1, 30, 60, 100)}
    found = evaluate_leave_one_out(distractors, probes, identity, **failures, **asked)
    scores = probes @ distractors[~failures["failed_distractors"]].T / 4
    expected, missed = plain(scores, probes @ probes.T / 4, identity, failures["failed_probes"])
    out = found.outcomes
    made = zip(found.searches.made, out.mate, out.rank, out.ties, strict=True)
    assert sorted((int(b), float(s), int(r), int(t)) for b, s, r, t in made) == expected
    np.testing.assert_array_equal(out.best, scores.max(axis=1)[found.searches.made])
    assert (found.counts.mated, found.counts.mated_failed) == (len(expected) + missed, missed)
    assert found.counts.mated_people == 12
    for point in found.cmc:
        assert point.hits == sum(rank <= point.rank for _, _, rank, _ in expected)
        assert point.rate_with_failures == point.hits / (len(expected) + missed)
    assert found.document()["rule"].startswith("leave one out")
    assert found.tpir_at_fpir == ()


def test_a_model_that_gives_everybody_one_vector_finds_nobody():
    one = np.tile(np.random.default_rng(0).normal(size=129), (700, 1)).astype(np.float32)
    found = evaluate_leave_one_out(one[:600], one[600:], np.arange(100) // 4)
    assert [point.hits for point in found.cmc] == [0] * 5 and found.tied == 300


def test_what_cannot_be_measured_is_refused():
    x = np.eye(3, dtype=np.float32)
    with pytest.raises(InputError, match="gallery is empty"):
        evaluate_leave_one_out(x[:0], x, [0, 0, 1])
    with pytest.raises(InputError, match="people are numbers from 0"):
        evaluate_leave_one_out(x, x, [0, 0, -1])
    assert evaluate_leave_one_out(x, x, [0, 1, 2]).cmc[0].rate is None
