"""Write docs/commands.md, the reference of every command, from the program itself.

Run ``python docs/reference.py`` after a flag has changed; ``tests/test_docs.py`` fails until that is done.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command

from facerec_cli.cli import app

PAGE = Path(__file__).with_name("commands.md")
_SHARED = {"quiet", "verbose", "debug", "help"}


def commands(node: Any, path: str = "facerec") -> Iterator[tuple[str, Any]]:
    """Every command that a user can type, with its path: ``facerec models list``."""
    children = getattr(node, "commands", {})
    if not children:
        yield path, node
    for name in sorted(children):
        yield from commands(children[name], f"{path} {name}")


def render() -> str:
    """The whole page."""
    lines = [
        "# Commands",
        "",
        "Made by `python docs/reference.py` from the program's own declarations; do not edit.",
        "",
        "Every command also takes `--quiet`, `--verbose`, `--debug` and `--help`.",
    ]
    for path, node in commands(get_command(app)):
        arguments = [p for p in node.params if p.param_type_name == "argument"]
        options = [p for p in node.params if p.param_type_name == "option" and p.name not in _SHARED]
        words = " ".join(_argument(p) for p in arguments)
        lines += ["", f"## {path}", "", _paragraphs(node.help), "", f"    {path} [OPTIONS] {words}".rstrip()]
        if arguments or options:
            lines += ["", "| | meaning | default |", "|---|---|---|"]
        lines += [f"| `{_argument(p)}` | {_cell(p.help)} | |" for p in arguments]
        lines += [f"| `{_flags(p)}` | {_cell(p.help)} | {_default(p)} |" for p in options]
    return "\n".join(lines) + "\n"


def _argument(parameter: Any) -> str:
    name = (parameter.metavar or parameter.name).upper().strip("[]{}.")
    name += "..." if parameter.nargs == -1 else ""
    return name if parameter.required else f"[{name}]"


def _flags(parameter: Any) -> str:
    names = ", ".join(parameter.opts)
    return f"{names} / {', '.join(parameter.secondary_opts)}" if parameter.secondary_opts else names


def _default(parameter: Any) -> str:
    value = parameter.default
    if value is None or value is False or value == () or value == [] or callable(value):
        return "required" if parameter.required else ""
    value = getattr(value, "value", value)
    return "on" if value is True else f"`{value}`"


def _paragraphs(text: str | None) -> str:
    return (text or "").replace("\b", "").replace("\f", "").strip()


def _cell(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
    print(f"wrote {PAGE}", file=sys.stderr)
