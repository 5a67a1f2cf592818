"""Vectors of photos: the cache, the second try, files of embeddings."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from facerec_cli.embed import EmbedOptions, PhotoResult
from facerec_cli.embed.result import EmbeddedFace
from facerec_cli.embeddings.cache import EmbeddingCache, content_key
from facerec_cli.embeddings.vectorfile import match, read_vectors
from facerec_cli.errors import InputError
from facerec_cli.verify import photo_vectors

FACES = b"face"


@dataclass
class Pipeline:
    """Stands for ``embed_photos``: photos that start with "face" have a face, "turned" ones after a turn."""

    seen: int = 0

    def __call__(self, sources, model, options, workers=None):
        for source in sources:
            self.seen += 1
            content = source if isinstance(source, bytes) else Path(source).read_bytes()
            if content.startswith(FACES) or (content.startswith(b"turned") and options.rotate == "auto"):
                vector = np.zeros(4, np.float32)
                vector[len(content) % 4] = 1
                yield PhotoResult("p", "ok", faces=(EmbeddedFace(None, vector, 2.0),))
            elif content.startswith(b"broken"):
                yield PhotoResult("p", "unreadable", "not a photo")
            else:
                yield PhotoResult("p", "no_face", "no face was found")


@pytest.fixture
def pipeline(monkeypatch) -> Pipeline:
    fake = Pipeline()
    monkeypatch.setattr(photo_vectors, "embed_photos", fake)
    return fake


def model(digest: str = "abc") -> SimpleNamespace:
    encoder, detector = SimpleNamespace(embedding_size=4), SimpleNamespace(min_score=0.6)
    pack = SimpleNamespace(name="fake", encoder=encoder, detector=detector)
    return SimpleNamespace(pack=pack, hash=digest, provider="cpu")


PHOTOS = [b"face1", b"turned", b"nobody", b"broken"]


def test_what_comes_of_each_photo(pipeline):
    made = photo_vectors.embed_list(PHOTOS, model(), EmbedOptions(faces="center"))
    assert made.failed.tolist() == [False, False, True, True]
    assert made.reasons == {2: "no_face: no face was found", 3: "unreadable: not a photo"}
    assert made.vectors[0].tolist() == [0, 1, 0, 0]


def test_a_second_run_takes_everything_but_broken_photos_from_the_cache(pipeline, tmp_path):
    options = EmbedOptions(faces="center")
    runs = []
    for _ in range(2):
        cache = EmbeddingCache(tmp_path / "c" / "cache.sqlite")
        runs.append(photo_vectors.embed_list(PHOTOS, model(), options, cache=cache))
        cache.close()
        runs.append(pipeline.seen)
    first, after_first, second, after_second = runs
    assert np.array_equal(first.vectors, second.vectors)
    assert first.reasons == second.reasons
    assert (first.cached, second.cached) == (0, 3)
    assert after_first == 4
    assert after_second == after_first + 1


@pytest.mark.parametrize("kept", [True, False])
def test_an_interruption_keeps_what_is_done_and_says_so(pipeline, tmp_path, kept):
    cache = EmbeddingCache(tmp_path / "cache.sqlite") if kept else None
    photos = [b"face%d" % i for i in range(10)]

    def interrupted_after_three(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    options = EmbedOptions(faces="main")
    with pytest.raises(
        KeyboardInterrupt, match="3 of 10 photos are in the cache" if kept else "nothing is kept"
    ):
        photo_vectors.embed_list(photos, model(), options, cache=cache, progress=interrupted_after_three)
    if cache is not None:
        assert photo_vectors.embed_list(photos, model(), options, cache=cache).cached == 3
        assert pipeline.seen == 3 + 7
        cache.close()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.jpg")
    cache = EmbeddingCache(tmp_path / "cache.sqlite")
    waiting = threading.Timer(20, lambda: os.close(os.open(tmp_path / "a.jpg", os.O_WRONLY | os.O_NONBLOCK)))
    waiting.start()  # lets a reader go that waits all the same
    started = time.monotonic()
    made = photo_vectors.embed_list([tmp_path / "a.jpg"], model(), EmbedOptions(faces="main"), cache=cache)
    waiting.cancel()
    cache.close()
    assert "pipe" in made.reasons[0]
    assert time.monotonic() - started < 15


@pytest.mark.parametrize(
    ("digest", "options"),
    [("other", EmbedOptions(faces="center")), ("abc", EmbedOptions(faces="center", flip=True))],
)
def test_another_model_or_setting_does_not_meet_the_cache(pipeline, tmp_path, digest, options):
    cache = EmbeddingCache(tmp_path / "cache.sqlite")
    photo_vectors.embed_list(PHOTOS[:1], model(), EmbedOptions(faces="center"), cache=cache)
    again = photo_vectors.embed_list(PHOTOS[:1], model(digest), options, cache=cache)
    assert (again.cached, pipeline.seen) == (0, 2)
    cache.close()


def test_a_damaged_row_is_a_miss_and_a_damaged_file_is_replaced(tmp_path):
    path = tmp_path / "cache.sqlite"
    key = content_key(b"photo", b"settings")
    cache = EmbeddingCache(path)
    cache.put({key: np.ones(3, np.float32)})
    cache.close()
    base = sqlite3.connect(path)
    with base:
        base.execute("UPDATE embedding SET value = substr(value, 1, 9) || x'00000000'")
    base.close()
    cache = EmbeddingCache(path)
    assert cache.get([key]) == {}
    cache.close()
    path.write_bytes(b"this is no database at all" * 100)
    cache = EmbeddingCache(path)
    cache.put({key: "no_face: x"})
    assert cache.get([key]) == {key: "no_face: x"}
    cache.close()


def test_the_cache_is_bounded(tmp_path):
    cache = EmbeddingCache(tmp_path / "cache.sqlite", max_bytes=10_000)
    keys = [content_key(bytes([i]), b"") for i in range(100)]
    cache.put({key: np.zeros(100, np.float32) for key in keys})  # 40 kB
    cache.close()
    cache = EmbeddingCache(tmp_path / "cache.sqlite")
    assert 10 <= len(cache.get(keys)) <= 24
    cache.close()


def test_two_processes_share_the_cache(tmp_path):
    one, two = (EmbeddingCache(tmp_path / "cache.sqlite") for _ in range(2))
    one.put({b"a": np.ones(2, np.float32)})
    two.put({b"b": np.ones(2, np.float32)})
    assert set(one.get([b"a", b"b"])) == set(two.get([b"a", b"b"])) == {b"a", b"b"}
    one.close()
    two.close()


# ---- files of embeddings


def save(folder: Path, vectors: np.ndarray, rows: str | None = None, document: dict | None = None) -> Path:
    path = folder / "e.npy"
    np.save(path, vectors)
    if rows is not None:
        path.with_suffix(".csv").write_text(rows)
    if document is not None:
        path.with_suffix(".json").write_text(json.dumps(document))
    return path


VECTORS = np.array([[3, 0], [0, 2], [1, 1]], np.float64)
TABLE = (
    "path,row,face,status,reason\n"
    "photos/ann/1.jpg,0,0,ok,\nphotos/bob/1.jpg,1,0,ok,\nphotos/x.jpg,,,no_face,none\n"
)


def test_photos_are_found_by_the_end_of_their_path(tmp_path):
    document = {"model": {"name": "m", "sha256": "d"}, "settings": {"flip": True}}
    file = read_vectors(save(tmp_path, VECTORS[:2], TABLE, document))
    made = match(file, ["ann/1", "bob/1.jpg", "x.jpg", "who.jpg", "elsewhere/photos/ann/1.jpg"])
    assert made.vectors[[0, 1, 4]].tolist() == [[1, 0], [0, 1], [1, 0]]
    assert made.reasons == {2: "no_face: none", 3: "missing: not in the embeddings file"}
    assert (made.model.sha256, made.settings) == ("d", {"flip": True})
    with pytest.raises(InputError, match="fits several"):
        match(file, ["1.jpg"])
    with pytest.raises(InputError, match="none of the list's 1 photos"):
        match(file, ["zoe.jpg"])


def test_the_main_central_or_largest_of_several_faces_counts(tmp_path):
    table = "path,row,x1,y1,x2,y2,width,height\np.jpg,0,0,0,50,50,100,100\np.jpg,1,45,45,55,55,100,100\n"
    path = save(tmp_path, VECTORS[:2], table)
    assert match(read_vectors(path, faces="center"), ["p.jpg"]).vectors.tolist() == [[0, 1]]
    assert match(read_vectors(path, faces="largest"), ["p.jpg"]).vectors.tolist() == [[1, 0]]
    assert match(read_vectors(path), ["p.jpg"]).vectors.tolist() == [[1, 0]]
    path = save(tmp_path, VECTORS[:2], table.replace("45,45,55,55", "35,35,65,65"))
    assert match(read_vectors(path), ["p.jpg"]).vectors.tolist() == [[0, 1]]
    path = save(tmp_path, VECTORS[:2], "path,row,face\np.jpg,0,1\np.jpg,1,0\n")  # no boxes: by score
    assert match(read_vectors(path), ["p.jpg"]).vectors.tolist() == [[0, 1]]


def test_a_plain_array_is_in_the_order_of_the_list(tmp_path):
    file = read_vectors(save(tmp_path, VECTORS))
    assert match(file, ["a", "b", "c"]).vectors[2] == pytest.approx([0.5**0.5] * 2)
    with pytest.raises(InputError, match="3 rows, the list 2 photos"):
        match(file, ["a", "b"])


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (np.array([[1.0, np.nan]]), "first is row 0"),
        (np.array([[1.0, 1], [0, 0]]), "row 1 is all zero"),
        (np.ones(5), "shape"),
        (np.ones((2, 2), int), "floats"),
        (np.array([object()]), "plain numbers"),
    ],
)
def test_unusable_arrays_are_refused(tmp_path, vectors, message):
    with pytest.raises(InputError, match=message):
        read_vectors(save(tmp_path, vectors))


def test_a_table_of_another_run_is_refused(tmp_path):
    with pytest.raises(InputError, match="3 rows, its table"):
        read_vectors(save(tmp_path, VECTORS, TABLE))


def test_npz_and_parquet_give_the_same(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    np.savez(tmp_path / "e.npz", embeddings=VECTORS[:2].astype(np.float32))
    (tmp_path / "e.csv").write_text(TABLE)
    columns = {
        "path": ["photos/ann/1.jpg", "photos/bob/1.jpg", "photos/x.jpg"],
        "row": [0, 1, None],
        "status": ["ok", "ok", "no_face"],
        "reason": ["", "", "none"],
        "embedding": pyarrow.array([[3, 0], [0, 2], None], pyarrow.list_(pyarrow.float32(), 2)),
    }
    table = pyarrow.table(columns).replace_schema_metadata({"facerec": json.dumps({"model": {"name": "m"}})})
    parquet.write_table(table, tmp_path / "e.parquet")
    names = ["ann/1.jpg", "bob/1.jpg", "x.jpg"]
    one, two = (match(read_vectors(tmp_path / name), names) for name in ("e.npz", "e.parquet"))
    assert np.array_equal(one.vectors, two.vectors)
    assert one.reasons == two.reasons == {2: "no_face: none"}
    assert two.model.name == "m"


def npz(folder: Path, paths: list[str], boxes: list[list[float]] | None = None) -> Path:
    """What ``facerec embed`` writes: one different direction for each face."""
    path = folder / "e.npz"
    columns = {"path": np.array(paths), "face": np.zeros(len(paths), np.int32)}
    if boxes is not None:
        columns["box"] = np.array(boxes, np.float32)
    np.savez(path, embeddings=np.eye(len(paths), 8, dtype=np.float32), **columns)
    return path


def rows_of(path: Path, names: list[str], **settings) -> list[int | None]:
    """The row of the file that each name gets."""
    made = match(read_vectors(path, **settings), names)
    return [
        None if failed else int(row.argmax()) for failed, row in zip(made.failed, made.vectors, strict=True)
    ]


def test_an_npz_without_its_table_names_its_photos_itself(tmp_path):
    path = npz(tmp_path, ["p/ann/1.jpg", "p/ann/2.jpg", "p/bob/1.jpg"])
    assert rows_of(path, ["bob/1.jpg", "ann/2.jpg", "zoe/1.jpg"]) == [2, 1, None]


def test_faces_of_an_npz_without_its_table(tmp_path, caplog):
    """It has boxes but no size of the photo, from which its middle would follow."""
    path = npz(tmp_path, ["a.jpg", "a.jpg"], [[0, 0, 9, 9], [0, 0, 90, 90]])
    assert rows_of(path, ["a.jpg"], faces="largest") == [1]
    assert not caplog.records
    assert rows_of(path, ["a.jpg"], faces="main") == [0]
    assert "Keep the .csv" in caplog.text
    path = npz(tmp_path, ["a.jpg", "b.jpg"], [[np.nan] * 4] * 2)  # aligned crops
    assert rows_of(path, ["b.jpg"]) == [1]


def test_an_npz_whose_own_arrays_do_not_fit_is_refused(tmp_path):
    np.savez(tmp_path / "e.npz", embeddings=VECTORS, path=np.array(["a.jpg"]))
    with pytest.raises(InputError, match="do not fit its 3 embeddings"):
        read_vectors(tmp_path / "e.npz")


def test_an_npz_beside_the_table_of_another_is_refused(tmp_path):
    path = npz(tmp_path, ["a.jpg", "b.jpg"])
    path.with_suffix(".csv").write_text("path,row,status\na.jpg,0,ok\nc.jpg,1,ok\nd.jpg,,no_face\n")
    with pytest.raises(InputError, match=r"Row 1 .* is 'b\.jpg'.*together"):
        read_vectors(path)
    path.with_suffix(".csv").write_text("path,row,status\na.jpg,0,ok\nb.jpg,1,ok\nd.jpg,,no_face\n")
    assert match(read_vectors(path), ["a.jpg", "d.jpg"]).reasons == {1: "no_face: no embedding"}


def test_nobody_is_taken_for_a_person_of_another_folder(tmp_path):
    path = npz(tmp_path, ["p/alice/1.jpg", "p/bob/7.jpg"])
    assert rows_of(path, ["carol/7.jpg", "bob/7.jpg", "/data/p/bob/7.jpg", "7.jpg"]) == [None, 1, 1, 1]
    assert rows_of(path, ["x/p/alice/1.jpg", "q/alice/1.jpg"]) == [0, None]


def test_a_suffix_tells_photos_apart(tmp_path):
    path = npz(tmp_path, ["q/x.jpg", "q/x.png", "q/y.jpg"])
    assert rows_of(path, ["q/x.jpg", "q/x.png", "x.jpg", "x.png", "q/y"]) == [0, 1, 0, 1, 2]
    with pytest.raises(InputError, match="'x' fits several photos"):
        rows_of(path, ["x"])


def test_crops_in_another_format_are_found_unless_the_list_names_them_too(tmp_path):
    path = npz(tmp_path, ["q/x.png", "q/y.png"])
    assert rows_of(path, ["q/x.jpg", "y.jpg"]) == [0, 1]
    assert rows_of(path, ["q/x.jpg", "q/x.png"]) == [None, 0]


def test_names_of_lfw_say_the_person_themselves(tmp_path):
    path = npz(tmp_path, ["flat/Ann_Lee_0001.jpg", "lfw/Bob_0002/Bob_0002.jpg", "bob/s1/s1_1.jpg"])
    assert rows_of(path, ["Ann_Lee/Ann_Lee_0001", "Bob/Bob_0001"]) == [0, None]
    assert rows_of(path, ["Ann_Lee/Ann_Lee_0001", "carol/s1/s1_1.jpg"]) == [0, None]


def test_people_whom_a_short_path_cannot_tell_apart_do_not_share_its_photo(tmp_path):
    path = npz(tmp_path, ["7.jpg", "8.jpg"])
    assert rows_of(path, ["bob/7.jpg", "/data/bob/7.jpg"]) == [0, 0]
    with pytest.raises(InputError, match=r"'carol/7\.jpg' and 'bob/7\.jpg' of the list both fit '7\.jpg'"):
        rows_of(path, ["carol/7.jpg", "bob/7.jpg"])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_table_that_a_spreadsheet_saved_again_is_read(tmp_path, encoding, separator):
    """Passed over, the array would be taken for one in the order of the list."""
    np.save(tmp_path / "v.npy", np.eye(2, 4, dtype=np.float32))
    rows = [["path", "row", "status"], ["b, c.jpg", "0", "ok"], ["a.jpg", "1", "ok"]]
    text = "\r\n".join(separator.join(f'"{cell}"' for cell in row) for row in rows)
    (tmp_path / "v.csv").write_bytes(text.encode(encoding))
    matched = match(read_vectors(tmp_path / "v.npy"), ["a.jpg", "b, c.jpg"])
    assert matched.vectors.argmax(axis=1).tolist() == [1, 0]


def test_a_table_that_pandas_saved_again_is_read(tmp_path):
    table = "path,row,face\na.jpg,0.0,0.0\nb.jpg,1.0,0.0\nx.jpg,,\n"
    file = read_vectors(save(tmp_path, VECTORS[:2], table))
    assert file.photos == {"a.jpg": 0, "b.jpg": 1, "x.jpg": None}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("path,row\na.jpg,first\n", "'first' as row"),
        ("path,row\na.jpg,0.5\n", "'0.5' as row"),
        ("path,row,face\na.jpg,0,x\n", "'x' as face"),
        ("path,row\na.jpg,0\n" + "b" * 200_000 + ",\n", "cannot be read: field larger"),
    ],
)
def test_broken_tables_are_refused(tmp_path, table, message):
    with pytest.raises(InputError, match=f"{message}.*facerec embed"):
        read_vectors(save(tmp_path, VECTORS[:1], table))


@pytest.mark.parametrize("document", [{"model": "buffalo_l"}, {"settings": ["flip"]}])
def test_a_json_of_ones_own_beside_the_vectors_is_refused(tmp_path, document):
    with pytest.raises(InputError, match=r"of your own"):
        read_vectors(save(tmp_path, VECTORS, None, document))


def test_a_name_that_no_file_system_takes_is_no_embeddings_file(tmp_path):
    with pytest.raises(InputError, match="There is no embeddings file"):
        read_vectors(tmp_path / ("a" * 300 + ".npy"))
