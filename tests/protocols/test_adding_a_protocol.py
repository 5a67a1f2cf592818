"""docs/extending.md, "Adding a protocol": its example runs as written."""

from __future__ import annotations

from pathlib import Path

import pytest

from facerec_cli import registry
from tests.documented import example


def test_the_example(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shown = example("extending.md", "Adding a protocol")
    shown.add(monkeypatch, registry.PROTOCOL_FORMATS)
    shown.run_test(tmp_path)
