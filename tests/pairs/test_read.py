"""Reading lists: every format, recognized; every broken one, refused with its line."""

from __future__ import annotations

import io
import os
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

from facerec_cli.errors import InputError, UsageError
from facerec_cli.pairs.read import read_pairs, recognize


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name in ("ann/ann_0001.jpg", "ann/ann_0002.jpg", "bob/bob_0001.png", "a b/1.jpg"):
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path


def write(folder: Path, text: str, name: str = "list.txt") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("header", ["1\t1\n", "1\n", ""])
@pytest.mark.parametrize("gap", ["\t", " "])
def test_lfw_lists(photos, header, gap):
    path = write(photos, header + "ann\t1\t2\nann\t1\tbob\t1\n".replace("\t", gap))
    pairs = read_pairs(path)
    assert (pairs.format, pairs.same.tolist()) == ("lfw", [True, False])
    names = [Path(image).name for image in pairs.images]
    assert names == ["ann_0001.jpg", "ann_0002.jpg", "bob_0001.png"]  # suffixes may be mixed
    assert pairs.identity.tolist() == [0, 0, 1]
    assert pairs.fold is None


def test_lfw_lists_as_tables_with_a_heading(photos):
    text = "name,imagenum1,imagenum2,\nann,1,2,\nann,1,bob,1\n"
    pairs = read_pairs(write(photos, text, "pairs.csv"))
    assert (pairs.format, pairs.same.tolist()) == ("lfw", [True, False])
    pairs = read_pairs(write(photos, "name\timagenum1\tname.1\timagenum2\nann\t1\tbob\t1\n"))
    assert (pairs.format, pairs.same.tolist()) == ("lfw", [False])


def test_lfw_folds_follow_the_heading(lfw):
    pairs = read_pairs(lfw / "pairs.txt")
    assert len(pairs) == 6000
    assert np.array_equal(pairs.fold, np.arange(6000) // 600)
    assert np.array_equal(pairs.same, np.tile(np.repeat([True, False], 300), 10))
    assert all(path.is_file() for path in pairs.images)


@pytest.mark.parametrize("heading", ["2 1", "4"])
def test_a_heading_that_announces_other_pairs_is_reported(photos, caplog, heading):
    caplog.set_level("WARNING", logger="facerec")
    three = "\nann 1 2\nann 1 bob 1\nann 2 bob 1\n"
    assert read_pairs(write(photos, heading + three)).fold is None
    assert f"announces {'4' if heading == '2 1' else '8'} pairs, the list has 3 pairs" in caplog.text


@pytest.mark.parametrize(
    "text",
    [
        "ann/ann_0001.jpg ann/ann_0002.jpg 1\nann/ann_0001.jpg bob/bob_0001.png 0\n",
        "ann/ann_0001.jpg,ann/ann_0002.jpg,same\nann/ann_0001.jpg,bob/bob_0001.png,different\n",
        "ann/ann_0001.jpg\tann/ann_0002.jpg\tTrue\r\nann/ann_0001.jpg\tbob/bob_0001.png\tFalse\r\n",
        "\ufefffirst;second;label\nann/ann_0001.jpg;ann/ann_0002.jpg;1\nann/ann_0001.jpg;bob/bob_0001.png;0\n",
        "one,two,same\nann/ann_0001.jpg,ann/ann_0002.jpg,1\nann/ann_0001.jpg,bob/bob_0001.png,0\n",
        "# mine\n#\nann/ann_0001.jpg ann/ann_0002.jpg 1\n# hard\nann/ann_0001.jpg bob/bob_0001.png 0\n",
        "1 ann/ann_0001.jpg ann/ann_0002.jpg\n0 ann/ann_0001.jpg bob/bob_0001.png\n",
        ",a,b,same\n0,ann/ann_0001.jpg,ann/ann_0002.jpg,1\n1,ann/ann_0001.jpg,bob/bob_0001.png,0\n",
        "fold;p1;p2;label;sex\n1;ann/ann_0001.jpg;ann/ann_0002.jpg;1;f\n2;ann/ann_0001.jpg;bob/bob_0001.png;0;m\n",
        "ann/ann_0001.jpg,ann/ann_0002.jpg,1.000000,\nann/ann_0001.jpg,bob/bob_0001.png,0.0,\n",
        '"ann/ann_0001.jpg"  "ann/ann_0002.jpg" yes\n\n"ann/ann_0001.jpg" "bob/bob_0001.png" no\n',
    ],
)
def test_labelled_lists(photos, text):
    pairs = read_pairs(write(photos, text))
    assert pairs.format == "labeled"
    assert pairs.same.tolist() == [True, False]
    assert (pairs.first.tolist(), pairs.second.tolist()) == ([0, 0], [1, 2])
    assert all(path.is_file() for path in pairs.images)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_lists_that_windows_wrote(photos, encoding):
    text = "images\\ann\\ann_0001.jpg\timages\\a b\\1.jpg\t0\r\n"
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    (photos / "list.txt").write_bytes((mark + text).encode(encoding))
    pairs = read_pairs(photos / "list.txt")
    assert [path.is_file() for path in pairs.images] == [True, True]


@pytest.mark.parametrize("odd", ["\u2028", "\x85", "\x0c", "\x1c"])
def test_only_line_feeds_end_a_line(photos, odd):
    names = (f"a{odd}b.jpg", "ann/ann_0001.jpg")
    (photos / names[0]).write_bytes(b"x")
    pairs = read_pairs(write(photos, "{} images/{} 0\n".format(*names)))
    assert pairs.names == (names[0], f"images/{names[1]}")


def test_lists_of_an_old_macintosh(photos):
    (photos / "list.txt").write_bytes(b"ann 1 2\rann 1 bob 1\r")
    assert len(read_pairs(photos / "list.txt")) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="no such names elsewhere")
