"""Files that appear at once, and what is no file to replace."""

from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from facerec_cli.errors import OutputError, UsageError
from facerec_cli.files import atomic_write, lock, output_error, write_file
from facerec_cli.workshop import atomic_folder, clear_workshop, move, workshop


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_pipe_is_written_to_and_stays_a_pipe(tmp_path: Path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "link").symlink_to(pipe)
    for path in (pipe, tmp_path / "link"):
        read: list[bytes] = []
        reader = threading.Thread(target=lambda into=read: into.append(pipe.read_bytes()), daemon=True)
        reader.start()
        write_file(path, b"told", devices="through")
        reader.join(10)
        assert read == [b"told"]
    assert stat.S_ISFIFO(pipe.lstat().st_mode)
    assert (tmp_path / "link").is_symlink()


def test_what_a_link_leads_to_is_replaced(tmp_path: Path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "folder" / "file")
    write_file(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "folder" / "file").read_text() == "new"
    assert len(list(tmp_path.rglob("*"))) == 3  # nothing is left beside it


def test_a_name_may_be_as_long_as_the_disk_allows(tmp_path: Path):
    path = tmp_path / ("é" * 127)
    write_file(path, b"1")
    assert path.read_bytes() == b"1"


CHILD = """
import sys, time
from pathlib import Path
from facerec_cli.files import atomic_write
with atomic_write(Path(sys.argv[1])) as stream:
    stream.write(b"half")
    stream.flush()
    print("ready", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def writer(tmp_path: Path):
    """A process that is writing ``tmp_path / "file"`` and does not come to an end."""
    command = [sys.executable, "-c", CHILD, str(tmp_path / "file")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def hidden(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("."))


def test_what_a_killed_process_left_goes_with_the_next_writing_of_the_same_file(tmp_path: Path, writer):
    writer.kill()
    writer.wait()
    assert hidden(tmp_path) == [".facerec.file.tmp"]
    write_file(tmp_path / "other", b"1")
    assert hidden(tmp_path) == [".facerec.file.tmp"]  # nobody's business but the file's own
    write_file(tmp_path / "file", b"whole")
    assert hidden(tmp_path) == [] and (tmp_path / "file").read_bytes() == b"whole"


def test_what_a_living_process_is_writing_is_left_alone(tmp_path: Path, writer):
    write_file(tmp_path / "file", b"mine")
    assert hidden(tmp_path) == [".facerec.file.tmp"] and (tmp_path / "file").read_bytes() == b"mine"


def test_two_that_were_killed_at_once_leave_nothing_either(tmp_path: Path, writer):
    (tmp_path / ".facerec.file.1.tmp").write_bytes(b"of a second one")
    writer.kill()
    writer.wait()
    write_file(tmp_path / "file", b"whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def test_a_fault_of_what_is_read_is_not_one_of_the_output(tmp_path: Path):
    with pytest.raises(OSError, match="Input/output") as caught, atomic_write(tmp_path / "file") as stream:
        stream.write(b"1")
        raise OSError(errno.EIO, "Input/output error", "photo.jpg")
    assert not isinstance(caught.value, OutputError) and list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits of the system")
def test_a_limit_is_told_of_the_file_whatever_the_library_between_says(tmp_path: Path):
    program = f"""
import resource, numpy, zipfile
from pathlib import Path
from facerec_cli.files import atomic_write
from facerec_cli.errors import OutputError
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
try:
    with atomic_write(Path({str(tmp_path / "a.npz")!r}), what="archive", hint="Then again.") as stream:
        numpy.savez(stream, a=numpy.zeros(9999))
except OutputError as fault:
    print(fault.exit_code, fault)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"8 The archive {tmp_path / 'a.npz'} cannot be written: File too large.")
    assert done.stdout.rstrip().endswith("Make room there, or name another place. Then again.")
    assert list(tmp_path.iterdir()) == []


def test_the_place_where_it_is_made_is_not_told(tmp_path: Path):
    fault = OSError(errno.ENOSPC, "No space left on device")
    for made in (tmp_path / ".facerec.net.onnx.tmp" / "net.onnx", tmp_path / "net.onnx"):
        assert str(output_error(made, fault)).startswith(
            f"{tmp_path / 'net.onnx'} cannot be written: No space"
        )


def test_the_root_of_a_disk_is_no_output():
    with pytest.raises(UsageError, match="cannot be an output"), lock(Path("/")):
        pass


