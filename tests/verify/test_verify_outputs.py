"""What a verification may put in the place of which file."""

from __future__ import annotations

from pathlib import Path

import pytest

from facerec_cli.errors import UsageError
from facerec_cli.outputs import refuse_foreign
from facerec_cli.verify.outputs import _KINDS, VerifyOutputs
from facerec_cli.verify.settings import VerifySettings


@pytest.mark.parametrize("kind", _KINDS.values())
def test_a_file_of_somebody_else_is_refused_for_every_kind(tmp_path: Path, kind: str) -> None:
    foreign = tmp_path / "notes.txt"
    foreign.write_text("notes")
    with pytest.raises(UsageError, match=r"notes\.txt exists and is no"):
        refuse_foreign(kind, foreign)
    refuse_foreign(kind, foreign, overwrite=True)


def test_an_earlier_card_of_quality_is_replaced(tmp_path: Path) -> None:
    card = tmp_path / "card.toml"
    card.write_text('quality_version = 1\nmodel_sha256 = "00"\n')
    refuse_foreign("quality card", card)


def test_a_share_to_discard_without_a_card_is_refused(tmp_path: Path) -> None:
    settings = VerifySettings(discard=0.2)
    with pytest.raises(UsageError, match="--discard is for --save-quality"):
        VerifyOutputs().refuse_faults([tmp_path], settings, model=None, all_pairs=False, overwrite=False)
