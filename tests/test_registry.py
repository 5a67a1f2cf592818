"""Every name in every table leads to code, and a misspelt one is answered with the nearest."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from facerec_cli import registry
from facerec_cli.errors import UsageError

TABLES: dict[str, Mapping[str, str]] = {
    name: table
    for name, table in vars(registry).items()
    if name.isupper() and isinstance(table, Mapping) and all(":" in place for place in table.values())
}
TORCH_TABLES = {"LOSSES", "BACKBONES"}


@pytest.mark.parametrize(("table", "name"), [(t, n) for t, names in TABLES.items() for n in names])
def test_every_name_loads(table: str, name: str) -> None:
    if table in TORCH_TABLES:
        pytest.importorskip("torch", reason="needs the train extra")
    assert callable(registry.load(TABLES[table], name, table.lower()))


def test_a_misspelt_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        registry.load(registry.DETECTORS, "yunett", "detector")
    assert "Did you mean 'yunet'?" in str(caught.value)
    assert caught.value.exit_code == 2
