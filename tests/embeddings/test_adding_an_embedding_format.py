"""docs/extending.md, "Adding an embedding format": its example runs as written, and keeps the contract."""

from __future__ import annotations

from pathlib import Path

import pytest
import test_format_contract as contract

from facerec_cli import registry
from tests.documented import example

SHOWN = example("extending.md", "Adding an embedding format")


@pytest.fixture(autouse=True)
def _added(monkeypatch: pytest.MonkeyPatch) -> None:
    SHOWN.add(monkeypatch, registry.EMBEDDING_FORMATS)


def test_the_example() -> None:
    SHOWN.run_test()


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
        promise(SHOWN.name, folder)
