"""Killed at one point after the other, a command that is run again leaves what an undisturbed one leaves.

A handful of points here; with FACEREC_MORE_KILLS=1 all of them, and some at random times.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from tiny_pack import write_tiny_pack

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
MORE = bool(os.environ.get("FACEREC_MORE_KILLS"))
KILLED = """
import os, sys
count, last = 0, int(sys.argv[1])
def stop_before(name):
    call = getattr(os, name)
    def counted(*given, **more):
        global count
        count += 1
        if count == last:
            os._exit(9)  # at once, as a kill from outside
        return call(*given, **more)
    setattr(os, name, counted)
for name in ("fsync", "replace", "rename", "unlink", "mkdir", "rmdir"):
    stop_before(name)
sys.argv = ["facerec", *sys.argv[2:]]
from facerec_cli.cli import main
main()
"""
PROGRAM = "import sys; sys.argv[0] = 'facerec'; from facerec_cli.cli import main; main()"
Command = Callable[[Path], Sequence[object]]


def facerec(words: Sequence[object], home: Path, point: int = 0) -> subprocess.CompletedProcess[str]:
    start = ["-c", KILLED, str(point)] if point else ["-c", PROGRAM]
    return subprocess.run(
        [sys.executable, *start, *map(str, words)],
        env={**os.environ, "FACEREC_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b"a folder"
        for path in folder.rglob("*")
        if "cache" not in path.parts
    }


def points(few: Sequence[int]) -> Iterator[int]:
    yield from range(1, 200) if MORE else few


def hold(command: Command, folder: Path, few: Sequence[int]) -> None:
    """Kill ``command``, run it again, and compare; it is told a folder for its outputs, which is its home."""
    (folder / "whole").mkdir()
    done = facerec(command(folder / "whole"), folder / "whole")
    assert done.returncode == 0, done.stderr
    whole = contents(folder / "whole")
    killed = 0
    for point in points(few):
        place = folder / f"cut{point}"
        place.mkdir()
        code = facerec(command(place), place, point).returncode
        assert code in (0, 9)
        again = facerec(command(place), place)
        complete = again.returncode in (2, 4) and ("exists" in again.stderr or "already" in again.stderr)
        assert again.returncode == 0 or complete, again.stderr
        assert contents(place) == whole, (point, again.stderr)
        killed += code == 9
        if code == 0:
            break
    assert killed >= min(3, len(few))
    for _ in range(5 if MORE else 0):
        place = folder / f"random{random.random()}"
        place.mkdir()
        words = [sys.executable, "-c", PROGRAM, *map(str, command(place))]
        with subprocess.Popen(words, env={**os.environ, "FACEREC_HOME": str(place)}) as process:
            time.sleep(random.uniform(0.3, 2))
            process.send_signal(signal.SIGKILL)
        facerec(command(place), place)
        assert contents(place) == whole


@pytest.fixture
def gallery(tmp_path: Path) -> Path:
    """Vectors of 20 people, and a list of pairs of their photos that nobody reads."""
    folder = tmp_path / "gallery"
    folder.mkdir()
    draw = np.random.default_rng(0)
    centres = draw.normal(size=(20, 16))
    vectors = centres.repeat(3, 0) + 0.5 * draw.normal(size=(60, 16))
    np.save(folder / "e.npy", (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32))
    names = [f"p{i // 3:02d}/{i % 3}.jpg" for i in range(60)]
    (folder / "e.csv").write_text(
        "path,row,face,status\n" + "".join(f"{name},{row},0,ok\n" for row, name in enumerate(names))
    )
    (folder / "e.json").write_text(
        '{"model": {"name": "toy", "sha256": "' + "5" * 64 + '"}, "settings": {"flip": false}}'
    )
    pairs = [(a, b) for a in range(60) for b in range(a + 1, 60)]
    lines = [f"{names[a]}\t{names[b]}\t{int(a // 3 == b // 3)}\n" for a, b in pairs]
    (folder / "list.txt").write_text("".join(lines))
    return folder


def test_verify(gallery: Path, tmp_path: Path) -> None:
    def command(place: Path) -> Sequence[object]:
        words = ["verify", gallery / "list.txt", "--embeddings", gallery / "e.npy", "--far", 0.05]
        named = ["--report", place / "r.html", "--scores", place / "s.csv"]
        return [*words, *named, "--save-threshold", place / "c.toml"]

    hold(command, tmp_path, (1, 2, 3, 4, 5, 6))


def test_models_add(tmp_path: Path) -> None:
    pack = write_tiny_pack(tmp_path / "pack")

    hold(lambda place: ["models", "add", pack.folder, "--name", "mine"], tmp_path, (2, 4, 5, 7, 9))
