"""Stored embeddings as a table: files of ``facerec embed``, plain arrays, and what they are refused for."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from facerec_cli.embeddings.read import open_table
from facerec_cli.embeddings.table import Matches
from facerec_cli.errors import InputError, ModelError


def save(folder: Path, vectors: np.ndarray, rows: str | None = None, document: dict | None = None) -> Path:
    path = folder / "e.npy"
    np.save(path, vectors)
    if rows is not None:
        path.with_suffix(".csv").write_text(rows)
    if document is not None:
        path.with_suffix(".json").write_text(json.dumps(document))
    return path


def match(path: Path, names: list[str], *, faces: str = "main") -> Matches:
    return open_table(path).one_per_photo(faces).match(names)


VECTORS = np.array([[3, 0], [0, 2], [1, 1]], np.float64)
TABLE = (
    "path,row,face,status,reason\n"
    "photos/ann/1.jpg,0,0,ok,\nphotos/bob/1.jpg,1,0,ok,\nphotos/x.jpg,,,no_face,none\n"
)


def test_photos_are_found_by_the_end_of_their_path(tmp_path):
    document = {"model": {"name": "m", "sha256": "d"}, "settings": {"flip": True}}
    file = save(tmp_path, VECTORS[:2], TABLE, document)
    made = match(file, ["ann/1", "bob/1.jpg", "x.jpg", "who.jpg", "elsewhere/photos/ann/1.jpg"])
    assert made.vectors[[0, 1, 4]].tolist() == [[1, 0], [0, 1], [1, 0]]
    assert made.reasons == {2: "no_face: none", 3: "missing: not in the embeddings file"}
    table = open_table(file)
    assert (table.model.sha256, table.settings) == ("d", {"flip": True})
    with pytest.raises(InputError, match="fits several"):
        match(file, ["1.jpg"])
    with pytest.raises(InputError, match="none of the list's 1 photos"):
        match(file, ["zoe.jpg"])


def test_the_main_central_or_largest_of_several_faces_counts(tmp_path):
    table = "path,row,x1,y1,x2,y2,width,height\np.jpg,0,0,0,50,50,100,100\np.jpg,1,45,45,55,55,100,100\n"
    path = save(tmp_path, VECTORS[:2], table)
    assert match(path, ["p.jpg"], faces="center").vectors.tolist() == [[0, 1]]
    assert match(path, ["p.jpg"], faces="largest").vectors.tolist() == [[1, 0]]
    assert match(path, ["p.jpg"]).vectors.tolist() == [[1, 0]]
    path = save(tmp_path, VECTORS[:2], table.replace("45,45,55,55", "35,35,65,65"))
    assert match(path, ["p.jpg"]).vectors.tolist() == [[0, 1]]
    path = save(tmp_path, VECTORS[:2], "path,row,face\np.jpg,0,1\np.jpg,1,0\n")  # no boxes: by score
    assert match(path, ["p.jpg"]).vectors.tolist() == [[0, 1]]


def test_a_plain_array_is_in_the_order_of_the_list(tmp_path):
    file = save(tmp_path, VECTORS)
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
        open_table(save(tmp_path, vectors))


def test_a_table_of_another_run_is_refused(tmp_path):
    with pytest.raises(InputError, match="3 rows, its table"):
        open_table(save(tmp_path, VECTORS, TABLE))


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
    one, two = (match(tmp_path / name, names) for name in ("e.npz", "e.parquet"))
    assert np.array_equal(one.vectors, two.vectors)
    assert one.reasons == two.reasons == {2: "no_face: none"}
    assert open_table(tmp_path / "e.parquet").model.name == "m"


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
    made = match(path, names, **settings)
    return [None if i in made.reasons else int(row.argmax()) for i, row in enumerate(made.vectors)]


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
        open_table(tmp_path / "e.npz")


def test_an_npz_beside_the_table_of_another_is_refused(tmp_path):
    path = npz(tmp_path, ["a.jpg", "b.jpg"])
    path.with_suffix(".csv").write_text("path,row,status\na.jpg,0,ok\nc.jpg,1,ok\nd.jpg,,no_face\n")
    with pytest.raises(InputError, match=r"Row 1 .* is 'b\.jpg'.*together"):
        open_table(path)
    path.with_suffix(".csv").write_text("path,row,status\na.jpg,0,ok\nb.jpg,1,ok\nd.jpg,,no_face\n")
    assert match(path, ["a.jpg", "d.jpg"]).reasons == {1: "no_face: no embedding"}


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
    matched = match(tmp_path / "v.npy", ["a.jpg", "b, c.jpg"])
    assert matched.vectors.argmax(axis=1).tolist() == [1, 0]


def test_a_table_that_pandas_saved_again_is_read(tmp_path):
    table = "path,row,face\na.jpg,0.0,0.0\nb.jpg,1.0,0.0\nx.jpg,,\n"
    read = open_table(save(tmp_path, VECTORS[:2], table))
    assert read.paths == ("a.jpg", "b.jpg") and list(read.failed) == ["x.jpg"]


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
        open_table(save(tmp_path, VECTORS[:1], table))


@pytest.mark.parametrize("document", [{"model": "buffalo_l"}, {"settings": ["flip"]}])
def test_a_json_of_ones_own_beside_the_vectors_is_refused(tmp_path, document):
    with pytest.raises(InputError, match=r"of your own"):
        open_table(save(tmp_path, VECTORS, None, document))


def test_a_name_that_no_file_system_takes_is_no_embeddings_file(tmp_path):
    with pytest.raises(InputError, match="There is no embeddings file"):
        open_table(tmp_path / ("a" * 300 + ".npy"))


def test_embeddings_of_two_models_are_not_compared(tmp_path):
    tables = {}
    for name, sha256 in (("one", "a" * 64), ("again", "a" * 64), ("other", "b" * 64), ("plain", "")):
        (tmp_path / name).mkdir()
        document = {"model": {"name": "toy", "sha256": sha256}} if sha256 else None
        tables[name] = open_table(save(tmp_path / name, VECTORS, None, document))
    tables["one"].require_same_model(tables["again"])
    with pytest.raises(ModelError, match=r"one.*'toy' \(aaaa.*not with 'toy' as .*other.*\(bbbb.*one model"):
        tables["one"].require_same_model(tables["other"])
    for pair in (("one", "plain"), ("plain", "one")):
        with pytest.raises(ModelError, match=r"plain.*does not say which model made it"):
            tables[pair[0]].require_same_model(tables[pair[1]])


def test_some_rows_of_a_table_keep_their_columns(tmp_path):
    rows = "path,row,face,status,score,x1,y1,x2,y2\n"
    rows += "".join(f"{n}.jpg,{n},0,ok,0.{n},{n},1,2,3\n" for n in range(3))
    table = open_table(save(tmp_path, VECTORS, rows)).select([2, 0])
    assert table.paths == ("2.jpg", "0.jpg") and table.statuses == ("ok", "ok")
    np.testing.assert_allclose(table.scores, [0.2, 0], atol=1e-7)
    assert table.boxes[:, 0].tolist() == [2, 0] and np.isnan(table.norms).all()
    np.testing.assert_allclose(table.vectors, [[0.5**0.5, 0.5**0.5], [1, 0]], atol=1e-6)
    plain = open_table(save(tmp_path, VECTORS[:2], "label\n7\n8\n")).select(np.array([1]))
    assert plain.paths is None and plain.vectors.tolist() == [[0, 1]]


def test_a_column_says_whom_each_face_shows(tmp_path):
    plain = open_table(save(tmp_path, VECTORS[:2], TABLE))
    assert plain.people == ("", "")
    named = TABLE.replace("reason", "reason,person").replace("ok,", "ok,,Ann Lee", 1)
    table = open_table(save(tmp_path, VECTORS[:2], named))
    assert table.people == ("Ann Lee", "")
    assert table.select([1, 0]).people == ("", "Ann Lee")
    path = tmp_path / "e.npz"
    np.savez(path, embeddings=VECTORS[:2], path=np.array(["a.jpg", "b.jpg"]), person=np.array(["Ann", "Bob"]))
    (tmp_path / "e.csv").unlink()
    assert open_table(path).people == ("Ann", "Bob")
