"""Templates by hand: what each way to weigh photos makes of them, from files and from photos."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from facerec_cli.embeddings.table import ModelInfo
from facerec_cli.errors import InputError, UsageError
from facerec_cli.faces.quality_limits import MEASURES
from facerec_cli.packs.manifest import ModelPack
from facerec_cli.pairs.pairlist import PairList
from facerec_cli.pairs.read import read_pairs
from facerec_cli.verify.photo_vectors import PhotoVectors
from facerec_cli.verify.pooling import pool_templates
from facerec_cli.verify.run import verify, verify_folder
from facerec_cli.verify.settings import VerifySettings

RAW = np.float32(
    [[3, 0], [0, 4], [0.6, 0.8], [2, 0]]
)  # two photos of media 1, one of media 2, one of template 77


def write_ijb(folder: Path, *, scores: bool = True) -> Path:
    """Template 10 of photos 1 and 2 (one media) and 3 (another), template 77 of photo 4."""
    (folder / "x_face_tid_mid.txt").write_text("1.png 10 1\n2.png 10 1\n3.png 10 2\n4.png 77 3\n")
    (folder / "x_template_pair_label.txt").write_text("10 77 1\n77 10 0\n")
    if scores:
        points = "38 52 74 52 56 72 42 92 71 92"
        lines = "".join(f"{i}.png {points} {score}\n" for i, score in enumerate((0.5, 1, 0.2, 0.9), 1))
        (folder / "x_name_5pts_score.txt").write_text(lines)
    return folder


def embedded(raw: np.ndarray = RAW) -> PhotoVectors:
    norms = np.linalg.norm(raw, axis=1).astype(np.float32)
    measures = np.full((len(raw), len(MEASURES)), np.nan, np.float32)
    measures[:, 0], measures[:, 1] = norms, [1, 0.5, 0.5, 1]
    return PhotoVectors(raw / norms[:, None], {}, ModelInfo(), measures=measures)


def unit(vector: list[float]) -> list[float]:
    length = math.hypot(*vector)
    return [value / length for value in vector]


#: Mean of photos 1 and 2 and photo 3, after their weights: norms 3, 4, 1; the list's scores 0.5, 1, 0.2.
BY_HAND = {
    "mean": [1 / 2 + 0.6, 1 / 2 + 0.8],
    "norm": [3 / 2 + 0.6, 4 / 2 + 0.8],
    "score": [0.5 / 2 + 0.2 * 0.6, 1 / 2 + 0.2 * 0.8],
    "norm-score": [1.5 / 2 + 0.2 * 0.6, 4 / 2 + 0.2 * 0.8],
}


@pytest.mark.parametrize("weighed", BY_HAND)
def test_templates_by_hand(tmp_path: Path, weighed: str) -> None:
    pooled = pool_templates(embedded(), read_pairs(write_ijb(tmp_path), images=False), weighed)
    assert pooled[0].tolist() == pytest.approx(unit(BY_HAND[weighed]), abs=1e-6)
    assert pooled[1].tolist() == [1, 0]


def test_without_scores_of_the_list_those_of_the_detections_weigh(tmp_path: Path) -> None:
    pairs = read_pairs(write_ijb(tmp_path, scores=False), images=False)
    assert pairs.detection_scores is None
    pooled = pool_templates(embedded(), pairs, "score")
    assert pooled[0].tolist() == pytest.approx(unit([1 / 2 + 0.3, 0.5 / 2 + 0.4]), abs=1e-6)


def test_failed_photos_need_no_weight_and_others_do(tmp_path: Path) -> None:
    pairs = read_pairs(write_ijb(tmp_path), images=False)
    whole = embedded()
    assert whole.measures is not None
    measures = whole.measures.copy()
    measures[1, 0] = np.nan
    failed = replace(whole, reasons={1: "no_face: none"}, measures=measures)
    assert pool_templates(failed, pairs, "norm")[0].tolist() == pytest.approx(unit([3 + 0.6, 0.8]), abs=1e-6)
    with pytest.raises(
        InputError, match=r"--pool norm weighs by the length .* not known of 1 photo\. .*unit length"
    ):
        pool_templates(replace(whole, measures=measures), pairs, "norm")
    with pytest.raises(InputError, match="not known of 4 photos"):
        pool_templates(replace(whole, measures=None), pairs, "norm-score")


@pytest.mark.parametrize("weighed", BY_HAND)
def test_verify_pools_stored_embeddings(tmp_path: Path, weighed: str) -> None:
    np.save(tmp_path / "raw.npy", RAW)
    settings = VerifySettings(embeddings=tmp_path / "raw.npy", pool=weighed)
    result = verify([write_ijb(tmp_path)], settings)
    assert result.scores.tolist() == pytest.approx([unit(BY_HAND[weighed])[0]] * 2, abs=1e-6)
    assert result.embeddings.settings["pool"] == weighed


def test_verify_pools_photos_by_the_norms_of_this_run(tmp_path: Path, tiny_pack: ModelPack) -> None:
    cv2 = pytest.importorskip("cv2")
    write_ijb(tmp_path, scores=False)
    grays = (255, 200, 140, 160)
    for number, gray in enumerate(grays, 1):
        photo = np.full((112, 112, 3), gray, np.uint8)
        photo[:, :, 0] = 20 * number
        cv2.imwrite(str(tmp_path / f"{number}.png"), photo)
    raw = np.array(
        [[20 * n - 127.5, g - 127.5, g - 127.5, (20 * n + 2 * g) / 3 - 127.5] for n, g in enumerate(grays, 1)]
    )
    by_hand = {"norm": (raw[0] + raw[1]) / 2 + raw[2]}
    unit_rows = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    by_hand["mean"] = (unit_rows[0] + unit_rows[1]) / 2 + unit_rows[2]
    folder = str(tmp_path / "tiny")
    for weighed in ("mean", "norm", "mean", "norm"):  # the second time from the cache
        result = verify([tmp_path], VerifySettings(model=folder, aligned=True, pool=weighed))
        template = by_hand[weighed]
        score = template @ raw[3] / np.linalg.norm(template) / np.linalg.norm(raw[3])
        assert result.scores[0] == pytest.approx(score, abs=1e-5)
    with pytest.raises(InputError, match="score of the detection, which is not known of 4 photos"):
        verify([tmp_path], VerifySettings(model=folder, aligned=True, pool="score"))


def test_lists_without_templates_have_nothing_to_pool(tmp_path: Path) -> None:
    settings = VerifySettings(pool="norm")
    (tmp_path / "pairs.txt").write_text("a.jpg b.jpg 1\n")
    (tmp_path / "a.jpg").write_bytes(b"x")
    for inputs in ([tmp_path / "pairs.txt"], [tmp_path / "a.jpg", tmp_path / "a.jpg"]):
        with pytest.raises(UsageError, match="--pool"):
            verify(inputs, settings)
    with pytest.raises(UsageError, match="--pool"):
        verify_folder(tmp_path, settings)
    with pytest.raises(UsageError, match="norm-score"):
        VerifySettings(pool="sum")


def test_a_list_in_which_one_line_has_no_score_has_none(tmp_path: Path) -> None:
    points = " ".join("12345678")
    folder = write_ijb(tmp_path)
    (folder / "x_name_5pts_score.txt").write_text(
        "".join(f"{i}.png {points} 9 9{' 0.5' * (i < 4)}\n" for i in range(1, 5))
    )
    pairs: PairList = read_pairs(folder, images=False)
    assert pairs.detection_scores is None and pairs.landmarks is not None
    assert pairs.landmarks[3].tolist() == [[1, 2], [3, 4], [5, 6], [7, 8], [9, 9]]
