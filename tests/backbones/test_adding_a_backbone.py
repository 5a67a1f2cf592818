"""docs/extending.md, "Adding a backbone": its example runs as written, and meets the contract."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path

import pytest
import test_backbone_contract as contract

from facerec_cli import registry

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "extending.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("## Adding a backbone\n")[2].partition("\n## ")[0]


def test_the_example(monkeypatch: pytest.MonkeyPatch) -> None:
    code, test = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)
    (line,) = re.findall(r"```text\n(.*?)```", SECTION, re.DOTALL)
    name, where = re.fullmatch(r'\s*"(\w+)": "([\w.:]+)",\s*', line).groups()
    module = types.ModuleType(where.partition(":")[0])
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(code, "docs/extending.md", "exec"), vars(module))
    for place in (registry, contract, sys.modules["facerec_cli.backbones"]):
        monkeypatch.setattr(place, "BACKBONES", {**registry.BACKBONES, name: where})
    space: dict[str, object] = {}
    exec(compile(test, "docs/extending.md", "exec"), space)
    tests = [value for key, value in space.items() if key.startswith("test_")]
    assert len(tests) == 1
    tests[0]()
    for test in (
        contract.test_settings_have_defaults,
        contract.test_gives_embeddings_and_a_7_by_7_map,
        contract.test_output_layers_are_all_that_depends_on_the_embedding_size,
        contract.test_names_of_the_state_are_those_of_a_bare_network,
        contract.test_finite_gradients_reach_every_parameter_from_either_output,
        contract.test_an_embedding_depends_on_its_own_photo_only_when_evaluated,
        contract.test_a_saved_state_gives_the_same_embeddings,
        contract.test_embeddings_stay_float32_under_autocast,
    ):
        test(name)
