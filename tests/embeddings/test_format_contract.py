"""What every format of ``registry.EMBEDDING_FORMATS`` promises: what is written is read, all or nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facerec_cli import registry
from facerec_cli.embeddings.formats import EmbeddingFormat, format_to_read, format_to_write
from facerec_cli.embeddings.read import open_table
from facerec_cli.embeddings.records import BOX, LANDMARKS
from facerec_cli.embeddings.shards import Shard
from facerec_cli.embeddings.table import EmbeddingTable
from facerec_cli.errors import InputError, OutputError
from facerec_cli.faces.quality_limits import QUALITY

FORMATS = list(registry.EMBEDDING_FORMATS)
DESCRIPTION: dict[str, Any] = {
    "model": {"name": "toy", "sha256": "5" * 64},
    "provider": "cpu",
    "settings": {"faces": "all", "flip": True},
    "embedding_size": 4,
    "inputs": {"count": 6, "sha256": "1" * 64},
}


def a_face(path: str, number: int = 0, **more: Any) -> dict[str, Any]:
    """A record as ``facerec embed`` makes it: numbers rounded, one more than the last in every column."""
    record = {"path": path, "status": "ok", "reason": "", "rotation": 0, "width": 640, "height": 480}
    record |= {"face": number, "norm": 12.25, "score": 0.5 + number / 8}
    record |= {name: number - at / 4 for at, name in enumerate(QUALITY)}
    return record | {name: 10.5 * number + at for at, name in enumerate((*BOX, *LANDMARKS))} | more


def shards() -> list[Shard]:
    """Three shards of six inputs: two faces in one photo, none in others, a crop, odd names."""
    crop = {"path": "crop.png", "status": "ok", "reason": "", "rotation": 0, "width": 112, "height": 112}
    parts = [
        [a_face("b/2.jpg"), a_face("b/2.jpg", 1, status="doubtful", reason="it is seen, turned, only")],
        [
            {"path": "none.jpg", "status": "missing", "reason": "no such file"},
            {
                "path": "a,\nb\rc.jpg",
                "status": "no_face",
                "reason": 'none was "found"',
                "width": 5,
                "height": 5,
            },
        ],
        [a_face("a/Ünï 写.jpg", crop="0000004_a_0.png"), crop | {"face": 0, "norm": 3.5}, a_face("b/1.jpg")],
    ]
    vectors = np.eye(5, 4, dtype=np.float32)
    vectors[4] = 0.5
    made, row = [], 0
    for records in parts:
        count = sum("face" in record for record in records)
        made.append(Shard(vectors[row : row + count], records))
        row += count
    return made


def described(made: list[Shard], **more: Any) -> dict[str, Any]:
    rows = sum(len(shard.embeddings) for shard in made)
    return {**DESCRIPTION, "rows": rows, "statuses": {"ok": 3}, "versions": {"facerec": "0"}, **more}


def place(name: str, folder: Path) -> Path:
    """Where a result of a format goes."""
    return folder / "result" if name == "/" else folder / f"result{name}"


def formats(name: str, path: Path) -> EmbeddingFormat:
    if name in (".parquet", "/"):
        pytest.importorskip("pyarrow", reason="needs pyarrow: pip install 'facerec-cli[parquet]'")
    return format_to_write(f"{path}/" if name == "/" else path)


def write(name: str, folder: Path, made: list[Shard] | None = None, **more: Any) -> Path:
    path = place(name, folder)
    made = shards() if made is None else made
    formats(name, path).write(path, made, described(made, **more), None)
    return path


def same(one: EmbeddingTable, other: EmbeddingTable) -> bool:
    arrays = ("vectors", "numbers", "boxes", "landmarks", "scores", "norms", "qualities", "sizes")
    return all(np.array_equal(getattr(one, a), getattr(other, a), equal_nan=True) for a in arrays) and all(
        getattr(one, name) == getattr(other, name)
        for name in ("paths", "statuses", "reasons", "people", "failed")
    )


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_written_is_read(name: str, tmp_path: Path) -> None:
    path = write(name, tmp_path)
    table = open_table(path)
    expected = np.concatenate([shard.embeddings for shard in shards()])
    np.testing.assert_allclose(table.vectors, expected, atol=1e-6)
    assert table.vectors.dtype == np.float32
    assert table.paths == ("b/2.jpg", "b/2.jpg", "a/Ünï 写.jpg", "crop.png", "b/1.jpg")
    assert table.numbers.tolist() == [0, 1, 0, 0, 0]
    assert table.boxes[1].tolist() == [10.5, 11.5, 12.5, 13.5] and np.isnan(table.boxes[3]).all()
    assert table.landmarks.shape == (5, 5, 2) and table.landmarks[1, 4].tolist() == [22.5, 23.5]
    np.testing.assert_array_equal(table.scores, [0.5, 0.625, 0.5, np.nan, 0.5])
    assert table.norms.tolist() == [12.25, 12.25, 12.25, 3.5, 12.25]
    assert table.qualities[1].tolist() == [1, 0.75, 0.5, 0.25, 0, -0.25, -0.5, -0.75]
    assert table.qualities.shape == (5, 8) and np.isnan(table.qualities[3]).all()
    assert table.select([1]).qualities.tolist() == [table.qualities[1].tolist()]
    assert table.sizes.tolist() == [[640, 480]] * 3 + [[112, 112], [640, 480]]
    assert table.statuses == ("ok", "doubtful", "ok", "ok", "ok")
    assert table.reasons == ("", "it is seen, turned, only", "", "", "")
    assert table.failed == {
        "none.jpg": "missing: no such file",
        "a,\nb\rc.jpg": 'no_face: none was "found"',
    }
    assert (table.model.name, table.model.sha256, table.model.provider) == ("toy", "5" * 64, "cpu")
    assert table.settings == DESCRIPTION["settings"]
    assert {**described(shards()), **table.description} == table.description


@pytest.mark.parametrize("name", FORMATS)
def test_files_of_versions_that_measured_no_quality_are_read(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from facerec_cli.embeddings import records
    from facerec_cli.embeddings.formats import npz

    with monkeypatch.context() as earlier:
        columns = tuple(column for column in records.COLUMNS if column not in QUALITY)
        earlier.setattr(records, "COLUMNS", columns)
        earlier.setattr(npz, "_COLUMNS", {name: npz._COLUMNS[name] for name in ("face", "box", "norm")})
        made = shards()
        for record in (record for shard in made for record in shard.rows):
            for measure in QUALITY:
                record.pop(measure, None)
        path = write(name, tmp_path, made)
    if name == ".npy":
        assert "sharpness" not in path.with_suffix(".csv").read_text()
    if name == "/":  # as where a run that an earlier version has begun was gone on with
        newer = shards()[0]
        newer.embeddings[:] = [[0, 0, 0, 1], [0, 0, 1, 0]]
        (tmp_path / "newer").mkdir()
        other = write(name, tmp_path / "newer", [newer])
        (other / "part-000000.parquet").rename(path / "part-000003.parquet")
        mixed = open_table(path)
        assert np.isnan(mixed.qualities[:5]).all() and mixed.qualities[5:, 1].tolist() == [-0.25, 0.75]
        (path / "part-000003.parquet").unlink()
    table = open_table(path)
    assert np.isnan(table.qualities).all() and table.qualities.shape == (5, 8)
    assert table.norms.tolist() == [12.25, 12.25, 12.25, 3.5, 12.25]


@pytest.mark.parametrize("name", FORMATS)
def test_an_export_says_who_is_on_each_face_and_no_other_file_has_the_columns(
    name: str, tmp_path: Path
) -> None:
    people = {"person": "Ünï\r 写", "photo_sha256": "7" * 64, "added": "2026-11-28T18:00:00Z"}
    vectors = np.random.default_rng(1).normal(size=(200, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    made = [Shard(vectors, [a_face(f"{i}.jpg", **people) for i in range(200)])]
    table = open_table(write(name, tmp_path, made, columns=list(people)))
    assert set(table.people) == {"Ünï\r 写"} and set(table.photo_sha256) == {"7" * 64}
    assert table.vectors.tobytes() == vectors.tobytes()  # no bit is lost by writing and reading
    assert table.select([3, 4]).people == ("Ünï\r 写",) * 2
    other = open_table(write(name, tmp_path))
    assert set(other.people) == {""}
    if name == ".npy":
        assert "person" not in (tmp_path / "result.csv").read_text().splitlines()[0]


@pytest.mark.parametrize("name", FORMATS)
def test_equal_results_are_equal_files(name: str, tmp_path: Path) -> None:
    contents = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        write(name, folder)
        contents.append([path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()])
    assert contents[0] == contents[1]


@pytest.mark.parametrize("name", FORMATS)
def test_no_face_at_all_is_a_table_too(name: str, tmp_path: Path) -> None:
    nobody = [Shard(np.zeros((0, 4), np.float32), [{"path": "a.jpg", "status": "no_face", "reason": "none"}])]
    table = open_table(write(name, tmp_path, nobody))
    assert table.vectors.shape == (0, 4) and table.failed == {"a.jpg": "no_face: none"}


@pytest.mark.parametrize("name", FORMATS)
def test_writing_that_fails_leaves_the_earlier_result_or_says_so(name: str, tmp_path: Path) -> None:
    path = write(name, tmp_path)
    before, files = open_table(path), sorted(tmp_path.rglob("*"))

    class Fails(list[Shard]):
        def __iter__(self) -> Iterator[Shard]:
            yield shards()[2]
            raise OSError(28, "No space left on device")

    with pytest.raises((OSError, OutputError)):
        formats(name, path).write(path, Fails(), described(shards()), None)
    assert not list(tmp_path.rglob(".facerec.*.tmp"))
    if name == "/":  # its shards are replaced one by one
        with pytest.raises(InputError, match=r"was interrupted.*--resume"):
            open_table(path)
    else:
        assert same(open_table(path), before) and sorted(tmp_path.rglob("*")) == files


@pytest.mark.parametrize("name", FORMATS)
def test_a_result_knows_its_run_and_whether_it_is_whole(name: str, tmp_path: Path) -> None:
    path = write(name, tmp_path)
    form = formats(name, path)
    description = form.description(path)
    assert description is not None and described(shards()).items() <= dict(description).items()
    assert form.fault(path, description) == ""
    assert form.files(path)[-1] == path and all(file.exists() for file in form.files(path))
    if path.is_file():
        path.write_bytes(path.read_bytes()[:-10])
    else:
        (path / "part-000000.parquet").unlink()
    assert form.fault(path, description)


@pytest.mark.parametrize("cut", [0.0, 0.3, 0.6, 0.9])
@pytest.mark.parametrize("name", FORMATS)
def test_a_file_that_is_cut_short_is_refused_in_our_words(name: str, cut: float, tmp_path: Path) -> None:
    path = write(name, tmp_path)
    file = path if path.is_file() else path / "part-000001.parquet"
    file.write_bytes(file.read_bytes()[: int(cut * file.stat().st_size)])
    with pytest.raises(InputError, match=r"result.*"):
        open_table(path)


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "/"])
def test_a_file_with_the_suffix_of_another_format_is_known_by_its_content(name: str, tmp_path: Path) -> None:
    path = write(name, tmp_path)
    if not formats(name, path).magic:
        pytest.skip("the format has no first bytes of its own")
    other = path.with_suffix(".npy" if name != ".npy" else ".npz")
    path.rename(other)
    assert type(format_to_read(other)) is type(formats(name, path))
    assert len(open_table(other).vectors) == 5
