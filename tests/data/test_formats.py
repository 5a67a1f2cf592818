"""Each format opens, says what it holds, and refuses what it cannot use."""

from __future__ import annotations

import os
import pickle
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from facerec_cli.data import cache, open_dataset
from facerec_cli.data.formats.positioned import PositionedFile
from facerec_cli.data.formats.rec.recordio import MAGIC_BYTES, frame, pack
from facerec_cli.data.loading.augment import Augment
from facerec_cli.data.loading.batches import BatchBuilder
from facerec_cli.data.loading.samplers import Shuffled
from facerec_cli.data.tools.convert import convert
from facerec_cli.errors import FacerecError, InputError, UsageError
from facerec_cli.home import cache_folder

NAMES = ["alice", "bob", "d.v", "site/eve", "Ελένη"]
COUNTS = [1, 2, 4, 6, 3]


def tree(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


def test_folder(people: Path):
    dataset = open_dataset(people)
    assert list(dataset.class_names) == NAMES
    assert np.bincount(dataset.labels).tolist() == COUNTS
    assert dataset.labels.dtype == np.int64
    assert dataset.name(0) == "alice/0.v1.jpg"
    assert dataset.image(0).shape == (112, 112, 3)
    assert dataset.warnings == ()


def test_folder_leaves_out_what_is_no_photo_and_says_so(people: Path):
    (people / "nobody").mkdir()
    (people / "bob" / "notes.txt").write_text("not a photo")
    (people / "bob" / ".DS_Store").write_text("hidden")
    (people / "loose.jpg").write_bytes((people / "alice" / "0.v1.jpg").read_bytes())
    (people / "bob" / "loop").symlink_to(people)
    dataset = open_dataset(people)
    assert list(dataset.class_names) == NAMES
    assert np.bincount(dataset.labels).tolist() == COUNTS
    assert dataset.warnings == (
        "left out: 1 folder without a photo",
        "left out: 1 file that is no photo",
        "left out: 1 photo outside the people's folders",
    )


def test_image_is_rgb(tmp_path: Path):
    import cv2

    (tmp_path / "a").mkdir()
    red = np.zeros((8, 8, 3), np.uint8)
    red[..., 2] = 255  # OpenCV writes BGR
    cv2.imwrite(str(tmp_path / "a" / "red.png"), red)
    assert open_dataset(tmp_path).image(0)[0, 0].tolist() == [255, 0, 0]


def test_a_photo_whose_decoder_gives_memory_that_is_read_only_is_rgb_too(tmp_path: Path):
    heif = pytest.importorskip("pillow_heif")
    (tmp_path / "ann").mkdir()
    red = np.zeros((64, 64, 3), np.uint8)
    red[..., 0] = 200
    heif.from_bytes("RGB", (64, 64), red.tobytes()).save(tmp_path / "ann" / "1.heic", quality=-1)
    image = open_dataset(tmp_path).image(0)
    assert image[32, 32, 0] > 150 and image[32, 32, 2] < 60


@pytest.mark.parametrize(
    ("target", "to"), [("x.rec", "rec"), ("x", "rec"), ("tars", "tar"), ("copy", "folder")]
)
def test_there_and_back_gives_the_same_files(people: Path, tmp_path: Path, target: str, to: str):
    convert(open_dataset(people), tmp_path / "out" / target, to)
    between = open_dataset(tmp_path / "out" / target)
    assert between.format == to
    assert list(between.class_names) == NAMES
    assert np.bincount(between.labels).tolist() == COUNTS
    convert(between, tmp_path / "back", "folder")
    assert tree(tmp_path / "back") == tree(people)
    assert not list(tmp_path.rglob("*partial*"))


def test_list_there_and_back(people: Path, tmp_path: Path):
    convert(open_dataset(people), tmp_path / "list.txt")
    listed = open_dataset(tmp_path / "list.txt")
    assert list(listed.class_names) == NAMES
    convert(listed, tmp_path / "back")
    assert tree(tmp_path / "back") == tree(people)


@pytest.mark.parametrize("between", ["", "x.rec", "tars"])
def test_photos_whose_names_are_one_with_a_suffix_are_all_written(people: Path, tmp_path: Path, between: str):
    photos = [(people / "bob" / name).read_bytes() for name in ("0.v1.jpg", "1.v1.png")]
    for name, photo in zip(("1", "1.jpg"), photos, strict=True):
        (tmp_path / name).write_bytes(photo)
    (tmp_path / "list.txt").write_text("1\t0\n1.jpg\t0\n0\t0\n")
    (tmp_path / "0").write_bytes(photos[1])
    dataset = open_dataset(tmp_path / "list.txt")
    if between:
        convert(dataset, tmp_path / "between" / between, "tar" if between == "tars" else None)
        dataset = open_dataset(tmp_path / "between" / between)
    convert(dataset, tmp_path / "out")
    assert sorted(tree(tmp_path / "out").values()) == sorted([*photos, photos[1]])


def test_rec_written_here_has_insightfaces_layout(people: Path, tmp_path: Path):
    convert(open_dataset(people), tmp_path / "out" / "train.rec")
    data = (tmp_path / "out" / "train.rec").read_bytes()
    lead = struct.unpack_from("<IIIfQQ2f", data)
    assert lead == (0xCED7230A, 32, 2, 0.0, 0, 0, 17.0, 22.0)  # 16 photos are records 1..16, people 17..21
    assert (tmp_path / "out" / "property").read_text() == "5,112,112\n"
    index = dict(map(int, line.split()) for line in (tmp_path / "out" / "train.idx").read_text().splitlines())
    assert list(index) == list(range(22))
    ranges = [struct.unpack_from("<IfQQ2f", data, index[key] + 8)[-2:] for key in range(17, 22)]
    assert ranges == [(1, 2), (2, 4), (4, 8), (8, 14), (14, 17)]
    labels = [struct.unpack_from("<f", data, index[key] + 12)[0] for key in range(1, 17)]
    assert labels == open_dataset(tmp_path / "out").labels.tolist() == np.repeat(range(5), COUNTS).tolist()


def write_rec(path: Path, payloads: list[bytes], keys: list[int] | None = None) -> None:
    offset, lines = 0, []
    with path.open("wb") as file:
        for number, payload in enumerate(payloads):
            lines.append(f"{keys[number] if keys else number}\t{offset}\n")
            offset += file.write(frame(payload))
    path.with_suffix(".idx").write_text("".join(lines))


def test_rec_without_header_takes_every_record(tmp_path: Path):
    labels = [2, 0, 1, 1, 0]
    write_rec(
        tmp_path / "a.rec", [pack(float(label), key, b"photo%d" % key) for key, label in enumerate(labels)]
    )
    dataset = open_dataset(tmp_path / "a.rec")
    assert dataset.labels.tolist() == labels
    assert dataset.read(3) == b"photo3"
    assert dataset.name(3) == "1/00000003"


def test_rec_with_many_labels_uses_the_first(tmp_path: Path):
    labels = np.array([[1, 9], [0, 8], [1, 7]], np.float32)
    write_rec(
        tmp_path / "a.rec",
        [pack(row, key, b"a photo of more than 16 bytes") for key, row in enumerate(labels)],
    )
    assert open_dataset(tmp_path / "a.rec").labels.tolist() == [1, 0, 1]


def test_rec_with_magic_words_in_photos_and_header(tmp_path: Path):
    photos = [MAGIC_BYTES * 3, b"ab" + MAGIC_BYTES, b"", MAGIC_BYTES + b"x"]
    magic = struct.unpack("<I", MAGIC_BYTES)[0]
    payloads = [pack(float(key % 2), magic if key == 1 else key, photo) for key, photo in enumerate(photos)]
    write_rec(tmp_path / "a.rec", payloads)
    dataset = open_dataset(tmp_path / "a.rec")
    assert dataset.labels.tolist() == [0, 1, 0, 1]
    assert [dataset.read(index) for index in range(4)] == photos


def test_rec_shuffled_index_and_identities_out_of_order(tmp_path: Path):
    """Identity records whose order is not the label: the headers are what counts."""
    payloads = [
        pack(np.array([4, 6], np.float32), 0, b""),
        *(pack(float(label), key, b"p%d" % key) for key, label in enumerate([1, 1, 0], 1)),
        pack(np.array([1, 3], np.float32), 4, b""),
        pack(np.array([3, 4], np.float32), 5, b""),
    ]
    write_rec(tmp_path / "a.rec", payloads)
    index = tmp_path / "a.idx"
    index.write_text("".join(reversed(index.read_text().splitlines(keepends=True))))
    dataset = open_dataset(tmp_path / "a.rec")
    assert dataset.labels.tolist() == [1, 1, 0]
    assert [dataset.read(index) for index in range(3)] == [b"p1", b"p2", b"p3"]


def test_rec_without_index_is_scanned(people: Path, tmp_path: Path):
    convert(open_dataset(people), tmp_path / "out" / "train.rec")
    before = open_dataset(tmp_path / "out")
    (tmp_path / "out" / "train.idx").unlink()
    after = open_dataset(tmp_path / "out")
    assert "train.idx is missing" in after.warnings[0]
    assert after.labels.tolist() == before.labels.tolist()
    assert [after.read(i) for i in range(16)] == [before.read(i) for i in range(16)]


def test_rec_is_pickled_without_its_open_file(people: Path, tmp_path: Path):
    convert(open_dataset(people), tmp_path / "out" / "train.rec")
    dataset = open_dataset(tmp_path / "out")
    dataset.name(0), dataset.read(0)
    again = pickle.loads(pickle.dumps(dataset))
    assert again.read(5) == dataset.read(5)
    assert again.name(5) == dataset.name(5)


@pytest.mark.parametrize("kind", ["folder", "rec", "list", "tar", "synthetic"])
def test_what_workers_get_can_be_pickled(people: Path, tmp_path: Path, kind: str):
    """As macOS and Windows, which spawn workers, do; the copy reads the same photos."""
    target = {"rec": "x.rec", "list": "x.txt", "tar": "x.tar"}
    if kind in target:
        convert(open_dataset(people), tmp_path / target[kind], kind)
    spec = tmp_path / target[kind] if kind in target else people if kind == "folder" else "synthetic:4:4"
    dataset = open_dataset(spec)
    order = Shuffled(dataset.labels, 4)
    builder = BatchBuilder(dataset, seed=0, size=112, augment=Augment(), degradations=())
    before, after = builder[order.plan(0, 1)], pickle.loads(pickle.dumps(builder))[order.plan(0, 1)]
    assert torch.equal(before.images, after.images)
    assert torch.equal(before.labels, after.labels)


def test_threads_share_a_file_where_reading_moves_its_position(tmp_path: Path, monkeypatch):
    """As on Windows, which has no ``pread``."""
    monkeypatch.delattr(os, "pread", raising=False)
    path = tmp_path / "numbers"
    path.write_bytes(np.arange(20_000, dtype="<u4").tobytes())
    file = PositionedFile(path)
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda i: int.from_bytes(file(4 * i, 4), "little"), range(20_000)))
    assert found == list(range(20_000))