def test_a_folder_in_the_way_is_named(tmp_path: Path):
    (tmp_path / "a").write_text("mine")
    with pytest.raises(OutputError) as caught:
        write_file(tmp_path / "a" / "b" / "c.npy", b"")
    assert caught.value.message.startswith(f"{tmp_path / 'a' / 'b' / 'c.npy'} cannot be written: ")
    with pytest.raises(OutputError, match="Is a directory"):
        write_file(tmp_path, b"")


def test_one_process_at_a_time(tmp_path: Path):
    program = f"""
from pathlib import Path
from facerec_cli.errors import UsageError
from facerec_cli.files import lock
try:
    with lock(Path({str(tmp_path / "out")!r})):
        print("held")
except UsageError as fault:
    print(fault.message)
"""

    def attempt() -> str:
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    with lock(tmp_path / "out"):
        assert attempt() == f"Another facerec is writing {tmp_path / 'out'} now."
        assert hidden(tmp_path) == [".facerec.out.lock"]
    assert attempt() == "held" and list(tmp_path.iterdir()) == []


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path):
    left = tmp_path / ".facerec.out.tmp"
    left.mkdir()
    (left / "half").write_text("of a killed process")
    with pytest.raises(ValueError), atomic_folder(tmp_path / "out") as folder:
        (folder / "a").write_text("1")
        raise ValueError
    assert list(tmp_path.iterdir()) == []
    with atomic_folder(tmp_path / "out") as folder:
        (folder / "a").write_text("1")
        assert not (tmp_path / "out").exists()
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "a"]


def test_files_that_belong_together_come_all_or_none(tmp_path: Path):
    """Killed between two of them: the next attempt takes away the first, and nothing else."""
    (tmp_path / "old").write_text("mine")
    places = [tmp_path / "a", tmp_path / "b"]
    kill = (
        "import os, sys; from pathlib import Path; from facerec_cli.workshop import *\n"
        "folder = Path(sys.argv[1]); replace = Path.replace; seen = []\n"
        "def stop(self, to):\n"
        "    seen.append(to)\n"
        "    if len(seen) == 2: os._exit(9)\n"
        "    return replace(self, to)\n"
        "Path.replace = stop\n"
        "with workshop(folder / 'a', [folder / 'a', folder / 'b']) as made:\n"
        "    for name in 'ab': (made / name).write_text(name)\n"
        "    move(made, {made / 'a': folder / 'a', made / 'b': folder / 'b'})\n"
    )
    assert subprocess.run([sys.executable, "-c", kill, str(tmp_path)], check=False).returncode == 9
    assert (tmp_path / "a").exists() and not (tmp_path / "b").exists()
    clear_workshop(tmp_path / "a", places)
    assert [path.name for path in tmp_path.iterdir() if "lock" not in path.name] == ["old"]
    with workshop(tmp_path / "a", places) as made:
        for name in "ab":
            (made / name).write_text(name)
        move(made, {made / "a": tmp_path / "a", made / "b": tmp_path / "b"})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "old"]


def test_a_journal_of_somebody_elses_takes_no_file_away(tmp_path: Path):
    """A folder that was unpacked from anywhere may hold one."""
    (tmp_path / "thesis").write_text("mine")
    planted = tmp_path / ".facerec.a.tmp"
    planted.mkdir()
    (planted / ".moving").write_text(json.dumps({"a": str(tmp_path / "thesis")}))
    with workshop(tmp_path / "a", [tmp_path / "a"]):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["thesis"]


def test_a_folder_that_was_moved_aside_when_a_process_was_killed_comes_back(tmp_path: Path):
    with atomic_folder(tmp_path / "out") as folder:
        (folder / "a").write_text("first")
    (tmp_path / "out").rename(tmp_path / ".facerec.out.old")
    clear_workshop(tmp_path / "out")
    assert (tmp_path / "out" / "a").read_text() == "first"
    with atomic_folder(tmp_path / "out", replace=True) as folder:
        (folder / "a").write_text("second")
        assert (tmp_path / "out" / "a").read_text() == "first", "until the block ends"
    assert (tmp_path / "out" / "a").read_text() == "second"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_link_to_a_folder_is_replaced_and_what_it_leads_to_stays(tmp_path: Path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a").write_text("mine")
    (tmp_path / "out").symlink_to(tmp_path / "real")
    with atomic_folder(tmp_path / "out", replace=True) as folder:
        (folder / "a").write_text("new")
    assert (tmp_path / "out" / "a").read_text() == "new" and not (tmp_path / "out").is_symlink()
    assert (tmp_path / "real" / "a").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "real"]
