"""RecordIO against records made by hand with struct, and the dmlc writer's rule for the magic word."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facerec_cli.data.formats.rec.recordio import MAGIC_BYTES, frame, pack, read_record, scan, unpack
from facerec_cli.errors import InputError

words = st.lists(st.sampled_from([MAGIC_BYTES, b"\0\0\0\0", b"abcd", b"\x0a#\xd7", b"x"]), max_size=12)


def reader(data: bytes):
    return lambda offset, size: data[offset : offset + size]


def test_frame_of_a_plain_payload_is_magic_length_data_padding():
    assert frame(b"hello") == struct.pack("<II", 0xCED7230A, 5) + b"hello\0\0\0"


def test_frame_cuts_at_an_aligned_magic_word_and_drops_it():
    expected = (
        struct.pack("<II", 0xCED7230A, 1 << 29 | 4)
        + b"abcd"
        + struct.pack("<II", 0xCED7230A, 2 << 29 | 0)
        + struct.pack("<II", 0xCED7230A, 3 << 29 | 1)
        + b"z\0\0\0"
    )
    assert frame(b"abcd" + MAGIC_BYTES + MAGIC_BYTES + b"z") == expected


def test_an_unaligned_magic_word_is_not_cut():
    payload = b"x" + MAGIC_BYTES + b"yyy"
    assert frame(payload) == struct.pack("<II", 0xCED7230A, 8) + payload


@given(st.lists(words.map(b"".join), min_size=1, max_size=5), st.integers(8, 100))
def test_records_come_back_whatever_they_hold(payloads, expected):
    file = b"".join(map(frame, payloads))
    starts = list(scan(reader(file), len(file)))
    assert len(starts) == len(payloads)
    for start, payload, following in zip(starts, payloads, [*starts[1:], len(file)], strict=True):
        assert read_record(reader(file), start, expected=expected) == (payload, following)


@given(words.map(b"".join), st.integers(min_value=1))
def test_a_cut_file_is_refused_by_reader_and_scan(payload, cut):
    file = frame(payload)
    file = file[: len(file) - 1 - cut % len(file)]
    if not file:
        return
    with pytest.raises(InputError, match=r"ends inside|No record"):
        list(scan(reader(file), len(file)))


def test_a_record_that_ends_early_is_refused():
    file = frame(b"a" * 100)
    with pytest.raises(InputError, match="ends inside the record at byte 0"):
        read_record(reader(file[:50]), 0)
    with pytest.raises(InputError, match="No record begins at byte 4"):
        read_record(reader(file), 4)


def test_a_middle_part_is_no_beginning():
    file = frame(MAGIC_BYTES + b"rest")
    with pytest.raises(InputError, match="begins in the middle"):
        read_record(reader(file), 8)
    with pytest.raises(InputError, match="No record"):
        list(scan(reader(file[8:]), len(file) - 8))


def test_header_with_one_label_is_24_bytes():
    payload = struct.pack("<IfQQ", 0, 7.0, 99, 0) + b"photo"
    assert pack(7.0, 99, b"photo") == payload
    header, data = unpack(payload)
    assert (header.labels.tolist(), header.key, header.many, data) == ([7.0], 99, False, b"photo")


def test_header_with_many_labels_lists_them_after_it():
    payload = struct.pack("<IfQQ3f", 3, 0.0, 5, 0, 1.0, 2.5, -3.0) + b"photo"
    assert pack(np.array([1.0, 2.5, -3.0], np.float32), 5, b"photo") == payload
    header, data = unpack(payload)
    assert (header.labels.tolist(), header.many, data) == ([1.0, 2.5, -3.0], True, b"photo")


@pytest.mark.parametrize("payload", [b"", b"short", struct.pack("<IfQQ", 2**31, 0, 0, 0)])
def test_a_payload_without_room_for_its_header_is_refused(payload):
    with pytest.raises(InputError):
        unpack(payload)


def test_real_records_of_im2rec(shared: Path):
    """12 photos that mxnet's im2rec packed: every offset, key and label is in its .idx and .lst."""
    folder = shared / "samples" / "recordio"
    if not folder.is_dir():
        pytest.skip("needs ../shared/samples/recordio")
    file = (folder / "train.rec").read_bytes()
    index = [tuple(map(int, line.split())) for line in (folder / "train.idx").read_text().splitlines()]
    listed = [line.split("\t") for line in (folder / "train.lst").read_text().splitlines()]
    assert list(scan(reader(file), len(file))) == [offset for _, offset in index]
    rewritten = b""
    for (key, offset), line in zip(index, listed, strict=True):
        payload, _ = read_record(reader(file), offset)
        header, data = unpack(payload)
        assert header.key == key == int(line[0])
        np.testing.assert_allclose(header.labels, np.array(line[1:-1], np.float32))
        assert data[:2] == b"\xff\xd8"
        rewritten += frame(pack(header.labels, header.key, data))
    assert rewritten == file