def test_real_rec_of_im2rec(shared: Path):
    dataset = open_dataset(shared / "samples" / "recordio")
    assert len(dataset) == 12
    assert list(dataset.class_names) == ["4"]  # every car is labelled 4
    assert "numbered anew" in dataset.warnings[0]
    assert dataset.image(0).shape == (438, 780, 3)  # the .lst says 780 x 438
    assert dataset.name(3) == "Mercedes/mercedes/4.jpg"


def spoil(folder: Path, how: str) -> None:
    rec, idx, prop = folder / "train.rec", folder / "train.idx", folder / "property"
    if how == "truncated":
        rec.write_bytes(rec.read_bytes()[:-30])
    elif how == "half":
        rec.write_bytes(rec.read_bytes()[:2000])
    elif how == "half, no index":
        idx.unlink()
        rec.write_bytes(rec.read_bytes()[:2000])
    elif how == "offsets":
        idx.write_text(
            "".join(f"{k}\t{int(o) + 4}\n" for k, o in map(str.split, idx.read_text().splitlines()))
        )
    elif how == "text":
        idx.write_text(idx.read_text() + "seventeen\t12\n")
    elif how == "half a line":
        idx.write_text(idx.read_text().rstrip("\n").rsplit("\t", 1)[0])
    elif how == "twice":
        idx.write_text(idx.read_text() + idx.read_text().splitlines()[3] + "\n")
    elif how == "short":
        idx.write_text("".join(idx.read_text().splitlines(keepends=True)[:9]))
    elif how == "empty index":
        idx.write_text("")
    elif how == "classes":
        prop.write_text("4,112,112\n")
    elif how == "count":
        prop.write_text("5,112,112\n17\n")
    elif how == "property":
        prop.write_text("five people\n")
    elif how == "no rec":
        rec.unlink()
    elif how == "other file":
        rec.write_bytes(b"PK\x03\x04" * (rec.stat().st_size // 4 + 1))


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("truncated", "truncated"),
        ("half", "index speaks of a record at byte"),
        ("half, no index", "ends inside the record"),
        ("offsets", "no record begins|does not match"),
        ("text", "Line 23 of .*train.idx is not"),
        ("half a line", "Line 22 of"),
        ("twice", "lists record 3 twice"),
        ("short", "index ends at 8"),
        ("empty index", "is empty"),
        ("classes", r"label 4, but its property file says 4 classes"),
        ("count", "holds 16 photos, but its property file says 17"),
        ("property", "is no property file"),
        ("other file", "does not match"),
    ],
)
def test_a_damaged_rec_is_refused_with_the_reason(people: Path, tmp_path: Path, how: str, message: str):
    convert(open_dataset(people), tmp_path / "out" / "train.rec")
    spoil(tmp_path / "out", how)
    with pytest.raises(InputError, match=message) as caught:
        open_dataset(tmp_path / "out" / "train.rec")
    assert caught.value.hint


