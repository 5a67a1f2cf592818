"""docs/extending.md, "Adding a backbone": its example runs as written, and meets the contract."""

from __future__ import annotations

import pytest
import test_backbone_contract as contract

from facerec_cli import registry
from tests.documented import example


def test_the_example(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = example("extending.md", "Adding a backbone")
    shown.add(monkeypatch, registry.BACKBONES)
    shown.run_test()
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
        test(shown.name)
