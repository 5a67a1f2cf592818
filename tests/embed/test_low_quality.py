"""Columns of quality in the table of a run, and faces that do not keep to limits."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from dots import DotModel, draw, face_points

from facerec_cli.embed import EmbedOptions, embed_photos, embed_to_file
from facerec_cli.embeddings.read import open_table
from facerec_cli.errors import UsageError
from facerec_cli.faces.quality import pose
from facerec_cli.faces.quality_limits import QUALITY


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.with_suffix(".csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_the_table_has_what_was_measured_of_each_face(
    album: Callable[[int], Path], tmp_path: Path, opened: DotModel
) -> None:
    folder = album(3)
    (folder / "none.png").write_bytes((folder / "0000.png").read_bytes()[:60])
    output = tmp_path / "faces.npz"
    embed_to_file([str(folder)], output)
    rows = rows_of(output)
    assert all(rows[3][name] == "" for name in QUALITY) and rows[3]["status"] == "unreadable"
    table = open_table(output)
    for at, row in enumerate(rows[:3]):
        width, height = float(row["x2"]) - float(row["x1"]), float(row["y2"]) - float(row["y1"])
        assert float(row["size"]) == pytest.approx(min(width, height), abs=0.02)
        expected = pose(table.landmarks[at])
        assert [float(row[name]) for name in ("yaw", "pitch", "roll")] == pytest.approx(expected, abs=0.01)
        assert float(row["sharpness"]) > 0 and 0 < float(row["brightness"]) < 255
        assert table.qualities[at].tolist() == pytest.approx([float(row[name]) for name in QUALITY], rel=1e-6)


def test_a_ready_crop_has_light_and_sharpness_and_the_same_ones(tmp_path: Path, dots: DotModel) -> None:
    points = face_points((80, 75), 70)
    photo = draw((160, 150), points)
    (found,) = embed_photos([cv2.imencode(".png", photo)[1].tobytes()], dots, keep_crops=True)
    crop = found.faces[0].crop
    assert crop is not None
    cv2.imwrite(str(tmp_path / "crop.png"), crop)
    (again,) = embed_photos([str(tmp_path / "crop.png")], dots, EmbedOptions(aligned=True))
    for name in ("sharpness", "brightness", "contrast", "clipped"):
        assert getattr(again.faces[0].quality, name) == getattr(found.faces[0].quality, name)
    unknown = ("size", "yaw", "pitch", "roll")
    assert np.isnan([getattr(again.faces[0].quality, name) for name in unknown]).all()
    (flipped,) = embed_photos([str(tmp_path / "crop.png")], dots, EmbedOptions(aligned=True, flip=True))
    assert flipped.faces[0].quality == again.faces[0].quality or np.isnan(again.faces[0].quality.size)


def test_faces_beyond_limits_have_a_row_a_reason_and_their_vector(
    album: Callable[[int], Path], tmp_path: Path, opened: DotModel
) -> None:
    folder, output = album(6), tmp_path / "faces.npy"
    plain = embed_to_file([str(folder)], tmp_path / "plain.npy")
    sizes = [float(row["size"]) for row in rows_of(tmp_path / "plain.npy")]
    limit = sorted(sizes)[2] - 0.001  # the table is rounded
    options = EmbedOptions(min_quality=f"size={limit!r}")
    summary = embed_to_file([str(folder)], output, options=options)
    rows = rows_of(output)
    poor = [row for row in rows if row["status"] == "low_quality"]
    assert 1 <= len(poor) <= 2 and {"low_quality": len(poor), "ok": 6 - len(poor)} == summary.statuses
    assert all(f"is below {limit:.4g}" in row["reason"] and row["row"] != "" for row in poor)
    assert np.array_equal(np.load(output), np.load(tmp_path / "plain.npy"))
    assert plain.fault is None and summary.fault is None
    found = open_table(output).match([row["path"] for row in rows])
    assert sorted(found.reasons) == [at for at, row in enumerate(rows) if row["status"] == "low_quality"]
    assert all(reason.startswith("low_quality: size ") for reason in found.reasons.values())
    assert (found.rows[list(found.reasons)] == -1).all()
    with pytest.raises(UsageError, match=r"settings\.min_quality was size="):
        embed_to_file([str(folder)], output)


def test_a_run_of_a_version_without_limits_is_gone_on_with(
    album: Callable[[int], Path], tmp_path: Path, opened: DotModel
) -> None:
    folder, output = album(4), tmp_path / "faces.npy"
    embed_to_file([str(folder)], output)
    about = output.with_suffix(".json")
    assert "min_quality" not in about.read_text()
    before = output.stat().st_mtime_ns
    assert embed_to_file([str(folder)], output).resumed == 4 and output.stat().st_mtime_ns == before