@pytest.mark.parametrize("label", [-1.0, 0.5, float("nan"), float("inf"), 3e9])
def test_a_rec_label_that_is_no_class_is_refused(tmp_path: Path, label: float):
    write_rec(tmp_path / "a.rec", [pack(0.0, 0, b"p"), pack(label, 1, b"p")])
    with pytest.raises(InputError, match=r"Photo 1 of .* no class number"):
        open_dataset(tmp_path / "a.rec")


def test_gaps_without_property_are_closed_and_with_it_kept(tmp_path: Path):
    write_rec(tmp_path / "a.rec", [pack(label, key, b"p") for key, label in enumerate([7.0, 2.0, 7.0])])
    dataset = open_dataset(tmp_path / "a.rec")
    assert (dataset.labels.tolist(), list(dataset.class_names)) == ([1, 0, 1], ["2", "7"])
    assert dataset.read(0) == b"p"
    (tmp_path / "property").write_text("10,112,112\n")
    dataset = open_dataset(tmp_path / "a.rec")
    assert (dataset.labels.tolist(), dataset.num_classes) == ([7, 2, 7], 10)
    assert "8 of the 10 classes" in dataset.warnings[0]


def test_a_rec_that_changes_under_its_labels_is_noticed(tmp_path: Path):
    """The first and last photo of each person are probed; one in the middle is found when it is read."""
    ids = [0, 0, 1, 0, 0]  # the third photo belongs to nobody's range
    payloads = [
        pack(np.array([6, 7], np.float32), 0, b""),
        *(pack(float(label), key, b"p") for key, label in enumerate(ids, 1)),
        pack(np.array([1, 6], np.float32), 6, b""),
    ]
    write_rec(tmp_path / "a.rec", payloads)
    dataset = open_dataset(tmp_path / "a.rec")
    with pytest.raises(InputError, match=r"labeled 1, but 0 was expected"):
        dataset.read(2)


