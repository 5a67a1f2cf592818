"""The crops of a list: read or cut, and scored by the embeddings of an encoder."""

from __future__ import annotations

import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest

from facerec_cli.errors import InputError
from facerec_cli.pairs.pairlist import PairList
from facerec_cli.verify.pair_crops import PairCrops, cut_main_faces, evaluate_crops, read_pair_crops


def encoded(value: int, side: int = 112) -> bytes:
    return cv2.imencode(".png", np.full((side, side, 3), (value, 0, 0), np.uint8))[1].tobytes()


def a_bin(folder: Path, *images: bytes) -> str:
    path = folder / "set.bin"
    path.write_bytes(pickle.dumps((list(images), [True] * (len(images) // 2)), protocol=4))
    return str(path)


def test_crops_of_a_bin_are_bgr_of_one_size_and_broken_ones_are_missing(tmp_path):
    pairs = read_pair_crops(a_bin(tmp_path, encoded(10), encoded(20, 160), b"\x89PNG no photo", encoded(10)))
    assert pairs.name == "set" and pairs.missing.tolist() == [False, False, True]
    assert pairs.crops.shape == (3, 112, 112, 3)
    assert (pairs.crops[0] == (10, 0, 0)).all() and (pairs.crops[1] == (20, 0, 0)).all()
    assert not pairs.crops[2].any()
    assert pairs.pairs.second.tolist() == [1, 0]


def test_what_is_no_list_of_crops_is_refused(tmp_path):
    with pytest.raises(InputError, match="None of the photos"):
        read_pair_crops(a_bin(tmp_path, b"\x89PNG broken", b"\x89PNG broken too"))
    (tmp_path / "a.png").write_bytes(encoded(1, 50))
    (tmp_path / "list.txt").write_text("a.png a.png 1\n")
    with pytest.raises(InputError, match="no aligned crop, it has 50 x 50"):
        read_pair_crops(str(tmp_path / "list.txt"))
    (tmp_path / "x_face_tid_mid.txt").write_text("a.png 1 1\n")
    (tmp_path / "x_template_pair_label.txt").write_text("1 1 1\n")
    with pytest.raises(InputError, match="compares templates"):
        read_pair_crops(str(tmp_path))


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
