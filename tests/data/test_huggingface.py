"""Hugging Face datasets on a disk, written with pyarrow as that package and the hub write them."""

from __future__ import annotations

import io
import json
import pickle

import cv2
import numpy as np
import pytest

from facerec_cli.data import detect_format, join_sets, open_dataset
from facerec_cli.data.formats.synthetic import SyntheticDataset
from facerec_cli.data.loading.loader import build_loader
from facerec_cli.data.tools.convert import convert
from facerec_cli.errors import InputError

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

PEOPLE = SyntheticDataset(3, 4)
PHOTOS = [cv2.imencode(".png", PEOPLE.image(i)[..., ::-1])[1].tobytes() for i in range(12)]
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def table(rows=range(12), label="label", names=None, photos=None, labels=None):
    photos = [{"bytes": PHOTOS[i], "path": f"{i}.png"} for i in rows] if photos is None else photos
    labels = [int(PEOPLE.labels[i]) for i in rows] if labels is None else labels
    found = pa.table({"image": pa.array(photos, IMAGE), label: labels})
    if names:
        features = {"info": {"features": {label: {"names": names, "_type": "ClassLabel"}}}}
        found = found.replace_schema_metadata({"huggingface": json.dumps(features)})
    return found


def save_to_disk(folder, *shards):
    folder.mkdir(parents=True)
    files = [f"data-{n:05d}-of-{len(shards):05d}.arrow" for n in range(len(shards))]
    for name, shard in zip(files, shards, strict=True):
        with pa.OSFile(str(folder / name), "wb") as sink, pa.ipc.new_stream(sink, shard.schema) as writer:
            writer.write_table(shard, max_chunksize=3)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name} for name in files]}))
    (folder / "dataset_info.json").write_text("{}")
    return folder


def test_a_saved_data_set_is_read_with_the_names_of_its_classes(tmp_path):
    names = ["ann", "bob", "cid"]
    folder = save_to_disk(tmp_path / "saved", table(range(5), names=names), table(range(5, 12), names=names))
    dataset = open_dataset(folder)
    assert detect_format(folder) == "huggingface" and dataset.warnings == ()
    assert list(dataset.class_names) == names and np.array_equal(dataset.labels, PEOPLE.labels)
    assert [dataset.read(i) for i in range(12)] == PHOTOS and dataset.name(5) == "bob/00000005"
    again = pickle.loads(pickle.dumps(dataset))
    assert len(pickle.dumps(dataset)) < 5000 and np.array_equal(again.image(11), PEOPLE.image(11))
    batch = next(build_loader(dataset, batch_size=6, workers=1).epoch(0))
    assert batch.labels.tolist() == dataset.labels[batch.indices.numpy()].tolist()
    assert join_sets([dataset, dataset]).num_classes == 6


def test_the_hubs_parquet_is_read_by_row_groups(tmp_path):
    (tmp_path / "hub" / "data").mkdir(parents=True)
    for number, rows in enumerate((range(7), range(7, 12))):
        path = tmp_path / "hub" / "data" / f"train-{number:05d}-of-00002.parquet"
        pq.write_table(table(rows, label="identity"), path, row_group_size=3)
    pq.write_table(table(range(2)), tmp_path / "hub" / "data" / "test-00000-of-00001.parquet")
    dataset = open_dataset(tmp_path / "hub")
    assert dataset.format == "huggingface" and len(dataset) == 12 and dataset.num_classes == 3
    assert [dataset.read(i) for i in (11, 0, 4, 3, 7)] == [PHOTOS[i] for i in (11, 0, 4, 3, 7)]
    assert "random order" in dataset.warnings[-1]
    assert convert(dataset, tmp_path / "x.rec") == "rec"
    copied = open_dataset(tmp_path / "x.rec")
    assert [copied.read(i) for i in range(12)] == PHOTOS
    one = open_dataset(tmp_path / "hub" / "data" / "test-00000-of-00001.parquet")
    assert len(one) == 2


def test_of_splits_it_takes_the_one_to_train_on(tmp_path):
    for split, rows in (("train", range(8)), ("test", range(8, 12))):
        save_to_disk(tmp_path / "all" / split, table(rows))
    (tmp_path / "all" / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    assert len(open_dataset(tmp_path / "all")) == 8
    assert len(open_dataset(tmp_path / "all" / "test")) == 4
    (tmp_path / "all" / "train").rename(tmp_path / "all" / "dev")
    with pytest.raises(InputError, match="has the splits dev, test"):
        open_dataset(tmp_path / "all")


def test_names_and_numbers_are_labels(tmp_path):
    named = save_to_disk(tmp_path / "named", table(labels=["zoe", "ann"] * 6, label="person"))
    assert list(open_dataset(named).class_names) == ["ann", "zoe"]
    odd = open_dataset(save_to_disk(tmp_path / "odd", table(labels=[5, 9] * 6)))
    assert list(odd.class_names) == ["5", "9"] and "gaps" in odd.warnings[0]
    plain = pa.table({"jpg": pa.array(PHOTOS, pa.binary()), "class": [0, 1, 2] * 4})
    assert open_dataset(save_to_disk(tmp_path / "plain", plain)).read(3) == PHOTOS[3]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"labels": [-1] * 12}, "Row 0 of .* has the label -1"),
        ({"labels": [0.5] * 12}, r"Row 0 of .* has the label 0\.5"),
        ({"labels": [0] * 11 + [None]}, "Row 11 of .* has the label None"),
        ({"labels": [0, 7] * 6, "names": ["a", "b"]}, "label 7, but 2 classes are named"),
        ({"label": "age"}, "columns image, age, and none that is a label"),
        ({"photos": [{"bytes": None, "path": "a.png"}] * 12}, "names its photos and does not hold them"),
    ],
)
def test_what_is_no_training_data_is_refused(tmp_path, given, said):
    with pytest.raises(InputError, match=said):
        open_dataset(save_to_disk(tmp_path / "x", table(**given)))


def test_damaged_files_are_named(tmp_path):
    folder = save_to_disk(tmp_path / "x", table())
    path = next(folder.glob("*.arrow"))
    whole = path.read_bytes()
    for content in (b"", whole[:200], b"no arrow at all, but text that is long enough to be looked at"):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"data-00000-of-00001\.arrow"):
            open_dataset(folder)
    (tmp_path / "y.parquet").write_bytes(b"PAR1 is only how it begins")
    with pytest.raises(InputError, match=r"y\.parquet cannot be read"):
        open_dataset(tmp_path / "y.parquet")
    (folder / "state.json").write_text("{")
    with pytest.raises(InputError, match=r"state\.json"):
        open_dataset(folder)
    assert io.BytesIO(whole).read(4) != b"PAR1"


def test_a_photo_that_is_missing_is_a_broken_one(tmp_path):
    photos = [{"bytes": data, "path": "x"} for data in PHOTOS]
    photos[4] = {"bytes": None, "path": "x"}
    dataset = open_dataset(save_to_disk(tmp_path / "x", table(photos=photos)))
    with pytest.raises(InputError, match="1/00000004 has no photo"):
        dataset.read(4)