@pytest.mark.parametrize(
    "text", ["a.jpg\t0\nb c.jpg\t1\n", '# two\na.jpg,0\n\n"b c.jpg",1\n', "a.jpg 0\nb c.jpg 1\n"]
)
def test_list_separators(tmp_path: Path, text: str):
    (tmp_path / "list.txt").write_text(text)
    dataset = open_dataset(tmp_path / "list.txt")
    assert [dataset.name(0), dataset.name(1)] == ["a.jpg", "b c.jpg"]
    assert dataset.labels.tolist() == [0, 1]
    with pytest.raises(InputError, match=r"a\.jpg cannot be read"):
        dataset.read(0)


def test_list_names_and_gaps(tmp_path: Path):
    (tmp_path / "names.txt").write_text("1.jpg zoe\n2.jpg adam\n3.jpg zoe\n")
    named = open_dataset(tmp_path / "names.txt")
    assert (named.labels.tolist(), list(named.class_names)) == ([1, 0, 1], ["adam", "zoe"])
    (tmp_path / "gaps.txt").write_text("1.jpg 10\n2.jpg 2\n")
    gaps = open_dataset(tmp_path / "gaps.txt")
    assert (gaps.labels.tolist(), list(gaps.class_names)) == ([1, 0], ["2", "10"])
    assert "gaps" in gaps.warnings[0]


