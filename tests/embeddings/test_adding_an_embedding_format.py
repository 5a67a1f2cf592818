"""docs/extending.md, "Adding an embedding format": its example runs as written, and keeps the contract."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path

import pytest
import test_format_contract as contract

from facerec_cli import registry

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "extending.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("## Adding an embedding format\n")[2].partition("\n## ")[0]
CODE, TEST = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)
(LINE,) = re.findall(r"```text\n(.*?)```", SECTION, re.DOTALL)
NAME, WHERE = re.fullmatch(r'\s*"([.\w]+)": "([\w.:]+)",\s*', LINE).groups()


@pytest.fixture(autouse=True)
def _added(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType(WHERE.partition(":")[0])
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(CODE, "docs/extending.md", "exec"), vars(module))
    monkeypatch.setattr(registry, "EMBEDDING_FORMATS", {**registry.EMBEDDING_FORMATS, NAME: WHERE})


def test_the_example() -> None:
    space: dict[str, object] = {}
    exec(compile(TEST, "docs/extending.md", "exec"), space)
    tests = [value for key, value in space.items() if key.startswith("test_")]
    assert len(tests) == 1
    tests[0]()


def test_the_example_keeps_the_contract(tmp_path: Path) -> None:
    promises = [
        contract.test_what_is_written_is_read,
        contract.test_equal_results_are_equal_files,
        contract.test_no_face_at_all_is_a_table_too,
        contract.test_writing_that_fails_leaves_the_earlier_result_or_says_so,
        contract.test_a_result_knows_its_run_and_whether_it_is_whole,
    ]
    for number, promise in enumerate(promises):
        folder = tmp_path / str(number)
        folder.mkdir()
        promise(NAME, folder)
