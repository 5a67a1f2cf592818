"""Rates that hold when recomputed, and a recommendation that follows from them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from tiny_pack import write_tiny_pack

from facerec_cli.bench import BenchReport, BenchRow, bench, median_rate, recommended
from facerec_cli.cli.bench_view import show
from facerec_cli.errors import InputError, ModelError, UsageError


def row(threads: int, batch: int, encode: float, pipeline: float | None = None) -> BenchRow:
    return BenchRow(threads, batch, 1.0, 1.0, 1.0, encode, pipeline)


def test_the_recommendation_takes_the_least_that_is_nearly_best() -> None:
    rows = [row(1, 1, 50), row(1, 16, 60), row(2, 4, 98), row(2, 16, 100), row(4, 16, 99)]
    assert recommended(rows) is rows[2]
    assert recommended([row(1, 1, 90), row(1, 16, 100)]).batch == 16


def test_the_pipeline_decides_where_it_was_measured() -> None:
    rows = [row(1, 1, 500, 10), row(2, 8, 100, 20)]
    assert recommended(rows) is rows[1]


class Clock:
    """A clock that work sets forward."""

    def __init__(self, *durations: float) -> None:
        self.now, self.left = 0.0, list(durations)

    def __call__(self) -> float:
        return self.now

    def work(self) -> None:
        self.now += self.left.pop(0)


def test_a_rate_is_units_by_the_median_run() -> None:
    clock = Clock(0.2, 0.02, 0.02, 0.5, 0.02)  # the first warms up, one is disturbed
    assert median_rate(clock.work, 10, 0.3, clock=clock) == pytest.approx(500)


def test_a_run_longer_than_its_share_is_made_once() -> None:
    clock = Clock(0.05, 0.05)
    assert median_rate(clock.work, 1, 0.01, clock=clock) == pytest.approx(20)
    assert len(clock.left) == 1


def test_made_up_photos_measure_every_stage_but_the_whole(tmp_path: Path) -> None:
    pack = write_tiny_pack(tmp_path)
    report = bench((), pack, device="cpu", threads=(1, 2), batches=(2,), seconds=0.5)
    assert [(r.threads, r.batch) for r in report.rows] == [(1, 2), (2, 2)]
    for measured in report.rows:
        assert min(measured.read, measured.detect, measured.align, measured.encode) > 0
        assert measured.pipeline is None
    assert report.best in report.rows
    assert report.faces == 0 and report.size == (640, 480) and report.provider == "cpu"


def test_photos_of_faces_measure_the_pipeline(tmp_path: Path, repository: Path) -> None:
    photo = repository / "examples" / "photos" / "astronaut.jpg"
    pack = write_tiny_pack(tmp_path)
    report = bench([str(photo)], pack, device="cpu", threads=(1,), batches=(1,), seconds=0.5)
    (measured,) = report.rows
    assert measured.pipeline is not None and 0 < measured.pipeline < measured.read
    assert report.faces == 1
    assert report.document()["best"]["pipeline"] == measured.pipeline
    assert report.document()["rows"][0]["bound"] == measured.bound


def test_the_bound_is_what_the_stages_take_together() -> None:
    one = BenchRow(threads=2, batch=4, read=1000, detect=500, align=2000, encode=100, pipeline=70)
    assert one.bound == pytest.approx(1000 / (1 + 2 + 0.5 + 10))


@pytest.mark.parametrize(
    ("pipeline", "told"),
    [(69.0, "makes 93 % of that."), (107.0, "with more --seconds")],
    ids=["possible", "faster than its stages"],
)
def test_a_share_of_the_bound_is_told_only_where_it_is_possible(
    capsys: pytest.CaptureFixture[str], pipeline: float, told: str
) -> None:
    best = BenchRow(threads=2, batch=4, read=1000, detect=500, align=2000, encode=100, pipeline=pipeline)
    show(BenchReport("tiny", "cpu", "8 photos of yours", (640, 480), 8, (best,), best))
    shown = " ".join(capsys.readouterr().err.split())
    assert told in shown and ("%" in shown) == (pipeline < best.bound)


def test_photos_without_faces_are_refused(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((80, 80, 3), 90, np.uint8))
    with pytest.raises(InputError, match="No face was found in 1 photo"):
        bench([str(tmp_path / "grey.png")], seconds=0.1)


def test_what_is_no_photo_is_told_apart_from_a_photo_without_faces(tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"hello")
    (tmp_path / "empty").mkdir()
    for name, reason in (
        ("nowhere.jpg", r"can be read: .*nowhere\.jpg: no such file"),
        ("bad.jpg", r"can be read: .*bad\.jpg: not an image"),
        ("empty", "No photo was found"),
    ):
        with pytest.raises(InputError, match=reason):
            bench([str(tmp_path / name)], seconds=0.1)


@pytest.mark.parametrize(
    "wrong", ({"threads": (0,)}, {"batches": (0,)}, {"batches": (5000,)}, {"seconds": 0.0})
)
def test_numbers_out_of_range(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="above 0"):
        bench((), **wrong)  # type: ignore[arg-type]


def test_an_unknown_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model"):
        bench((), "nobody", seconds=0.1)