def test_names_that_are_not_utf_8_are_read_as_other_commands_write_them(photos, caplog):
    caplog.set_level("WARNING", logger="facerec")
    (photos / "f\udcfc.jpg").write_bytes(b"x")
    (photos / "list.txt").write_bytes(b"f\xfc.jpg images/ann/ann_0001.jpg 0\n")
    pairs = read_pairs(photos / "list.txt")
    assert all(path.is_file() for path in pairs.images)
    assert "not UTF-8 text (byte 1)" in caplog.text


def test_names_that_are_too_long_are_missing_photos(photos):
    pairs = read_pairs(write(photos, "a" * 300 + ".jpg ann/ann_0001.jpg 0\n"))
    assert pairs.images[1].is_file()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_cannot_be_recognized_and_read(tmp_path):
    os.mkfifo(tmp_path / "list")
    with pytest.raises(InputError, match="--format"):
        read_pairs(tmp_path / "list")


def test_a_name_that_begins_with_a_hash_is_no_comment(photos):
    (photos / "images" / "#1.jpg").write_bytes(b"x")
    assert read_pairs(write(photos, "#1.jpg ann/ann_0001.jpg 0\n")).names[0] == "#1.jpg"


def test_quotes_hold_paths_with_spaces(photos):
    pairs = read_pairs(write(photos, '"a b/1.jpg" ann/ann_0001.jpg 0\n'))
    assert pairs.names == ("a b/1.jpg", "ann/ann_0001.jpg")


def test_calfw_lists_take_two_lines_a_pair(photos):
    text = "ann/ann_0001.jpg 3\nann/ann_0002.jpg 4\nann/ann_0001.jpg 0\nbob/bob_0001.png 0\n"
    pairs = read_pairs(write(photos, text))
    assert (pairs.format, pairs.same.tolist()) == ("calfw", [True, False])
    with pytest.raises(InputError, match="one is missing"):
        read_pairs(write(photos, text + "ann/ann_0001.jpg 1\n"))
    with pytest.raises(InputError, match="line 1: the two lines"):
        read_pairs(write(photos, "ann/ann_0001.jpg 0\nann/ann_0002.jpg 1\n"))


