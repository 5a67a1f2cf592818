"""A protocol of which no photo of a gallery has an embedding says which one, and why."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from facerec_cli.embeddings.table import ModelInfo
from facerec_cli.errors import InputError
from facerec_cli.identify.evaluate import measure
from facerec_cli.identify.settings import IdentifySettings
from facerec_cli.protocols.protocol import SearchProtocol, SearchTrial
from facerec_cli.verify.photo_vectors import PhotoVectors


@pytest.mark.parametrize("leave_one_out", [False, True])
def test_the_trial_and_a_reason_are_named(leave_one_out: bool) -> None:
    names = ("a.jpg", "b.jpg", "c.jpg")
    trial = SearchTrial("G2", np.array([0]), np.array([1, 2]), leave_one_out=leave_one_out)
    protocol = SearchProtocol(tuple(map(Path, names)), names, ("Ann", "Bob"), np.array([0, 1, 1]), (trial,))
    embeddings = PhotoVectors(np.float32([[0, 0], [1, 0], [0, 1]]), {0: "no_face: none"}, ModelInfo())
    with pytest.raises(
        InputError, match=r"gallery of mine \(G2\) has an embedding; the first: no_face: none"
    ):
        measure("mine", protocol, embeddings, IdentifySettings())


def test_a_set_of_pairs_of_which_one_photo_is_left_is_not_compared() -> None:
    names = ("a.jpg", "b.jpg", "c.jpg")
    trial = SearchTrial("trial 1", np.array([0]), np.array([1]), verification=np.array([0, 2]))
    protocol = SearchProtocol(tuple(map(Path, names)), names, ("Ann", "Bob"), np.array([0, 0, 1]), (trial,))
    embeddings = PhotoVectors(np.float32([[1, 0], [1, 0], [0, 0]]), {2: "no_face: none"}, ModelInfo())
    measured = measure("mine", protocol, embeddings, IdentifySettings())
    assert measured.trials[0].verification is None
    assert measured.trials[0].search.outcomes.rank.tolist() == [1]
