"""docs/losses.md: its example runs as written, and its tables know every loss and every setting."""

from __future__ import annotations

import pytest

from facerec_cli import registry
from tests.documented import DOCS, example

PAGE = (DOCS / "losses.md").read_text(encoding="utf-8")


def test_the_example(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = example("losses.md", "Adding a loss")
    shown.add(monkeypatch, registry.LOSSES)
    shown.run_test()


@pytest.mark.parametrize("name", registry.LOSSES)
def test_every_loss_and_setting_is_described(name: str) -> None:
    assert f"| `{name}` |" in PAGE
    for setting in registry.load(registry.LOSSES, name, "loss").settings():
        assert f"`{setting}`" in PAGE, f"{name} has the setting {setting}"
