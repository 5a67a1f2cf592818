"""Rooms import what they offer when it is first used."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType

import pytest

from facerec_cli import embed, export, faces, images

HEAVY = ("numpy", "cv2", "onnxruntime", "torch", "pyarrow")


@pytest.mark.parametrize("room", [embed, faces, images])
def test_every_public_name_is_there(room: ModuleType) -> None:
    assert all(getattr(room, name) is not None for name in room.__all__)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"facerec_cli\.export.*'reimport'"):
        export.reimport  # noqa: B018


@pytest.mark.parametrize(
    "module", ["embed.settings", "verify.settings", "verify.outputs", "export.settings", "training.config"]
)
def test_settings_are_imported_without_what_does_the_work(module: str) -> None:
    program = f"import sys, facerec_cli.{module}; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr
