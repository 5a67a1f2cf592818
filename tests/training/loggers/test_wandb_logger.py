"""wandb: what it is asked for, and that nothing leaves the machine unless somebody has logged in."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from facerec_cli.errors import UsageError
from facerec_cli.training.loggers.logger import FollowedRun
from facerec_cli.training.loggers.wandb import WandbLogger

INSTALLED = importlib.util.find_spec("wandb") is not None


class FakeWandb(ModuleType):
    """As much of wandb as is called."""

    def __init__(self, *, logged_in: bool) -> None:
        super().__init__("wandb")
        self.logged_in = logged_in
        self.rows: list[tuple[int, dict[str, float]]] = []
        self.ends: list[int] = []

    def Settings(self, **settings: Any) -> dict[str, Any]:
        return settings

    def login(self, *, prompt: bool, verify: bool) -> bool:
        assert not prompt and not verify  # neither the user nor the server is asked
        return self.logged_in

    def init(self, **given: Any) -> Any:
        self.given = given
        return SimpleNamespace(
            log=lambda values, step: self.rows.append((step, values)),
            finish=lambda exit_code: self.ends.append(exit_code),
        )


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeWandb:
    module = FakeWandb(logged_in=False)
    monkeypatch.setitem(sys.modules, "wandb", module)
    for variable in ("WANDB_MODE", "WANDB_PROJECT"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("WANDB_CACHE_DIR", "cache")
    return module


def test_a_run_is_offline_and_says_how_it_is_sent(
    fake: FakeWandb, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    logger = WandbLogger()
    key = logger.begin(FollowedRun("mine", tmp_path, {"run.seed": 3}, 0))
    assert (fake.given["mode"], fake.given["project"], fake.given["name"]) == ("offline", "facerec", "mine")
    assert (
        fake.given["id"] == key and fake.given["resume"] is None and fake.given["config"] == {"run.seed": 3}
    )
    settings = fake.given["settings"]
    kept_back = ("disable_git", "disable_code", "x_disable_meta", "x_disable_machine_info", "x_disable_stats")
    assert all(settings[name] for name in kept_back) and not settings["x_save_requirements"]
    assert (
        settings["console"] == "off" and 0 < settings["init_timeout"] <= 30 >= settings["finish_timeout"] > 0
    )
    assert "wandb sync" in caplog.text
    logger.log(2, {"loss": 1.5})
    logger.evaluated(2, {"pairs/auc": 0.75})
    assert not logger.rewind(1)
    logger.end("failed")
    assert fake.rows == [(2, {"loss": 1.5}), (2, {"pairs/auc": 0.75})] and fake.ends == [1]
    assert WandbLogger().begin(FollowedRun("mine", tmp_path, {}, 2, key)) == key
    assert (fake.given["id"], fake.given["resume"]) == (key, "allow")


def test_who_has_logged_in_is_online(
    fake: FakeWandb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.logged_in = True
    monkeypatch.setenv("WANDB_PROJECT", "faces")
    WandbLogger().begin(FollowedRun("mine", tmp_path, {}, 0))
    assert (fake.given["mode"], fake.given["project"]) == ("online", "faces")
    monkeypatch.setenv("WANDB_MODE", "offline")
    WandbLogger().begin(FollowedRun("mine", tmp_path, {}, 0))
    assert fake.given["mode"] == "offline"


def test_online_without_a_login_is_an_error_and_no_question(
    fake: FakeWandb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "online")
    with pytest.raises(UsageError, match="nobody has logged in"):
        WandbLogger().begin(FollowedRun("mine", tmp_path, {}, 0))


@pytest.mark.skipif(not INSTALLED, reason="needs wandb: pip install 'facerec-cli[wandb]'")
def test_the_real_one_writes_into_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_CACHE_DIR", str(tmp_path / "cache"))
    key = ""
    for step in (0, 2):
        logger = WandbLogger()
        key = logger.begin(FollowedRun("mine", tmp_path, {"run.seed": 3}, step, key))
        logger.log(step + 2, {"loss": 1.5})
        logger.end("stopped")
    files = list(tmp_path.glob(f"wandb/wandb/offline-run-*-{key}/run-{key}.wandb"))
    assert files and all(file.stat().st_size for file in files)
