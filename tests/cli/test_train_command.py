"""``facerec train`` as a user types it: what is missing or cannot be is told before anything is made."""

from __future__ import annotations

import shlex
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from facerec_cli.cli import build_app
from facerec_cli.cli.train_words import show_outcome

SMALL = ["--backbone", "mobilefacenet", "--set", "backbone.width=0.125", "--workers", "0"]


def facerec_train(*arguments: object, code: int) -> str:
    result = CliRunner().invoke(build_app(["train"]), ["train", *map(str, arguments)])
    assert result.exit_code == code, result.output + str(result.exception)
    return " ".join(result.output.split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "There is nothing to train on. Give --data FOLDER"),
        (["--dry-run"], "There is nothing to train on. Give --data FOLDER"),
        (["--data", "synthetic:8:8", "--data", ""], "--data '' does not fit."),
        (["--data", "synthetic:8:8", "--out", ""], "--out names no folder."),
        (["--data", "synthetic:999999999999:8"], "7,999,999,999,992 photos, which is too many. It can have"),
        (["--data", "synthetic:1000:9999999"], "9,999,999,000 photos, which is too many."),
        (["--data", "synthetic:8:8", "--gpus", "0"], "--gpus"),
        (["--data", "synthetic:8:8", "--processes", "-1"], "--processes"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert said in facerec_train(*SMALL, *arguments, code=2)
    assert not list(tmp_path.iterdir())


def test_the_plan_warns_of_settings_that_do_nothing() -> None:
    given = [*SMALL, "--data", "synthetic:8:8", "--batch-size", "16", "--steps", "8", "--dry-run"]
    told = facerec_train(*given, "--warmup", "9", "--best", "auc", code=0)
    assert "the warm-up of 9 epochs is longer than the run of 8 steps" in told
    assert "--best auc says nothing without --eval" in told
    told = facerec_train(*given, "--warmup", "2", code=0)
    assert "warm-up of" not in told and "--best" not in told


def test_what_is_not_there_comes_with_what_to_give(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    given = [*SMALL, "--data", "synthetic:8:8", "--dry-run"]
    assert "'nosuch.txt'. Give a list of pairs" in facerec_train(*given, "--eval", "nosuch.txt", code=3)
    told = facerec_train(*given, "--loss", "distill", "--teacher", "adaface:nosuch.pt", code=4)
    assert "no checkpoint nosuch.pt. Give a checkpoint that is there, or the folder of a run." in told
    result = CliRunner().invoke(build_app(["export"]), ["export", "runs/nosuch", "--name", "x"])
    assert result.exit_code == 4 and "or the folder of a run" in " ".join(result.output.split())


def test_the_next_command_can_be_pasted_and_its_name_is_one_of_a_model(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, words in (("r q $", []), ("small.toml", []), ("small", ["--name", "small"])):
        folder = Path("runs") / name
        outcome = SimpleNamespace(
            steps=8, seconds=1.0, broken=0, last={}, first={}, best=None, best_name="", curve=None,
            checkpoint=folder / "best.pt", out=folder,
        )  # fmt: skip
        show_outcome(outcome, as_json=False)  # type: ignore[arg-type]
        command = capsys.readouterr().err.partition("next: ")[2].replace("\n", " ")
        assert shlex.split(command) == ["facerec", "export", str(folder / "best.pt"), *words]