def test_root_names_the_folder_and_is_named_when_photos_are_missing(photos, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    path = write(elsewhere, "deep/x.jpg deep/y.jpg 1\n")
    with pytest.raises(InputError, match=r"x\.jpg.*--root"):
        read_pairs(path)
    (photos / "deep").mkdir()
    (photos / "deep" / "x.jpg").write_bytes(b"x")
    pairs = read_pairs(path, root=photos)  # one of two is enough to go on
    assert [p.is_file() for p in pairs.images] == [True, False]
    with pytest.raises(InputError, match="--root is not there"):
        read_pairs(path, root=tmp_path / "nowhere")


def test_repeats_are_reported_and_counted(photos, caplog):
    caplog.set_level("WARNING", logger="facerec")
    line = "ann/ann_0001.jpg ann/ann_0002.jpg"
    swapped = "ann/ann_0002.jpg ann/ann_0001.jpg"
    same = "ann/ann_0001.jpg ann/ann_0001.jpg 1\n"
    pairs = read_pairs(write(photos, f"{line} 1\n{swapped} 1\n{line} 0\n{same}"))
    assert len(pairs) == 4
    messages = [record.getMessage() for record in caplog.records]
    assert "2 pairs of 4 repeated; each is counted" in messages
    assert "listed both as same and as different: 1 pair" in messages
    assert "a photo is compared with itself in 1 pair" in messages


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("# nothing but a comment\n", "has no pair"),
        ("one,two,same\n", "none of the|None of the"),
        ("hello world out there\n", "first line is 'hello world out there'"),
        ("a.jpg b.jpg\nc.jpg d.jpg\n", "without a label"),
        ("a.jpg b.jpg 1\nc.jpg d.jpg 2\n", "line 2"),
        ('a.jpg "b.jpg 1\n', "quote is not closed"),
        ("my photo.jpg b.jpg 1\nc.jpg d.jpg 0\n", "double quotes"),
        ("a.jpg 0\nb.jpg " + "9" * 20 + "\n", "line 2"),
        ("ann 1 2\nann 1 " + "9" * 5000 + "\n", "line 2"),
        ("9" * 5000 + "\nann 1 2\n", "line 1: .* heading"),
    ],
)
def test_broken_lists_are_refused(photos, text, message):
    with pytest.raises(InputError, match=message):
        read_pairs(write(photos, text))


@pytest.mark.parametrize(
    ("lines", "blamed"),
    [
        (
            ["a/1.jpg a/2.jpg 1", "b/1.jpg b/2.jpg 1", "foo bar", "a/1.jpg b/1.jpg 0"],
            "line 3, unlike most, is 'foo bar'",
        ),
        (["2 1", "Ann 1 2", "Ann 1 Bob 2", "Bob 1 2", "Ann 1 Bob 1", "Ann"], "line 6, unlike most, is 'Ann'"),
        (["hello", "to you"], "its first line is 'hello'"),
        (["10 300"], "its first line is '10 300'"),
    ],
)
def test_the_line_that_is_unlike_the_others_is_blamed(tmp_path, lines, blamed):
    path = tmp_path / "pairs.txt"
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(InputError) as fault:
        read_pairs(path, images=False)
    assert blamed in fault.value.message


def test_unknown_format_and_missing_list(tmp_path):
    with pytest.raises(InputError, match="no pair list"):
        read_pairs(tmp_path / "none.txt")
    with pytest.raises(UsageError, match="Did you mean 'lfw'"):
        read_pairs(write(tmp_path, "x"), "lwf")


def test_a_binary_file_is_not_a_list(tmp_path):
    (tmp_path / "photo.txt").write_bytes(b"\xff\xd8\xff\x00\x10JFIF\0")
    with pytest.raises(InputError, match="JPEG photo and no list"):
        recognize(tmp_path / "photo.txt")


# ---- insightface .bin


def test_a_real_bin(shared):
    path = shared / "samples" / "small_lfw.bin"
    if not path.is_file():
        pytest.skip("needs ../shared/samples/small_lfw.bin")
    pairs = read_pairs(path)
    assert (pairs.format, len(pairs), pairs.aligned) == ("bin", 10, True)
    assert all(image[:2] == b"\xff\xd8" for image in pairs.images)  # JPEG
    assert pairs.same.all()


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_bins_of_bytes_and_of_arrays(tmp_path, protocol):
    images = [b"one", np.frombuffer(b"two", np.uint8), b"one", b"\x80\xff"]
    path = tmp_path / "set.bin"
    path.write_bytes(pickle.dumps((images, [True, np.bool_(False)]), protocol=protocol))
    pairs = read_pairs(path)
    assert pairs.images == (b"one", b"two", b"\x80\xff")
    assert (pairs.first.tolist(), pairs.second.tolist()) == ([0, 0], [1, 2])
    assert pairs.same.tolist() == [True, False]


def _protocol_5(buffer: bytes, kind: bytes, shape: bytes, order: bytes = b"X\x01\0\0\0C") -> bytes:
    """A set with an array as NumPy before 2.0 pickles it with protocol 5, and one of bytes."""
    array = b"cnumpy.core.numeric\n_frombuffer\n(" + buffer + kind + shape + order + b"tR"
    return b"\x80\x05](" + array + b"C\x03onee]\x88a\x86."