def test_foreign_tar(tmp_path: Path, write_tar):
    write_tar(tmp_path / "a-0.tar", {"x/1.jpg": b"one", "x/1.cls": b"1", "x/1.json": b"{}"})
    write_tar(tmp_path / "a-1.tar", {"2.cls": b"0\n", "2.JPG": b"two"})
    for spec in (tmp_path, tmp_path / "a-*.tar", tmp_path / "a-{0..1}.tar"):
        dataset = open_dataset(spec)
        assert dataset.labels.tolist() == [1, 0]
        assert [dataset.read(0), dataset.read(1)] == [b"one", b"two"]
        assert [dataset.name(0), dataset.name(1)] == ["1/x_1.jpg", "0/2.JPG"]


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"1.jpg": b"one"}, "without its label"),
        ({"1.jpg": b"one", "1.cls": b"x"}, "no class number"),
        ({"1.jpg": b"one", "1.cls": b"99999999999999999999"}, "no class number"),
        ({"1.jpg": b"one", "1.cls": b"999999999"}, "no class number"),
        ({"1.jpg": b"one", "1.cls": "\u0663\u00b2".encode()}, "no class number"),
        ({}, "holds no photos"),
    ],
)
def test_bad_tar(tmp_path: Path, write_tar, members: dict[str, bytes], message: str):
    write_tar(tmp_path / "a.tar", members)
    with pytest.raises(InputError, match=message):
        open_dataset(tmp_path / "a.tar")


@pytest.mark.parametrize("kind", ["tar", "rec", "txt"])
def test_a_wrong_byte_is_read_or_refused_and_never_a_fault_of_ours(people: Path, tmp_path: Path, kind: str):
    """Any fault that a parser of tar, RecordIO or text finds is told as one of the file."""
    target = tmp_path / "out" / {"tar": "x.tar", "rec": "x.rec", "txt": "x.txt"}[kind]
    convert(open_dataset(people), target)
    files = sorted(
        path for path in [target, *target.parent.glob("x.*"), *target.parent.glob("prop*")] if path.is_file()
    )
    if not files:
        files = sorted(target.glob("*.tar"))
    draw = np.random.default_rng(7)
    refused = 0
    for turn in range(45):
        file = files[turn % len(files)]
        whole = file.read_bytes()
        data = bytearray(whole)
        for at in draw.integers(0, min(len(data), 2000), 1 + turn % 3):
            data[at] = draw.integers(0, 256)
        file.write_bytes(data)
        try:
            dataset = open_dataset(target)
            dataset.name(0), dataset.labels.max(), dataset.read(0)
        except FacerecError as fault:
            refused += 1
            assert fault.exit_code in (2, 3)
        file.write_bytes(whole)
    assert refused > 2


@pytest.mark.parametrize("labels", [[1.0, float("inf")], [1.0, float("nan")]])
def test_a_first_record_with_impossible_numbers_is_no_header(tmp_path: Path, labels: list[float]):
    write_rec(tmp_path / "a.rec", [pack(np.array(labels, np.float32), 0, b""), pack(0.0, 1, b"p")])
    assert open_dataset(tmp_path / "a.rec").labels.tolist() == [1, 0]


def test_class_numbers_take_no_memory_of_their_size(tmp_path: Path):
    (tmp_path / "list.txt").write_text("1.jpg 999999999\n2.jpg 5\n")
    assert open_dataset(tmp_path / "list.txt").labels.tolist() == [1, 0]
    write_rec(tmp_path / "a.rec", [pack(2e9, 0, b"p"), pack(1.0, 1, b"p")])
    assert open_dataset(tmp_path / "a.rec").num_classes == 2
    (tmp_path / "property").write_text("999999999999,112,112\n")
    with pytest.raises(InputError, match="999999999999 classes"):
        open_dataset(tmp_path / "a.rec")


