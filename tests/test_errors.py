"""The exit codes in the code, in its drawing of the family, and in the documents are the same."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from facerec_cli import errors

FAMILY = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.FacerecError)
}


def test_codes_are_distinct_and_drawn_as_they_are() -> None:
    codes = {name: kind.exit_code for name, kind in FAMILY.items()}
    assert len(set(codes.values())) == len(codes)
    drawn = {name: int(code) for name, code in re.findall(r"(\w+) +(\d+) {3}", errors.__doc__ or "")}
    assert drawn == codes


def test_the_page_lists_every_kind_with_its_code(repository: Path) -> None:
    page = (repository / "docs" / "errors.md").read_text(encoding="utf-8")
    rows = {kind: int(code) for code, kind in re.findall(r"^\| (\d+) \| `(\w+)` \|", page, flags=re.M)}
    expected = {n: k.exit_code for n, k in FAMILY.items() if n != "FacerecError"}
    assert rows == expected | {"Interrupted": errors.EXIT_INTERRUPTED}


def test_every_fault_has_a_kind(repository: Path) -> None:
    """The base has no code of its own that a script could act on, so nothing raises it."""
    plain = []
    for path in sorted((repository / "facerec_cli").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "FacerecError":
                plain.append(f"{path.name}:{node.lineno}")
    assert plain == []


@pytest.mark.parametrize("kind", [kind for kind in FAMILY.values() if kind is not errors.FacerecError])
def test_an_error_told_by_another_process_keeps_its_kind(kind: type[errors.FacerecError]) -> None:
    fault = errors.of_code(kind.exit_code, "what", hint="do")
    assert (type(fault), fault.message, fault.hint, str(fault)) == (kind, "what", "do", "what do")


def test_a_message_says_what_happened_and_what_to_do() -> None:
    fault = errors.InputError("a.jpg is empty.", hint="Take it off the list.")
    assert str(fault) == "a.jpg is empty. Take it off the list."
    assert "pip install 'facerec-cli[parquet]'" in str(
        errors.MissingExtraError("pyarrow", extra="parquet", purpose="Writing .parquet")
    )
