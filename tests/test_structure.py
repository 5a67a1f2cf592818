"""Which room may use which, how large modules and functions may be, and that a class has its name alone."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import facerec_cli

PACKAGE = Path(facerec_cli.__file__).resolve().parent

#: The rooms from the ground up. A room uses rooms of lower floors only, and none of its own floor.
FLOORS = (
    ("_version", "errors", "lazy", "privacy", "progress", "spelling", "wording"),
    ("home", "locks", "resources", "suggest", "untrusted"),
    ("files", "option", "resume", "runtime", "sniff"),
    ("outputs", "registry", "workshop"),
    ("settings",),
    ("threshold",),
    ("tables", "report"),
    ("images",),
    ("packs",),
    ("faces",),
    ("store",),
    ("pairs",),
    ("protocols",),
    ("metrics",),
    ("embeddings",),
    ("embed",),
    ("verify",),
    ("gallery",),
    ("identify",),
    ("compare",),
    ("review",),
    ("clusters",),
    ("data",),
    ("losses",),
    ("backbones",),
    ("training",),
    ("export",),
    ("study",),
    ("bench", "doctor"),
    ("cli",),
    ("__main__",),
)
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
MODULE_LINES = 300
FUNCTION_LINES = 60


@cache
def _modules() -> dict[str, ast.Module]:
    """Dotted name below ``facerec_cli`` -> syntax tree, without the package's own face."""
    trees = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if name:
            trees[name] = ast.parse(path.read_text(encoding="utf-8"))
    return trees


def _imports(tree: ast.AST) -> Iterator[tuple[str, bool]]:
    """Modules of ours that ``tree`` imports, and whether that happens while it is loaded."""
    known = _modules()

    def visit(node: ast.AST, loaded: bool) -> Iterator[tuple[str, bool]]:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("facerec_cli."):
            module = node.module.removeprefix("facerec_cli.")
            for alias in node.names:
                inner = f"{module}.{alias.name}"
                yield (inner if inner in known else module), loaded
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            loaded = False
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            loaded = False
        for child in ast.iter_child_nodes(node):
            yield from visit(child, loaded)

    yield from visit(tree, True)


@pytest.mark.parametrize("module", _modules())
def test_a_room_uses_only_rooms_below_it(module: str) -> None:
    room = module.split(".")[0]
    assert room in FLOOR, f"{module} has no floor: give its room a place in FLOORS"
    for target, _ in _imports(_modules()[module]):
        other = target.split(".")[0]
        assert other == room or FLOOR[other] < FLOOR[room], f"{module} imports {target}"


def test_no_modules_import_each_other_in_a_circle() -> None:
    edges = {name: {target for target, _ in _imports(tree)} - {name} for name, tree in _modules().items()}
    state: dict[str, int] = {}

    def visit(name: str, path: tuple[str, ...]) -> None:
        if state.get(name) == 1:
            raise AssertionError(" -> ".join((*path[path.index(name) :], name)))
        if name in state:
            return
        state[name] = 1
        for target in sorted(edges.get(name, ())):
            visit(target, (*path, name))
        state[name] = 2

    for name in edges:
        visit(name, ())


@pytest.mark.parametrize("module", _modules())
def test_modules_and_functions_can_be_read_in_one_sitting(module: str) -> None:
    path = PACKAGE / (module.replace(".", "/") + ".py")
    if not path.exists():
        path = PACKAGE / module.replace(".", "/") / "__init__.py"
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MODULE_LINES
    for node in ast.walk(_modules()[module]):
        if isinstance(node, ast.FunctionDef):
            first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
            lines = (node.end_lineno or 0) - first.lineno + 1
            assert lines <= FUNCTION_LINES, f"{node.name} has {lines} lines below its docstring"


def test_no_two_modules_define_classes_of_one_name() -> None:
    homes = defaultdict(list)
    for name, tree in _modules().items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                homes[node.name].append(name)
    assert {name: where for name, where in homes.items() if len(where) > 1} == {}
