"""The documents say what the program does: every command, flag, link and README line."""

from __future__ import annotations

import re
import runpy
from itertools import pairwise
from pathlib import Path

import pytest
from typer.main import get_command

from facerec_cli.cli import app

REPOSITORY = Path(__file__).resolve().parents[1]
REFERENCE = runpy.run_path(str(REPOSITORY / "docs" / "reference.py"))
FIGURES = runpy.run_path(str(REPOSITORY / "docs" / "figures.py"))
COMMANDS = dict(REFERENCE["commands"](get_command(app)))
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]


def test_the_command_reference_is_up_to_date() -> None:
    page = (REPOSITORY / "docs" / "commands.md").read_text(encoding="utf-8")
    assert page == REFERENCE["render"](), "run: python docs/reference.py"


def test_measured_tables_are_those_of_their_raw_results() -> None:
    named = set()
    for page in FIGURES["pages"]():
        text = page.read_text(encoding="utf-8")
        assert FIGURES["filled"](text) == text, f"{page.name}: run python docs/figures.py"
        named |= {block[2] for block in FIGURES["BLOCK"].finditer(text)}
    assert named == set(FIGURES["TABLES"])


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_and_flag_has_help(path: str) -> None:
    node = COMMANDS[path]
    assert node.help and len(node.help) > 20, f"{path} has no help text"
    for parameter in node.params:
        assert getattr(parameter, "help", None), f"{path}: {parameter.name} has no help text"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_between_documents_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if not target.startswith(("http:", "https:", "mailto:")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}, which is not there"


@pytest.mark.parametrize("page", [p for p in PAGES if p.name != "commands.md"], ids=lambda p: p.name)
def test_commands_in_the_documents_exist(page: Path) -> None:
    """Each ``facerec ...`` line of a code block names a command and only flags that it has."""
    for block in re.findall(r"^(?: {4}|\$ )(facerec .*)$", page.read_text(encoding="utf-8"), flags=re.M):
        line = re.split(r"\s[#|>&]", block)[0]
        words = line.split()
        path = next((" ".join(words[:n]) for n in (3, 2) if " ".join(words[:n]) in COMMANDS), None)
        if path is None:
            assert words[1].startswith("-"), f"{page.name}: no such command: {line}"
            continue
        known = {flag for p in COMMANDS[path].params for flag in (*p.opts, *p.secondary_opts)}
        for word in words:
            if word.startswith("--"):
                assert word.split("=")[0] in known | {"--help"}, f"{page.name}: {path} has no {word}"


_SAVES = {"--save-threshold", "--save-likelihood", "--save-quality", "--calibrate"}
_WRITES = {"-o", "--output", "--out", "--report", "--scores", "--preview", "--crops"} | _SAVES


@pytest.mark.parametrize("page", [p for p in PAGES if p.name != "commands.md"], ids=lambda p: p.name)
def test_the_commands_of_a_page_can_be_typed_one_after_the_other(page: Path) -> None:
    """No command writes what an earlier one of its page has written: it would be refused."""
    written: dict[str, str] = {}
    lines = re.findall(r"^ {4}(?:[^#|>\n]*&& )?(facerec .*)$", page.read_text(encoding="utf-8"), flags=re.M)
    for line in lines:
        words = re.split(r"\s[#|>]", line)[0].split()
        if {"--resume", "--force", "--overwrite", "--dry-run"} & set(words):
            continue
        places = [value for flag, value in pairwise(words) if flag in _WRITES and value != "-"]
        if words[1:3] in (["data", "align"], ["data", "convert"]) and not places:
            places.append([word for word in words[3:] if not word.startswith("-")][1])
        for place in places:
            assert place not in written, f"{page.name}: {line!r} writes what {written[place]!r} has written"
            written[place] = line


@pytest.mark.parametrize("page", [p for p in PAGES if p.name != "commands.md"], ids=lambda p: p.name)
def test_no_page_names_a_store_of_somebody_else(page: Path) -> None:
    """A bucket of an object store has no capitals in its name, so YOUR-BUCKET belongs to nobody."""
    assert not re.findall(r"\b(?:s3|gs)://[a-z0-9]\S+", page.read_text(encoding="utf-8"))
