"""What a message tells to type can be typed: its commands exist and have the flags that it names."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from facerec_cli.cli import app

SOURCES = sorted((Path(__file__).parents[1] / "facerec_cli").rglob("*.py"))
_FLAG = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*[a-z0-9]")
# Of programs other than facerec, which messages also tell to run.
_FOREIGN = re.compile(r"(?:pip|git|torchrun|mlflow|ray|srun|python -m|cp)(?:'s)? [^`;&|]*")


def commands(node: Any, path: str = "facerec") -> Iterator[tuple[str, set[str]]]:
    children = getattr(node, "commands", {})
    flags = {flag for p in node.params for flag in (*p.opts, *p.secondary_opts)} | {"--help"}
    below = [entry for name, child in children.items() for entry in commands(child, f"{path} {name}")]
    if len(path.split()) == 2:  # "facerec models X", where X is one of several
        flags = flags.union(*(more for _, more in below))
    yield path, flags
    yield from below


KNOWN = dict(commands(get_command(app)))
ALL = set().union(*KNOWN.values()) | {"--install-completion", "--show-completion"}

# Where a message comes from -> the commands that say it. Rooms that several share, and the doctor, who speaks
# of other commands, are held to ALL.
SAID_BY = {
    "verify": ["facerec verify", "facerec train", "facerec export"],  # which measure on pairs too
    "export": ["facerec export", "facerec train"],  # "train with --init"
    "models": ["facerec models", "facerec embed"],  # "use it with --model"
    "embed": ["facerec embed"],
    "study": ["facerec study"],
    "gallery": ["facerec gallery", "facerec identify"],  # which searches in one
    "bench.py": ["facerec bench"],
    "training": ["facerec train", "facerec export"],
    "data": ["facerec data", "facerec train"],
    "doctor": [],  # it speaks of all commands
}


def texts(tree: ast.AST) -> Iterator[str]:
    """The texts of a module, an f-string's values as X; docstrings are for programmers."""
    inside: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            inside.add(id(node.value))
        if isinstance(node, ast.JoinedStr):
            inside |= {id(part) for part in ast.walk(node) if part is not node}
            yield "".join(str(p.value) if isinstance(p, ast.Constant) else "X" for p in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            yield node.value


def told(text: str) -> Iterator[tuple[str, list[str]]]:
    """The commands that a text tells to type, with their flags."""
    for found in re.finditer(r"facerec ((?:data|models|study|gallery) )?([a-z]+)([^`\n;]*)", text):
        group, name, rest = found.groups()
        path = f"facerec {group or ''}{name}"
        if path in KNOWN:
            yield path, _FLAG.findall(rest.partition(". ")[0])


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: "/".join(path.parts[-2:]))
def test_commands_in_messages_have_the_flags_that_are_named(source: Path) -> None:
    wrong = []
    room = source.relative_to(Path(__file__).parents[1] / "facerec_cli").parts
    name = source.stem if room[0] == "cli" else room[0]
    said_by = [path for path in SAID_BY.get(name, [f"facerec {name}"]) if path in KNOWN]
    said = set().union(*(KNOWN[path] for path in said_by)) if said_by else ALL
    for text in texts(ast.parse(source.read_text(encoding="utf-8"))):
        for path, flags in told(text):
            wrong += [f"{path} has no {flag}: {text!r}" for flag in flags if flag not in KNOWN[path]]
        if " " in text.strip() and "<style>" not in text and "var(--" not in text:
            own = _FOREIGN.sub("", text)
            others = {flag for path, _ in told(text) for flag in KNOWN[path]}
            known = said | others | {"--version"}
            lacking = [flag for flag in _FLAG.findall(own) if flag not in known]
            wrong += [f"{said_by or 'nothing'} has no {flag}: {text!r}" for flag in lacking]
    assert not wrong, "\n".join(wrong)


def test_the_check_sees_a_flag_that_a_command_lacks() -> None:
    (found,) = told("Run: facerec bench --color rgb. Then facerec is done.")
    assert found == ("facerec bench", ["--color"]) and "--color" not in KNOWN["facerec bench"]
