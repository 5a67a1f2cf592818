"""What a package index shows: the licenses of all that is inside, and no link that leads nowhere."""

from __future__ import annotations

import re
import runpy
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

_SAYS = {"Apache License": "Apache-2.0", "Permission is hereby granted, free of charge": "MIT"}


def test_the_license_expression_names_every_text_that_is_inside(repository: Path) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    texts = [path for pattern in project["license-files"] for path in sorted(repository.glob(pattern))]
    assert any(path.name == "LICENSE.yunet" for path in texts)
    inside = set()
    for path in texts:
        said = {name for words, name in _SAYS.items() if words in path.read_text(encoding="utf-8")}
        assert said, f"{path} is a license that this test does not know"
        inside |= said
    assert set(project["license"].split(" AND ")) == inside


@pytest.fixture
def hook(repository: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """The build's hook; what it builds on is there in a build only."""
    for name in ("hatchling", "hatchling.metadata", "hatchling.metadata.plugin"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    interface = ModuleType("interface")
    interface.MetadataHookInterface = object  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "hatchling.metadata.plugin.interface", interface)
    return runpy.run_path(str(repository / "hatch_build.py"))


def test_the_readme_of_an_index_has_no_link_into_the_repository(
    hook: dict[str, object], repository: Path
) -> None:
    readme = (repository / "README.md").read_text(encoding="utf-8")
    relative = re.compile(r"\]\((?!https?:|mailto:)")
    assert relative.search(readme)
    shown = hook["for_an_index"](readme)  # type: ignore[operator]
    assert not relative.search(shown) and "![" not in shown
    assert "pip install . && facerec embed" in shown and "](https://www.ray.io)" in shown
    assert len(shown) > 0.8 * len(readme)


def test_what_a_link_says_stays(hook: dict[str, object]) -> None:
    shown = hook["for_an_index"]("![a\nb](x.png)\n\nSee [the\npage](docs/a.md#b), [web](https://a.b).\n")  # type: ignore[operator]
    assert shown.startswith("See the\npage, [web](https://a.b).\n\nThe pages")
