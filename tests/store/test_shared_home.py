"""A folder of models that several users share: what one has kept to himself is told to the others."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from facerec_cli.cli import build_app
from facerec_cli.doctor import user
from facerec_cli.errors import ModelError
from facerec_cli.packs.folders import hidden_packs, user_packs
from facerec_cli.packs.known import known_packs
from facerec_cli.packs.manifest import ModelPack
from facerec_cli.packs.resolve import open_pack
from facerec_cli.store import licenses as licences
from facerec_cli.store.install import register

pytestmark = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs users and permissions of POSIX")
NOBODY = 65534


@contextmanager
def umask(value: int) -> Iterator[None]:
    before = os.umask(value)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def another_user(*closed: Path) -> Iterator[None]:
    """See the disk as another user does; whoever is not root closes the places to himself instead."""
    if os.geteuid() == 0:
        os.seteuid(NOBODY)
        try:
            yield
        finally:
            os.seteuid(0)
        return
    modes = {place: stat.S_IMODE(place.stat().st_mode) for place in closed}
    for place in closed:
        place.chmod(0)
    try:
        yield
    finally:
        for place, mode in modes.items():
            place.chmod(mode)


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """In a place that others may reach, which pytest's own is not."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o755)
    monkeypatch.setenv("FACEREC_HOME", str(folder / "home"))
    yield folder / "home"
    shutil.rmtree(folder)


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o755), (0o077, 0o700), (0o002, 0o775)])
def test_the_umask_decides_who_may_use_a_pack(home: Path, tiny_pack: ModelPack, mask: int, mode: int) -> None:
    with umask(mask):
        folder = register(tiny_pack.folder).folder
    assert stat.S_IMODE(folder.stat().st_mode) == mode
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {mode & 0o666}


def test_a_pack_that_others_may_not_read_is_told_to_them(home: Path, tiny_pack: ModelPack) -> None:
    with umask(0o022):
        register(tiny_pack.folder, "open")
    with umask(0o077):
        folder = register(tiny_pack.folder, "closed").folder
    assert hidden_packs() == {}
    CliRunner().invoke(build_app(["models"]), ["models", "list"])  # imports what others may not read here
    with another_user(folder):
        assert open_pack("open").name == "open"
        assert list(hidden_packs()) == [folder]
        (finding,) = user.hidden_models()
        listed = CliRunner().invoke(build_app(["models"]), ["models", "list"])
        with pytest.raises(ModelError, match="There may be a model 'closed'") as caught:
            open_pack("closed")
    assert f"chmod -R a+rX {folder}" in caught.value.hint and folder.owner() in caught.value.hint
    assert finding.status == "broken" and str(folder) in finding.detail and "chmod" in finding.mend
    assert listed.exit_code == 0 and str(folder) in listed.stderr.replace("\n", "")


def test_a_whole_folder_that_others_may_not_read_is_told_to_them(home: Path, tiny_pack: ModelPack) -> None:
    with umask(0o077):
        register(tiny_pack.folder, "closed")
    with another_user(home):
        assert list(hidden_packs()) == [user_packs()]
        with pytest.raises(ModelError, match="you may not read") as caught:
            open_pack("closed")
        assert open_pack("sface").name == "sface"
    assert f"chmod -R a+rX {home}" in caught.value.hint


def test_a_folder_that_may_only_be_read_serves_and_is_no_breakage(home: Path, tiny_pack: ModelPack) -> None:
    with umask(0o022):
        register(tiny_pack.folder, "open")
    if os.geteuid() != 0:
        pytest.skip("only root can look with another user's eyes at what may be read")
    with another_user():
        (finding,) = user.folders()
        assert open_pack("open").name == "open" and list(user.hidden_models()) == []
    assert finding.status == "note" and "may be read but not written" in finding.detail


def test_an_agreement_says_whose_it_is(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pack = known_packs()["buffalo_l"]
    monkeypatch.setenv("LOGNAME", "anna")
    licences.accept(pack)
    monkeypatch.setenv("LOGNAME", "ben")
    assert licences.accepted_by(pack) == "anna"
    shown = CliRunner().invoke(build_app(["models"]), ["models", "show", "buffalo_l"])
    assert "by anna" in shown.stdout
