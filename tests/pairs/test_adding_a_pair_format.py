"""docs/extending.md, "Adding a pair format": its example runs as written."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path

import pytest

from facerec_cli import registry

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "extending.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("## Adding a pair format\n")[2].partition("\n## ")[0]


def test_the_example(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    code, test = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)
    (line,) = re.findall(r"```text\n(.*?)```", SECTION, re.DOTALL)
    name, where = re.fullmatch(r'\s*"(\w+)": "([\w.:]+)",\s*', line).groups()
    module = types.ModuleType(where.partition(":")[0])
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(code, "docs/extending.md", "exec"), vars(module))
    monkeypatch.setattr(registry, "PAIR_FORMATS", {**registry.PAIR_FORMATS, name: where})
    space: dict[str, object] = {}
    exec(compile(test, "docs/extending.md", "exec"), space)
    tests = [value for key, value in space.items() if key.startswith("test_")]
    assert len(tests) == 1
    tests[0](tmp_path)
