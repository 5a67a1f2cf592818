"""docs/losses.md: its example runs as written, and its tables know every loss and every setting."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path

import pytest

from facerec_cli import registry

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "losses.md").read_text(encoding="utf-8")


def test_the_example(monkeypatch: pytest.MonkeyPatch) -> None:
    code, test = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (line,) = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
    name, where = re.fullmatch(r'\s*"(\w+)": "([\w.:]+)",\s*', line).groups()
    module = types.ModuleType(where.partition(":")[0])
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(code, "docs/losses.md", "exec"), vars(module))
    monkeypatch.setattr(registry, "LOSSES", {**registry.LOSSES, name: where})
    space: dict[str, object] = {}
    exec(compile(test, "docs/losses.md", "exec"), space)
    tests = [value for key, value in space.items() if key.startswith("test_")]
    assert len(tests) == 1
    tests[0]()


@pytest.mark.parametrize("name", registry.LOSSES)
def test_every_loss_and_setting_is_described(name: str) -> None:
    assert f"| `{name}` |" in PAGE
    for setting in registry.load(registry.LOSSES, name, "loss").settings():
        assert f"`{setting}`" in PAGE, f"{name} has the setting {setting}"
