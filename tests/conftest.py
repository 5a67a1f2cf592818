"""Fixtures that several rooms share."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import facerec_cli  # noqa: F401 - first of all: it turns the telemetry of what tests import off

if TYPE_CHECKING:
    from facerec_cli.packs.manifest import ModelPack

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees or touches the packs, caches and licences of the person who runs the tests."""
    monkeypatch.setenv("FACEREC_HOME", str(tmp_path_factory.mktemp("facerec-home")))
    monkeypatch.setenv("INSIGHTFACE_HOME", str(tmp_path_factory.mktemp("insightface-home")))
    for name in ("FACEREC_MIRROR", "FACEREC_OFFLINE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session", autouse=True)
def _interrupts_arrive() -> None:
    """A shell's background job ignores SIGINT, and so would the programs that tests start and interrupt."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _own_arithmetic() -> Iterator[None]:
    """A run of the trainer in this process makes it flush denormal numbers; the next test starts without."""
    yield
    if "torch" in sys.modules:
        sys.modules["torch"].set_flush_denormal(False)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared() -> Path:
    """The research-use data beside the checkout; tests that need it skip where it is absent."""
    folder = REPOSITORY.parent / "shared"
    if not folder.is_dir():
        pytest.skip("needs ../shared (LFW and reference values), which is not part of the repository")
    return folder


@pytest.fixture(scope="session")
def lfw(shared: Path) -> Path:
    """The folder with LFW's ``images/`` and ``pairs.txt``."""
    folder = shared / "lfw"
    if not (folder / "pairs.txt").is_file():
        pytest.skip("needs ../shared/lfw, which is not part of the repository")
    return folder


@pytest.fixture
def tiny_pack(tmp_path: Path) -> ModelPack:
    """A pack whose embeddings ``tiny_pack.expected`` computes by hand; open it by its folder."""
    from tiny_pack import write_tiny_pack

    return write_tiny_pack(tmp_path / "tiny")