def test_truncated_tar(tmp_path: Path, write_tar):
    write_tar(tmp_path / "a.tar", {"1.cls": b"0", "1.jpg": b"x" * 5000})
    (tmp_path / "a.tar").write_bytes((tmp_path / "a.tar").read_bytes()[:3000])
    with pytest.raises(InputError, match="truncated"):
        open_dataset(tmp_path / "a.tar")


def test_empty_and_missing(tmp_path: Path):
    (tmp_path / "empty").mkdir()
    for spec, error, message in (
        (tmp_path / "empty", InputError, "holds no photos"),
        (tmp_path / "nowhere", InputError, "no data set at"),
        ("synthetic:0", UsageError, "synthetic"),
        ("synthetic:a", UsageError, "synthetic"),
    ):
        with pytest.raises(error, match=message):
            open_dataset(spec)
    (tmp_path / "flat").mkdir()
    (tmp_path / "flat" / "a.jpg").write_bytes(b"x")
    with pytest.raises(InputError, match="no folder per person"):
        open_dataset(tmp_path / "flat")
    (tmp_path / "model.bin").write_bytes(bytes(range(256)))
    with pytest.raises(InputError, match="no data set"):
        open_dataset(tmp_path / "model.bin")
    (tmp_path / "none.txt").write_text("\n")
    with pytest.raises(InputError, match="holds no photos"):
        open_dataset(tmp_path / "none.txt")


def test_convert_refuses_to_overwrite_and_to_escape(people: Path, tmp_path: Path):
    dataset = open_dataset(people)
    with pytest.raises(UsageError, match="exists"):
        convert(dataset, people)
    with pytest.raises(UsageError, match="no way to write"):
        convert(dataset, tmp_path / "x", "lmdb")
    (tmp_path / "list.txt").write_text(f"{people / 'alice' / '0.v1.jpg'} ../outside\n")
    with pytest.raises(InputError, match="no name that can be written"):
        convert(open_dataset(tmp_path / "list.txt"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_convert_that_fails_leaves_nothing(people: Path, tmp_path: Path):
    dataset = open_dataset(people)
    (people / "bob" / "0.v1.jpg").unlink()
    for target in ("out", "new/x.rec", "tars.tar"):
        with pytest.raises(FacerecError, match=r"bob/0\.v1\.jpg cannot be read"):
            convert(dataset, tmp_path / target)
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and people not in path.parents]


def test_synthetic_is_the_same_everywhere_and_classes_differ():
    dataset = open_dataset("synthetic:3:4")
    assert (len(dataset), dataset.num_classes, dataset.labels.tolist()) == (
        12,
        3,
        [0] * 4 + [1] * 4 + [2] * 4,
    )
    images = [dataset.image(index).astype(int) for index in range(12)]
    assert np.array_equal(images[5], open_dataset("synthetic:3:4").image(5))
    same = np.abs(images[0] - images[1]).mean()
    other = np.abs(images[0] - images[4]).mean()
    assert 0 < same < other


def test_names_of_an_insightface_list_beside_a_rec_are_not_its_labels(tmp_path: Path):
    """Its lines are `flag path label`, so the first is not the record's key and the last no name."""
    write_rec(tmp_path / "a.rec", [pack(float(key), key, b"p") for key in range(3)])
    (tmp_path / "a.lst").write_text("1\tx/a.jpg\t0\n1\tx/b.jpg\t1\n1\tx/c.jpg\t2\n")
    assert [open_dataset(tmp_path / "a.rec").name(i) for i in range(3)] == [
        "0/00000000",
        "1/00000001",
        "2/00000002",
    ]


def test_what_is_kept_of_a_file_is_made_again_where_it_is_damaged(tmp_path: Path):
    source = tmp_path / "data"
    source.write_bytes(b"1")
    numbers = np.arange(1000, dtype=np.int64)
    made = []

    def make() -> NDArray[np.int64]:
        made.append(1)
        return numbers

    for _ in range(2):
        np.testing.assert_array_equal(cache.remember("numbers", [source], make), numbers)
    (kept,) = cache_folder().glob("numbers-*")
    content = bytearray(kept.read_bytes())
    content[len(content) // 2] ^= 1  # one number is another one
    kept.write_bytes(content)
    np.testing.assert_array_equal(cache.remember("numbers", [source], make), numbers)
    assert len(made) == 2
