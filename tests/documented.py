"""The examples of the pages that say how to add a loss, a detector and so on, added for a test as written."""

from __future__ import annotations

import re
import sys
import types
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).resolve().parents[1] / "docs"


@dataclass(frozen=True)
class Example:
    """What a section shows: a file, its line in the registry, and its test."""

    page: str
    code: str
    test: str
    name: str
    where: str

    def add(self, monkeypatch: pytest.MonkeyPatch, table: dict[str, str]) -> None:
        """Make the file a module, and put the line into a table of the registry, whoever holds that."""
        self.module(monkeypatch, self.where.partition(":")[0], self.code)
        monkeypatch.setitem(table, self.name, self.where)

    def module(self, monkeypatch: pytest.MonkeyPatch, title: str, content: str) -> types.ModuleType:
        """A module of this content, which can be imported while the test runs."""
        module = types.ModuleType(title)
        monkeypatch.setitem(sys.modules, title, module)
        exec(compile(content, f"docs/{self.page}", "exec"), vars(module))
        return module

    def run_test(self, *arguments: Any) -> None:
        """Run the one test of the section."""
        space: dict[str, Any] = {}
        exec(compile(self.test, f"docs/{self.page}", "exec"), space)
        run_the_one_test(space, *arguments)


def run_the_one_test(space: dict[str, Any], *arguments: Any) -> None:
    """Run the only test function among these names."""
    tests = [value for key, value in space.items() if key.startswith("test_")]
    assert len(tests) == 1
    tests[0](*arguments)


def example(page: str, heading: str = "") -> Example:
    """The example of a page, or of its section with this heading."""
    text = (DOCS / page).read_text(encoding="utf-8")
    if heading:
        text = text.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    code, test = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (line,) = re.findall(r"```text\n(.*?)```", text, re.DOTALL)
    found = re.fullmatch(r'\s*"([.\w]+)": "([\w.:]+)",\s*', line)
    assert found, f"docs/{page} does not show a line of the registry"
    return Example(page, code, test, found[1], found[2])