_TWO, _U1, _THREE = b"C\x03two", b"cnumpy\ndtype\n(X\x02\0\0\0u1\x89\x88tR", b"K\x03\x85"


def test_a_bin_of_protocol_5_and_an_older_numpy(tmp_path):
    (tmp_path / "set.bin").write_bytes(_protocol_5(_TWO, _U1, _THREE))
    assert read_pairs(tmp_path / "set.bin").images == (b"two", b"one")


@pytest.mark.parametrize(
    "payload",
    [
        _protocol_5(_TWO, _U1, b"M\xff\xff\x85"),  # a shape of more than there is
        _protocol_5(b"M\xff\xff", _U1, _THREE),  # a number in place of the bytes
        _protocol_5(_TWO, b"C\x01O", _THREE),  # a type that is none
        _protocol_5(_TWO, _U1, _THREE, b"X\x01\0\0\0K"),
        b"\x80\x05\x96\xff\xff\xff\xff\xff\0\0\0.",  # a bytearray of 2**40 bytes
        b"\x80\x05cnumpy._core.numeric\nfrombuffer\n.",
    ],
)
def test_hostile_arrays_of_protocol_5_are_refused(tmp_path, payload):
    (tmp_path / "evil.bin").write_bytes(payload)
    with pytest.raises(InputError, match=r"evil\.bin"):
        read_pairs(tmp_path / "evil.bin")


def test_a_bin_of_python_2(tmp_path):
    # What Python 2's pickle.dumps((['ab', 'cd'], [True]), 2) writes: str as SHORT_BINSTRING.
    path = tmp_path / "old.bin"
    path.write_bytes(b"\x80\x02]q\x00(U\x02abq\x01U\x02cdq\x02e]q\x03\x88a\x86q\x04.")
    assert read_pairs(path).images == (b"ab", b"cd")


class _Runs:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch {self.mark}",)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_pickle_that_runs_code_is_refused_and_does_not_run(tmp_path, protocol):
    mark, path = tmp_path / "ran", tmp_path / "evil.bin"
    path.write_bytes(pickle.dumps(([b"a", _Runs(mark)], [True]), protocol=protocol))
    with pytest.raises(InputError, match=r"asks for (posix|nt)\.system"):
        read_pairs(path)
    assert not mark.exists()


@pytest.mark.parametrize(
    "payload",
    [
        b"\x80\x02cbuiltins\neval\n.",
        b"\x80\x02cnumpy\nload\n.",
        b"\x80\x02c__builtin__\nbytes\nM\xff\xff\x85R.",  # bytes(65535)
        b"\x80\x02cnumpy\nndarray\nM\xff\xff\x85\x85R.",  # ndarray((65535,))
        b"\x80\x02K\x00r\xff\xff\xff\x7f.",  # a memo of two thousand million entries
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nM\xff\xff\x85U\x01b\x87R.",
        b"\x80\x02P1\n.",
    ],
)
def test_hostile_pickles_are_refused(tmp_path, payload):
    path = tmp_path / "evil.bin"
    path.write_bytes(payload)
    with pytest.raises(InputError, match=r"evil\.bin"):
        read_pairs(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (([b"a"], [True]), "1 images for 1 flags"),
        (([b"a", "text"], [True]), "str, not encoded bytes"),
        (([b"a", b"b"], [7]), "flag 7"),
        ([1], "does not hold"),
        ((5, [True]), "holds int in place of a list of images"),
        (([b"a", b"b"], None), "holds NoneType in place of a list of flags"),
        ((np.array(1), [True]), "holds ndarray in place of a list of images"),
    ],
)
def test_other_pickles_are_not_sets(tmp_path, content, message):
    path = tmp_path / "odd.bin"
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(InputError, match=message):
        read_pairs(path)


def test_a_truncated_bin(tmp_path):
    buffer = io.BytesIO()
    pickle.dump(([b"a" * 100] * 2, [True]), buffer)
    path = tmp_path / "cut.bin"
    path.write_bytes(buffer.getvalue()[:60])
    with pytest.raises(InputError, match="not a pickle of images"):
        read_pairs(path)


# ---- IJB


