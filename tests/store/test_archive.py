"""Archives from outside: only the wanted files come out, and hostile ones are refused whole."""

from __future__ import annotations

import stat
import struct
import zipfile

import pytest

from facerec_cli.errors import ModelError
from facerec_cli.store.archive import extract


def make(path, entries):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return path


@pytest.fixture
def target(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.mark.parametrize("prefix", ["", "buffalo_l/", "a/b/"])
def test_wanted_files_come_out_flat_wherever_they_are(tmp_path, target, prefix):
    entries = [(f"{prefix}det.onnx", b"D"), (f"{prefix}rec.onnx", b"R"), (f"{prefix}other.onnx", b"O")]
    extract(make(tmp_path / "a.zip", entries), ["det.onnx", "rec.onnx"], target)
    assert {p.name: p.read_bytes() for p in target.iterdir()} == {"det.onnx": b"D", "rec.onnx": b"R"}


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil", "..\\evil", "C:\\evil", "c:evil"])
def test_paths_that_lead_out_are_refused(tmp_path, target, name):
    archive = make(tmp_path / "a.zip", [("det.onnx", b"D")])
    with zipfile.ZipFile(archive, "a") as opened:
        info = zipfile.ZipInfo("x")
        info.filename = name  # not through the constructor, which would clean it
        opened.writestr(info, b"x")
    with pytest.raises(ModelError, match="refused"):
        extract(archive, ["det.onnx"], target)
    assert list(target.iterdir()) == [] and not (tmp_path / "evil").exists()


def test_links_are_refused(tmp_path, target):
    archive = make(tmp_path / "a.zip", [("det.onnx", b"D")])
    with zipfile.ZipFile(archive, "a") as opened:
        link = zipfile.ZipInfo("rec.onnx")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        opened.writestr(link, "/etc/passwd")
    with pytest.raises(ModelError, match="is a link"):
        extract(archive, ["det.onnx", "rec.onnx"], target)
    assert list(target.iterdir()) == []


def test_a_bomb_is_refused_before_it_unpacks(tmp_path, target):
    archive = make(tmp_path / "a.zip", [("det.onnx", b"\0" * 5_000_000)])
    assert archive.stat().st_size < 10_000
    with pytest.raises(ModelError, match="unpacks to 5,000,000 bytes"):
        extract(archive, ["det.onnx"], target, max_bytes=1_000_000)
    assert list(target.iterdir()) == []


def test_a_bomb_that_lies_about_its_size_does_not_unpack_beyond_it(tmp_path, target):
    archive = make(tmp_path / "a.zip", [("det.onnx", b"\0" * 5_000_000)])
    lied = archive.read_bytes().replace(struct.pack("<I", 5_000_000), struct.pack("<I", 100))
    archive.write_bytes(lied)
    with pytest.raises(ModelError, match="not a whole zip"):
        extract(archive, ["det.onnx"], target, max_bytes=1_000_000)
    assert sum(path.stat().st_size for path in target.iterdir()) <= 100


def test_too_many_entries_are_refused(tmp_path, target):
    with pytest.raises(ModelError, match="1,001 entries"):
        extract(make(tmp_path / "a.zip", [(f"{n}", b"") for n in range(1001)]), ["0"], target)


@pytest.mark.parametrize("entries", [[("other.onnx", b"")], [("a/det.onnx", b"1"), ("b/det.onnx", b"2")]])
def test_a_wanted_file_must_be_there_once(tmp_path, target, entries):
    with pytest.raises(ModelError, match=r"det\.onnx . times, not once"):
        extract(make(tmp_path / "a.zip", entries), ["det.onnx"], target)


@pytest.mark.parametrize("damage", ["text", "cut", "bit"])
def test_damaged_archives_are_refused(tmp_path, target, damage):
    archive = make(tmp_path / "a.zip", [("det.onnx", bytes(range(256)) * 40)])
    content = bytearray(archive.read_bytes())
    if damage == "text":
        content = bytearray(b"<html>404</html>")
    elif damage == "cut":
        content = content[:-30]
    else:
        content[60] ^= 0xFF
    archive.write_bytes(content)
    with pytest.raises(ModelError):
        extract(archive, ["det.onnx"], target)


def test_encrypted_entries_are_refused(tmp_path, target):
    archive = make(tmp_path / "a.zip", [("det.onnx", b"D")])
    content = bytearray(archive.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(content)
    with pytest.raises(ModelError, match="encrypted"):
        extract(archive, ["det.onnx"], target)
