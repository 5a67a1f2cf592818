"""Files that appear at once, and what is no file to replace."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from facerec_cli.packs.files import write_atomic


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_pipe_is_written_to_and_stays_a_pipe(tmp_path: Path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "link").symlink_to(pipe)
    for path in (pipe, tmp_path / "link"):
        read: list[bytes] = []
        reader = threading.Thread(target=lambda into=read: into.append(pipe.read_bytes()), daemon=True)
        reader.start()
        write_atomic(path, b"told")
        reader.join(10)
        assert read == [b"told"]
    assert stat.S_ISFIFO(pipe.lstat().st_mode)
    assert (tmp_path / "link").is_symlink()


def test_what_a_link_leads_to_is_replaced(tmp_path: Path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "folder" / "file")
    write_atomic(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "folder" / "file").read_text() == "new"
    assert len(list(tmp_path.rglob("*"))) == 3  # nothing is left beside it


def test_a_name_may_be_as_long_as_the_disk_allows(tmp_path: Path):
    path = tmp_path / ("é" * 127)
    write_atomic(path, b"1")
    assert path.read_bytes() == b"1"
