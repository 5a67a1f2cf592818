"""Files that somebody else made: damaged and made-up ones are refused, and no claim is believed."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from facerec_cli.untrusted import NpzFile, parse_json, parse_toml, parse_xml, read_npy


def npy(header: str | bytes, body: bytes = b"") -> bytes:
    text = header.encode() if isinstance(header, str) else header
    text = text.ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + body


def plain(shape: object, kind: str = "<f4") -> str:
    return f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}"


@pytest.mark.parametrize(
    "array",
    [np.zeros((0, 4), np.float32), np.arange(6.0).reshape(2, 3), np.asfortranarray(np.eye(3)), np.float16(2)],
)
def test_what_numpy_saves_is_read(tmp_path: Path, array: np.ndarray) -> None:
    np.save(tmp_path / "a.npy", array)
    assert np.array_equal(read_npy(tmp_path / "a.npy"), array)
    np.savez_compressed(tmp_path / "a.npz", one=array, two=np.array(["ä"]))
    with NpzFile(tmp_path / "a.npz") as stored:
        assert list(stored) == ["one", "two"]
        assert np.array_equal(stored["one"], array) and stored["two"].tolist() == ["ä"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x93NUMPY",
        npy(plain((1 << 40, 512))),  # two petabytes
        npy(plain((1 << 70, 4))),
        npy(plain((-1, 4)), b"0" * 16),
        npy(plain((4, 4)), b"0" * 63),
        npy(plain((1 << 62,), "<U0")),
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (4, 4"),
        npy("[" * 110),
        npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", b"\x80\x04."),
        npy("{'descr': '\\x00', 'fortran_order': False, 'shape': (1,), }"),
        npy("lambda: 0"),
        npy(b"\xff\xfe\x00" * 30),
        b"\x93NUMPY\x09\x00" + bytes(200),
    ],
)
def test_a_damaged_array_is_a_value_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(ValueError):
        read_npy(tmp_path / "a.npy")
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("a.npy", content)
    with NpzFile(tmp_path / "a.npz") as stored, pytest.raises(ValueError):
        stored["a"]


def test_an_archive_that_unpacks_to_far_more_than_it_holds_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", npy(plain((1, 4)), bytes(16)))
    data = (tmp_path / "a.npz").read_bytes()
    at = data.rindex(b"PK\x01\x02") + 24  # the size in the directory
    (tmp_path / "a.npz").write_bytes(data[:at] + struct.pack("<I", 0xFFFFFFF0) + data[at + 4 :])
    with NpzFile(tmp_path / "a.npz") as stored, pytest.raises(ValueError, match="claims"):
        stored["a"]


@pytest.mark.parametrize("at", range(0, 300, 7))
def test_an_archive_with_a_wrong_byte_is_read_or_a_value_error(tmp_path: Path, at: int) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, embeddings=np.eye(8, dtype=np.float32))
    data = bytearray(buffer.getvalue())
    data[at % len(data)] ^= 0x55
    (tmp_path / "a.npz").write_bytes(data)
    try:
        with NpzFile(tmp_path / "a.npz") as stored:
            for name in stored:
                assert stored[name].size <= 64
    except (ValueError, OSError):
        pass


def test_documents_that_are_nested_too_deeply() -> None:
    for text in ("[" * 100_000, '{"a":' * 100_000):
        with pytest.raises(ValueError, match="nested"):
            parse_json(text)
    with pytest.raises(ValueError, match="nested"):
        parse_toml("a = " + "[" * 100_000)
    assert parse_json(b'\xef\xbb\xbf{"a": [1]}') == {"a": [1]} and parse_toml("a = [1]") == {"a": [1]}


@pytest.mark.parametrize(
    "text",
    [
        b"<!DOCTYPE a [<!ENTITY x 'aaa'><!ENTITY y '&x;&x;&x;'>]><a>&y;</a>",
        b"<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>",
        b"<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>",
        b"<!DOCTYPE a [<!ENTITY % p SYSTEM 'http://127.0.0.1/x'> %p;]><a/>",
        b"<!DOCTYPE a><a/>",
        "<?xml version='1.0' encoding='utf-16'?><!DOCTYPE a [<!ENTITY x 'a'>]><a>&x;</a>".encode("utf-16"),
    ],
)
def test_documents_with_a_type_are_refused_before_an_entity_is_read(text: bytes) -> None:
    with pytest.raises(ValueError, match="a document type, which can hold attacks"):
        parse_xml(text)


@pytest.mark.parametrize(
    "text",
    [
        b"", b"\xff\xfe", b"<a>", b"<a>&x;</a>", b"<a>&#0;</a>", b"<a><b></a></b>", b"<a/><b/>", b"<a>" * 101,
        b"<?xml version='1.0' encoding='nope'?><a/>", b"<x:a/>", b"<a b='1' b='2'/>",
    ],
)  # fmt: skip
def test_damaged_xml_is_a_value_error(text: bytes) -> None:
    with pytest.raises(ValueError):
        parse_xml(text)


def test_xml_has_its_comments_and_prefixes() -> None:
    root, prefixes = parse_xml(b"<a xmlns:x='one' xmlns='two'><!--c--><x:b xmlns:x='three' x:d='4'/></a>")
    assert root.tag == "{two}a" and root[0].text == "c" and root[1].get("{three}d") == "4"
    assert prefixes == {"one": "x", "two": ""}
