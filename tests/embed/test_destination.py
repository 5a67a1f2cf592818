"""A result as a folder of Parquet shards, on a disk and at a URL."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dots import SIZE, DotModel

from facerec_cli.embed import EmbedOptions, embed_to_file, job
from facerec_cli.embeddings.parquet_shards import ParquetShards
from facerec_cli.embeddings.read import open_table
from facerec_cli.errors import UsageError

parquet = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow: pip install 'facerec-cli[parquet]'")
Album = Callable[[int], Path]
SMALL = EmbedOptions(batch_size=4)


@pytest.fixture(autouse=True)
def _small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "SHARD_SIZE", 8)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def interrupt_at(shard: int, monkeypatch: pytest.MonkeyPatch) -> None:
    store = ParquetShards.store

    def fail(self: ParquetShards, index: int, content: bytes) -> None:
        if index == shard:
            raise KeyboardInterrupt
        store(self, index, content)

    monkeypatch.setattr(ParquetShards, "store", fail)


def test_the_shards_hold_what_the_single_file_holds(opened: DotModel, album: Album, tmp_path: Path) -> None:
    folder = album(20)
    (folder / "0007.png").write_bytes(b"")
    embed_to_file([folder], tmp_path / "one.parquet", options=SMALL)
    summary = embed_to_file([folder], f"{tmp_path}/many/", options=SMALL)
    assert summary.statuses == {"ok": 19, "empty": 1} and summary.embeddings == 19
    assert summary.fault is not None and summary.fault.hint.endswith(f"says why: {tmp_path}/many/")
    assert sorted(contents(tmp_path / "many")) == [
        "_facerec.json", "part-000000.parquet", "part-000001.parquet", "part-000002.parquet",
    ]  # fmt: skip
    one = parquet.read_table(tmp_path / "one.parquet")
    many = parquet.read_table(tmp_path / "many")
    assert many.schema.equals(one.drop_columns("row").schema)
    assert many.to_pylist() == one.drop_columns("row").to_pylist()
    about = json.loads((tmp_path / "many" / "_facerec.json").read_text())
    assert about["rows"] == 19 and about["model"] == {"name": "dots", "sha256": opened.hash}


def test_an_interrupted_folder_goes_on_to_the_same_bytes(
    opened: DotModel, album: Album, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, cut = album(45), f"{tmp_path}/cut/"
    embed_to_file([folder], f"{tmp_path}/whole/", options=SMALL)
    with monkeypatch.context() as patch:
        interrupt_at(2, patch)
        with pytest.raises(KeyboardInterrupt, match="16 of 45 photos are safe"):
            embed_to_file([folder], cut, options=SMALL)
    with pytest.raises(UsageError, match=r"An interrupted run is in .*--resume"):
        embed_to_file([folder], cut, options=SMALL)
    with pytest.raises(UsageError, match=r"another kind: settings.flip was False and is True"):
        embed_to_file([folder], cut, options=EmbedOptions(batch_size=4, flip=True), resume=True)
    # Workers of a cluster finish in any order: only what is missing is made.
    (tmp_path / "cut" / "part-000003.parquet").write_bytes(
        (tmp_path / "whole" / "part-000003.parquet").read_bytes()
    )
    (tmp_path / "cut" / ".facerec.abc.tmp").write_bytes(b"half a shard of a worker that was killed")
    opened.seen.clear()
    summary = embed_to_file([folder], cut, options=SMALL, resume=True)
    assert summary.resumed == 24 and len(opened.seen) == 21
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


def test_a_finished_folder_is_not_made_again_nor_overwritten(
    opened: DotModel, album: Album, tmp_path: Path
) -> None:
    folder, out = album(9), f"{tmp_path}/out/"
    embed_to_file([folder], out, options=SMALL)
    before = contents(tmp_path / "out")
    opened.seen.clear()
    assert embed_to_file([folder], out, options=SMALL).resumed == 9 and opened.seen == []
    with pytest.raises(UsageError, match=r"of another run: it was made from other photos.*--overwrite"):
        embed_to_file([folder / "0000.png"], out, options=SMALL)
    assert contents(tmp_path / "out") == before
    embed_to_file([folder / "0000.png"], out, options=SMALL, overwrite=True)
    assert sorted(contents(tmp_path / "out")) == ["_facerec.json", "part-000000.parquet"]


def test_places_that_would_mix_results_are_refused(opened: DotModel, album: Album, tmp_path: Path) -> None:
    folder, out = album(2), tmp_path / "out"
    out.mkdir()
    (out / "part-000007.parquet").write_bytes(b"mine")
    with pytest.raises(UsageError, match="Parquet shards of unknown origin"):
        embed_to_file([folder], f"{out}/", options=SMALL)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match="is a file"):
        embed_to_file([folder], f"{tmp_path}/file/", options=SMALL)
    with pytest.raises(UsageError, match="--preview needs a result in one file"):
        embed_to_file([folder], f"{tmp_path}/other/", options=SMALL, preview=tmp_path / "sheet.html")
    assert (out / "part-000007.parquet").read_bytes() == b"mine"


def flip_a_byte(path: Path, position: float) -> None:
    content = bytearray(path.read_bytes())
    content[int(len(content) * position)] ^= 0xFF
    path.write_bytes(content)


def spoil(shard: Path, how: str) -> None:
    """Do to a shard what disks, people and other runs do."""
    if how == "gone":
        shard.unlink()
    elif how == "empty":
        shard.write_bytes(b"")
    elif how == "cut":
        shard.write_bytes(shard.read_bytes()[:-100])
    elif how == "another shard of the run":
        shard.write_bytes(shard.with_name("part-000000.parquet").read_bytes())
    elif how == "another run's":
        shard.write_bytes((shard.parent.parent / "other" / shard.name).read_bytes())
    elif how == "another value":
        table = parquet.read_table(shard)
        at = table.column_names.index("score")
        parquet.write_table(table.set_column(at, table.field(at), table.column("norm")), shard)
    else:
        flip_a_byte(shard, float(how))


SPOILS = ["another value", "gone", "empty", "cut", "another shard of the run", "another run's"]
SPOILS += [
    "0.01",
    "0.1",
    "0.3",
    "0.5",
    "0.7",
    "0.9",
    "0.98",
]  # where a bit turns: pages, their headers, the schema


@pytest.mark.parametrize("how", SPOILS)
@pytest.mark.parametrize("state", ["finished", "finished, no --resume", "interrupted"])
def test_a_shard_that_is_missing_or_damaged_is_made_again(
    opened: DotModel, album: Album, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, state: str
) -> None:
    folder, out = album(20), tmp_path / "out"
    embed_to_file([folder], f"{tmp_path}/whole/", options=SMALL)
    embed_to_file([folder], f"{tmp_path}/other/", options=EmbedOptions(batch_size=4, flip=True))
    with monkeypatch.context() as patch:
        if state == "interrupted":
            interrupt_at(2, patch)
            with pytest.raises(KeyboardInterrupt):
                embed_to_file([folder], f"{out}/", options=SMALL)
        else:
            embed_to_file([folder], f"{out}/", options=SMALL)
    spoil(out / "part-000001.parquet", how)
    opened.seen.clear()
    summary = embed_to_file([folder], f"{out}/", options=SMALL, resume="no" not in state)
    assert summary.embeddings == 20
    whole = tmp_path / "whole"
    if how[0].isdigit() and len(opened.seen) == (
        4 if state == "interrupted" else 0
    ):  # a byte of a page's header that nobody reads: the rest holds
        name = "part-000001.parquet"
        assert parquet.read_table(out / name).equals(parquet.read_table(whole / name), check_metadata=True)
        return
    assert len(opened.seen) == (12 if state == "interrupted" else 8)  # the other shards are kept
    assert contents(out) == contents(whole)


def test_a_folder_without_its_description_is_known_by_its_shards(
    opened: DotModel, album: Album, tmp_path: Path
) -> None:
    folder, out = album(20), tmp_path / "out"
    embed_to_file([folder], f"{out}/", options=SMALL)
    before = contents(out)
    (out / "_facerec.json").unlink()
    with pytest.raises(UsageError, match="unknown origin"):
        embed_to_file([folder], f"{out}/", options=EmbedOptions(batch_size=4, flip=True), resume=True)
    opened.seen.clear()
    embed_to_file([folder], f"{out}/", options=SMALL, resume=True)
    assert opened.seen == [] and contents(out) == before


def test_a_shard_that_is_not_of_the_run_is_neither_counted_nor_deleted(
    opened: DotModel, album: Album, tmp_path: Path
) -> None:
    folder, out = album(9), tmp_path / "out"
    embed_to_file([folder], f"{out}/", options=SMALL)
    mine = out / "part-000007.parquet"
    mine.write_bytes((out / "part-000001.parquet").read_bytes())
    with pytest.raises(UsageError, match=r"part-000007.parquet is no shard of this run, which has 2"):
        embed_to_file([folder], f"{out}/", options=SMALL, resume=True)
    assert mine.exists()


def test_photos_and_shards_at_a_url(opened: DotModel, album: Album, tmp_path: Path) -> None:
    """The same from and to fsspec's file system in memory, in place of an object store."""
    memory = pytest.importorskip("fsspec", reason="needs fsspec").filesystem("memory")
    folder = album(9)
    for path in folder.iterdir():
        memory.pipe(f"/bucket/photos/{path.name}", path.read_bytes())
    memory.pipe("/bucket/photos/notes.txt", b"no photo")
    summary = embed_to_file(["memory://bucket/photos"], "memory://bucket/out", options=SMALL)
    assert summary.statuses == {"ok": 9}
    embed_to_file([folder], tmp_path / "out.npy", options=SMALL)
    rows: list[dict[str, Any]] = []
    for index in range(2):
        with memory.open(f"/bucket/out/part-{index:06d}.parquet") as stream:
            rows += parquet.read_table(stream).to_pylist()
    assert [row["path"] for row in rows] == [f"memory://bucket/photos/{index:04d}.png" for index in range(9)]
    vectors = np.array([row["embedding"] for row in rows], np.float32)
    np.testing.assert_array_equal(vectors, np.load(tmp_path / "out.npy"))
    assert vectors.shape == (9, SIZE)
    table = open_table("memory://bucket/out")
    assert table.paths == tuple(row["path"] for row in rows) and table.model.name == "dots"
    np.testing.assert_allclose(table.vectors, vectors, atol=1e-6)
    memory.rm("/bucket", recursive=True)
