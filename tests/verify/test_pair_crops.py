"""The crops of a list: read or cut, and scored by the embeddings of an encoder."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from facerec_cli.pairs.pairlist import PairList
from facerec_cli.verify.pair_crops import PairCrops, cut_main_faces, evaluate_crops


def encoded(value: int, side: int = 112) -> bytes:
    return cv2.imencode(".png", np.full((side, side, 3), (value, 0, 0), np.uint8))[1].tobytes()


def test_pairs_fail_whose_photos_are_missing_or_whose_embeddings_are_not_finite():
    index = np.arange(40)
    listed = PairList(index, (index + 1) % 40, index % 2 == 0)
    missing = np.zeros(40, bool)
    missing[3] = True
    crops = PairCrops("x", listed, np.zeros((40, 1, 1, 3), np.uint8), missing)
    embeddings = np.ones((40, 2), np.float32)
    embeddings[8] = np.nan
    scored = evaluate_crops(crops, embeddings, (0.1,))
    counts = scored.evaluation.pairs
    assert (counts.failed_genuine, counts.failed_impostor) == (2, 2)
    assert np.flatnonzero(scored.scores == 0).tolist() == [2, 3, 7, 8]
    assert scored.scores[0] == pytest.approx(1)


def test_an_aligned_photo_is_its_own_crop_and_a_broken_one_is_missing():
    from facerec_cli.faces import open_model

    model = open_model(device="cpu", threads=1, detector=False)
    crops, missing = cut_main_faces([encoded(30), b"no photo"], model, aligned=True)
    assert missing.tolist() == [False, True]
    assert (crops[0] == (30, 0, 0)).all() and not crops[1].any()