@pytest.fixture
def ijb(tmp_path: Path) -> Path:
    folder = tmp_path / "IJBX"
    (folder / "meta").mkdir(parents=True)
    (folder / "loose_crop").mkdir()
    for i in range(1, 5):
        (folder / "loose_crop" / f"{i}.jpg").write_bytes(b"x")
    write(
        folder / "meta",
        "1.jpg 10 1\n2.jpg 10 1\n3.jpg 10 2\n4.jpg 77 3\n1.jpg 77 4\n",
        "ijbx_face_tid_mid.txt",
    )
    write(folder / "meta", "10 77 1\n77 10 0\n", "ijbx_template_pair_label.txt")
    return folder


def test_ijb_folders(ijb):
    pairs = read_pairs(ijb)
    assert (pairs.format, pairs.same.tolist()) == ("ijb", [True, False])
    assert pairs.templates.names.tolist() == [10, 77]
    assert pairs.templates.image.tolist() == [0, 1, 2, 3, 0]
    assert all(path.is_file() for path in pairs.images)


def test_templates_are_means_in_a_media_and_sums_over_media(ijb):
    from facerec_cli.pairs.formats.ijb import pool

    vectors = np.random.default_rng(0).normal(size=(4, 8)).astype(np.float32)
    failed = np.array([False, False, False, True])
    pooled = pool(vectors, failed, read_pairs(ijb).templates)
    first = (vectors[0] + vectors[1]) / 2 + vectors[2]
    assert pooled[0] == pytest.approx(first / np.linalg.norm(first), abs=1e-6)
    assert pooled[1] == pytest.approx(vectors[0] / np.linalg.norm(vectors[0]), abs=1e-6)
    assert not pool(vectors, np.ones(4, bool), read_pairs(ijb).templates).any()


def test_ijb_files_that_do_not_fit(ijb):
    labels = ijb / "meta" / "ijbx_template_pair_label.txt"
    labels.write_text("10 78 1\n")
    with pytest.raises(InputError, match="template 78"):
        read_pairs(ijb)
    labels.write_text("10 77 3\n")
    with pytest.raises(InputError, match=r"template 0\|1"):
        read_pairs(ijb)
    labels.unlink()
    with pytest.raises(InputError, match="no file named"):
        read_pairs(ijb)


def test_ijb_landmarks(ijb):
    points = " ".join(str(v) for v in range(10))
    write(ijb / "meta", "".join(f"{i}.jpg {points} 0.9\n" for i in range(1, 5)), "ijbx_name_5pts_score.txt")
    landmarks = read_pairs(ijb).landmarks
    assert landmarks.shape == (4, 5, 2)
    assert landmarks[3, 4].tolist() == [8.0, 9.0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"1.jpg 99999999999999999999 1\n", "line 1"),
        (b"1.jpg " + b"9" * 5000 + b" 1\n", "line 1"),
        (b"\n", "is empty"),
    ],
)
def test_broken_files_of_ijb_are_refused(ijb, content, message):
    (ijb / "meta" / "ijbx_face_tid_mid.txt").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_pairs(ijb)


@pytest.mark.parametrize("name", ["ijbx_face_tid_mid.txt", "ijbx_template_pair_label.txt"])
def test_folders_in_place_of_files_of_ijb(ijb, name):
    (ijb / "meta" / name).unlink()
    (ijb / "meta" / name).mkdir()
    with pytest.raises(InputError, match="cannot be read"):
        read_pairs(ijb)


def test_ijb_files_that_windows_wrote(ijb):
    path = ijb / "meta" / "ijbx_face_tid_mid.txt"
    path.write_text(path.read_text(), "utf-16")
    assert read_pairs(ijb).templates.names.tolist() == [10, 77]


@pytest.mark.parametrize("label", ["10 99999999999999999999 1\n", "10 x 1\n"])
def test_broken_labels_of_ijb_are_refused(ijb, label):
    (ijb / "meta" / "ijbx_template_pair_label.txt").write_text(label)
    with pytest.raises(InputError, match="template_pair_label"):
        read_pairs(ijb)


@pytest.mark.parametrize("points", ["1 2 3 4 5 6 7 8 9 x 0.9", "1 2 3", "1 2 3 4 5 6 7 8 9 inf 0.9"])
def test_broken_landmarks_of_ijb_are_refused(ijb, points):
    write(ijb / "meta", f"1.jpg {points}\n", "ijbx_name_5pts_score.txt")
    with pytest.raises(InputError, match="5pts_score"):
        read_pairs(ijb)
