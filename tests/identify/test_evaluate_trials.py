"""Trials of a protocol: without the people who look like one, and with photos that are enrolled in turn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from facerec_cli.embeddings.table import ModelInfo
from facerec_cli.identify.evaluate import measure
from facerec_cli.identify.settings import IdentifySettings
from facerec_cli.metrics.identification import evaluate_identification, evaluate_leave_one_out
from facerec_cli.protocols.protocol import SearchProtocol, SearchTrial
from facerec_cli.verify.photo_vectors import PhotoVectors

PEOPLE = 60


def made(leave_one_out: bool = False):
    """Four photos of each of 60 people, of whom 7 and 40 are one and 40 is a stranger."""
    random = np.random.default_rng(0)
    identity = np.repeat(np.arange(PEOPLE), 4)
    centers = random.normal(size=(PEOPLE, 32))
    centers[40] = centers[7]
    vectors = (centers[identity] + 0.5 * random.normal(size=(len(identity), 32))).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    photos = np.arange(len(identity))
    known, first = identity < 30, photos % 4 == 0
    if leave_one_out:
        trial = SearchTrial("1", photos[~known], photos[known], leave_one_out=True)
        identity = np.where(known, identity, -1)
    else:
        trial = SearchTrial("1", photos[known & first], photos[~(known & first)])
    names = tuple(f"{i}.jpg" for i in photos)
    protocol = SearchProtocol(
        tuple(map(Path, names)),
        names,
        tuple(f"P{i}" for i in range(PEOPLE)),
        identity,
        (trial,),
        format="csv",
    )
    return protocol, PhotoVectors(vectors, {}, ModelInfo()), trial


def test_people_who_look_like_one_are_named_and_left_out_once_more():
    protocol, embeddings, trial = made()
    outcome = measure("made", protocol, embeddings, IdentifySettings(fpir=(0.05,)))
    assert [pair[:2] for pair in outcome.alike] == [("P7", "P40")]
    vectors, identity = embeddings.vectors, protocol.identity
    kept = [items[~np.isin(identity[items], [7, 40])] for items in (trial.gallery, trial.probes)]
    (without,) = outcome.without_alike
    assert (without.counts.people, without.counts.mated) == (29, 29 * 3)
    expected = evaluate_identification(
        vectors[kept[0]], identity[kept[0]], vectors[kept[1]], identity[kept[1]], fpirs=(0.05,)
    )
    assert without == expected
    (figure,) = (
        f for f in outcome.document()["without_alike_people"]["over_trials"] if f["figure"] == "tpir"
    )
    assert figure["mean"] == expected.point(0.05).tpir
    assert figure["mean"] > outcome.trials[0].search.point(0.05).tpir


def test_photos_that_are_enrolled_in_turn_are_searched_for():
    protocol, embeddings, trial = made(leave_one_out=True)
    outcome = measure("made", protocol, embeddings, IdentifySettings())
    vectors = embeddings.vectors
    expected = evaluate_leave_one_out(
        vectors[trial.gallery], vectors[trial.probes], protocol.identity[trial.probes]
    )
    assert outcome.trials[0].search == expected
    assert expected.counts.mated == 30 * 4 * 3 and 0.5 < expected.cmc[0].rate <= 1
    counts = outcome.trials[0].verification.pairs
    assert (counts.genuine, counts.impostor) == (30 * 6, 120 * 120)
    assert outcome.document()["trials"][0]["cmc"][0]["hits"] == expected.cmc[0].hits


@pytest.mark.parametrize("share", [0.0, 0.1])
def test_nothing_is_left_out_where_nobody_looks_like_another(share):
    protocol, embeddings, _ = made()
    vectors = np.random.default_rng(1).normal(size=embeddings.vectors.shape).astype(np.float32)
    reasons = dict.fromkeys(range(int(share * len(vectors))), "no_face: none")
    outcome = measure("made", protocol, PhotoVectors(vectors, reasons, ModelInfo()), IdentifySettings())
    assert outcome.without_alike == () and "without_alike_people" not in outcome.document()
