"""docs/extending.md, "Adding a pair format": its example runs as written."""

from __future__ import annotations

from pathlib import Path

import pytest

from facerec_cli import registry
from tests.documented import example


def test_the_example(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shown = example("extending.md", "Adding a pair format")
    shown.add(monkeypatch, registry.PAIR_FORMATS)
    shown.run_test(tmp_path)
