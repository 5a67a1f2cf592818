"""The example of docs/extending.md, "Adding a detector", runs as written and keeps the contract of all."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

import pytest
import test_detector_contract as contract

from facerec_cli import registry
from tests.documented import example, run_the_one_test

PROMISES = [
    key
    for key, value in vars(contract).items()
    if key.startswith("test_") and "name" in inspect.signature(value).parameters
]


@pytest.fixture
def name(monkeypatch: pytest.MonkeyPatch) -> str:
    """The detector of the page, as if its file, its line and its test were there."""
    shown = example("extending.md", "Adding a detector")
    shown.add(monkeypatch, registry.DETECTORS)
    shown.module(monkeypatch, f"test_{shown.name}", shown.test)
    return shown.name


def test_the_example(name: str) -> None:
    run_the_one_test(vars(sys.modules[f"test_{name}"]))


@pytest.mark.parametrize("promise", PROMISES)
def test_the_example_keeps_the_contract(name: str, promise: str, tmp_path: Path) -> None:
    test = getattr(contract, promise)
    given = {"name": name, "tmp_path": tmp_path}
    test(**{key: given[key] for key in inspect.signature(test).parameters})
