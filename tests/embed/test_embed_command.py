"""The command: flags, streams and exit codes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from dots import SIZE, DotModel
from typer.testing import CliRunner, Result

from facerec_cli.cli import build_app

Album = Callable[[int], Path]
APP = build_app(["embed"])


def run(*arguments: object, stdin: str = "") -> Result:
    return CliRunner().invoke(APP, ["embed", *map(str, arguments)], input=stdin)


def test_results_go_to_stdout_and_the_rest_to_stderr(opened: DotModel, album: Album, tmp_path: Path) -> None:
    done = run(album(5), "-o", tmp_path / "out.npy")
    assert done.exit_code == 0, done.stderr
    assert "5 photos: 5 ok" in done.stdout and f"5 faces x {SIZE}" in done.stdout
    assert "model dots on cpu" in done.stderr and "model dots" not in done.stdout
    assert np.load(tmp_path / "out.npy").shape == (5, SIZE)
    quiet = run(tmp_path / "photos", "-o", tmp_path / "out.npy", "--quiet")
    assert quiet.exit_code == 0 and quiet.stderr == ""


def test_json_is_one_document_with_the_documented_keys(
    opened: DotModel, album: Album, tmp_path: Path
) -> None:
    folder = album(3)
    done = run(folder, "-o", tmp_path / "out.npy", "--json")
    document = json.loads(done.stdout)
    assert done.exit_code == document["exit_code"] == 0 and document["message"] == ""
    assert {key: document[key] for key in ("photos", "embeddings", "statuses", "model", "provider")} == {
        "photos": 3, "embeddings": 3, "statuses": {"ok": 3}, "model": "dots", "provider": "cpu",
    }  # fmt: skip
    (folder / "text.jpg").write_text("no photo")
    done = run(folder, "-o", tmp_path / "out.npy", "--json", "--force")
    document = json.loads(done.stdout)
    assert done.exit_code == document["exit_code"] == 5
    assert "1 of 4 inputs could not be read (1 unreadable)" in document["message"]


def test_exit_codes(opened: DotModel, album: Album, tmp_path: Path) -> None:
    folder, out = album(2), tmp_path / "out.npy"
    (folder / "nobody.png").write_bytes((folder / "0000.png").read_bytes())
    assert run(folder, "-o", out).exit_code == 0
    assert run(folder, tmp_path / "gone.jpg", "-o", tmp_path / "b.npy").exit_code == 5
    assert run(tmp_path / "gone.jpg", "-o", tmp_path / "c.npy").exit_code == 3
    assert not (tmp_path / "c.npy").exists()
    (tmp_path / "nothing").mkdir()
    assert run(tmp_path / "nothing", "-o", tmp_path / "d.npy").exit_code == 3
    assert run(folder, "-o", tmp_path / "d.txt").exit_code == 2
    assert run(folder, "-o", tmp_path / "d.npy", "--faces", "both").exit_code == 2
    assert run(folder, "-o", tmp_path / "d.npy", "--no-such-flag").exit_code == 2
    assert run(folder, "-o", out, "--flip").exit_code == 2
    opened.scale = float("nan")
    assert run(folder, "-o", tmp_path / "e.npy").exit_code == 4


def test_flags_reach_the_pipeline(opened: DotModel, album: Album, tmp_path: Path) -> None:
    out = tmp_path / "out.npz"
    flags = "--faces largest --min-score 0.5 --min-size 3 --max-side 300 --rotate auto --flip --batch-size 2"
    extra = ["--crops", tmp_path / "crops", "--preview", tmp_path / "sheet.html", "--threads", "1"]
    done = run(album(3), "-o", out, *flags.split(), *extra)
    assert done.exit_code == 0, done.stderr
    settings = json.loads((tmp_path / "out.json").read_text())["settings"]
    assert settings == {
        "faces": "largest", "min_score": 0.5, "min_size": 3.0, "max_side": 300, "rotate": "auto",
        "aligned": False, "flip": True, "batch_size": 2, "max_pixels": 200_000_000,
    }  # fmt: skip
    assert len(list((tmp_path / "crops").iterdir())) == 3 and (tmp_path / "sheet.html").exists()


def test_paths_come_from_standard_input(opened: DotModel, album: Album, tmp_path: Path) -> None:
    names = "".join(f"{path}\n" for path in sorted(album(3).iterdir())[:2])
    done = run("-", "-o", tmp_path / "out.npy", stdin=names)
    assert done.exit_code == 0 and "2 photos: 2 ok" in done.stdout


def test_the_example_photos_give_the_people_on_them(repository: Path, tmp_path: Path) -> None:
    """The default pack on real photos: one face each, three on the last, and Obama resembles himself."""
    done = run(repository / "examples" / "photos", "-o", tmp_path / "out.npz", "--json")
    assert done.exit_code == 0, done.stderr
    with np.load(tmp_path / "out.npz") as archive:
        vectors = archive["embeddings"]
        names = [Path(path).stem for path in archive["path"]]
    assert names == [
        "astronaut",
        "biden",
        "obama-1",
        "obama-2",
        "obama-3",
        "obama-half-face",
        *["three-people"] * 3,
    ]
    cosine = vectors @ vectors.T
    obama = [2, 3, 4]
    same = [cosine[a, b] for a in obama for b in obama if a < b]
    different = [cosine[a, b] for a in (0, 1) for b in (2, 3, 4, 5)] + [cosine[0, 1]]
    assert min(same) > 0.5 and max(different) < 0.3
    assert sorted(cosine[6:, :3].argmax(axis=1)) == [0, 1, 2] and cosine[6:, :3].max(axis=1).min() > 0.8


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_a_terminated_run_ends_with_130_and_says_how_to_go_on(repository: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for index in range(600):
        (photos / f"{index:04d}.jpg").symlink_to(repository / "examples" / "photos" / "astronaut.jpg")
    command = [sys.executable, "-m", "facerec_cli", "embed", str(photos), "-o", str(tmp_path / "out.npy")]
    running = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env={**os.environ, "NO_COLOR": "1"}
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "out.npy.parts" / "run.json").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    running.send_signal(signal.SIGTERM)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "of 600 photos are safe, which are saved 256 at a time. Go on with the same command" in said
    assert "Traceback" not in said and not (tmp_path / "out.npy").exists()


def test_the_example_of_the_documentation_runs(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (repository / "docs" / "embed.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, flags=re.S)
    monkeypatch.chdir(repository)
    exec(compile(example, "embed.md", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 7 and all(line.endswith("(128,)") and " ok 0.9" in line for line in lines)
