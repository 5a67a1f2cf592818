"""The example of docs/extending.md, "Adding a detector", runs as written and keeps the contract of all."""

from __future__ import annotations

import inspect
import re
import sys
import types
from pathlib import Path

import pytest
import test_detector_contract as contract

from facerec_cli import registry

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "extending.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("## Adding a detector\n")[2].partition("\n## ")[0]

PROMISES = [
    key
    for key, value in vars(contract).items()
    if key.startswith("test_") and "name" in inspect.signature(value).parameters
]


@pytest.fixture
def name(monkeypatch: pytest.MonkeyPatch) -> str:
    """The detector of the page, as if its file, its line and its test were there."""
    code, test = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)
    (line,) = re.findall(r"```text\n(.*?)```", SECTION, re.DOTALL)
    name, where = re.fullmatch(r'\s*"(\w+)": "([\w.:]+)",\s*', line).groups()
    for title, content in ((where.partition(":")[0], code), (f"test_{name}", test)):
        module = types.ModuleType(title)
        monkeypatch.setitem(sys.modules, title, module)
        exec(compile(content, "docs/extending.md", "exec"), vars(module))
    monkeypatch.setitem(registry.DETECTORS, name, where)
    return name


def test_the_example(name: str) -> None:
    tests = [value for key, value in vars(sys.modules[f"test_{name}"]).items() if key.startswith("test_")]
    assert len(tests) == 1
    tests[0]()


@pytest.mark.parametrize("promise", PROMISES)
def test_the_example_keeps_the_contract(name: str, promise: str, tmp_path: Path) -> None:
    test = getattr(contract, promise)
    given = {"name": name, "tmp_path": tmp_path}
    test(**{key: given[key] for key in inspect.signature(test).parameters})
