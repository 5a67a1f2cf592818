"""The arithmetic of docs/scaling.md follows from the committed measurements."""

from __future__ import annotations

from argparse import Namespace

import history
import partial_fc
import pytest
import scaling

from facerec_cli.backbones import build


def test_the_page_says_what_the_measurements_say() -> None:
    page = scaling.PAGE.read_text(encoding="utf-8")
    assert page == scaling.written(page, scaling.Figures(history.read())), "run: python benchmarks/scaling.py"


def test_another_measurement_changes_the_page() -> None:
    runs = history.read()
    page = scaling.PAGE.read_text(encoding="utf-8")
    embed = {
        "benchmark": "embed",
        "settings": {},
        "rows": [{"name": "facerec", "value": 2.0, "unit": "photos/s"}],
    }
    slower = scaling.written(page, scaling.Figures([*runs, embed]))
    assert "| 10 billion / 1.0 | 10 billion s = 316.9 core years |" in slower


def test_a_missing_measurement_is_named() -> None:
    with pytest.raises(SystemExit, match=r"embed.*'facerec'"):
        scaling.written(scaling.PAGE.read_text(encoding="utf-8"), scaling.Figures([]))


def test_parameters_are_counted() -> None:
    for name, known in (("mobilefacenet", scaling.MOBILEFACENET), ("iresnet50", scaling.IRESNET50)):
        assert sum(p.numel() for p in build(name).parameters()) == known


def test_memory_of_class_weights_by_hand() -> None:
    assert partial_fc.expected(1000, 10, 4, 1.0) == 12 * 10_000 + 4 * 4 * 1000
    assert partial_fc.expected(1000, 10, 4, 0.1, rows=False) == 12 * 10_000 + 4 * 100 * 10
    assert partial_fc.expected(1000, 10, 4, 0.1) == 8 * 10_000 + 8 * 100 * 10 + 4 * 4 * 100
    assert partial_fc.expected(1000, 10, 400, 0.5) == 8 * 10_000 + 8 * 500 * 10 + 4 * 400 * 500
    assert partial_fc.expected(1000, 10, 4, 1.0, 4) == 12 * 2500 + 4 * 4 * 250
    assert (
        partial_fc.expected(1000, 10, 2000, 0.1, 4) == 12 * 2500 + 4 * 2000 * 250
    )  # no fewer than the batch


def test_measured_memory_grows_as_computed() -> None:
    """The part that grows with the classes, so that what PyTorch allocates once hardly counts."""
    wanted = Namespace(size=256, batch=32, steps=1, arcface_torch=None)
    for way, rate in (("dense", 1.0), ("dense", 0.1), ("rows", 0.1)):
        small, large = (partial_fc.measure_alone(wanted, way, n, rate)["memory"] for n in (20_000, 120_000))
        computed = [
            partial_fc.expected(n, 256, 32, rate, rows=way == "rows") / 1e6 for n in (20_000, 120_000)
        ]
        grown = (large - small) / (computed[1] - computed[0])
        assert 0.9 < grown < 1.4  # the system's own count of pages is coarse
