import os
import pickle

import pytest
import torch

from facerec_cli.backbones import build
from facerec_cli.errors import ModelError, OutputError
from facerec_cli.settings import to_tables
from facerec_cli.training import checkpoint
from facerec_cli.training.config import Recipe


def document(backbone):
    return checkpoint.header("0.1") | {
        "backbone": checkpoint.describe_backbone("mobilefacenet", {"width": 0.125}, backbone),
        "loss": {"name": "npt"},
        "recipe": to_tables(Recipe()),
        "data": {"name": "people/", "classes": 3, "images": 9},
        "progress": {"epoch": 2, "step": 7, "metrics": {"lfw/accuracy": 0.9}},
    }


class Hostile:
    def __reduce__(self):
        return (os.system, ("touch /tmp/facerec-was-here",))


def test_load_backbone_rebuilds_the_network_and_says_where_it_comes_from(tmp_path):
    torch.manual_seed(0)
    backbone = build("mobilefacenet", 16, width=0.125).eval()
    checkpoint.write(tmp_path / "best.pt", document(backbone))
    again, info = checkpoint.load_backbone(str(tmp_path))  # the folder is enough
    images = torch.rand(2, 3, 112, 112)
    with torch.no_grad():
        assert torch.equal(again(images).embeddings, backbone(images).embeddings)
    assert not again.training
    assert (info.backbone, info.embedding_size, info.loss, info.classes) == ("mobilefacenet", 16, "npt", 3)
    assert info.preprocessing == backbone.preprocessing
    assert info.metrics == {"lfw/accuracy": 0.9}
    assert len(info.sha256) == 64
    assert [p.name for p in tmp_path.iterdir()] == ["best.pt"]


@pytest.mark.parametrize("version", [None, "1"])
def test_a_version_that_is_no_number_is_refused(tmp_path, version):
    header = {**checkpoint.header("0.1"), "version": version}
    checkpoint.write(tmp_path / "odd.pt", header)
    with pytest.raises(ModelError, match="version"):
        checkpoint.read(tmp_path / "odd.pt")


def test_a_hostile_pickle_is_refused_and_runs_nothing(tmp_path):
    from pathlib import Path

    mark = Path("/tmp/facerec-was-here")
    mark.unlink(missing_ok=True)
    for name, save in (("zip.pt", torch.save), ("plain.pt", lambda o, p: p.write_bytes(pickle.dumps(o)))):
        path = tmp_path / name
        save({"format": checkpoint.FORMAT, "x": Hostile()}, path)
        with pytest.raises(ModelError, match=name):
            checkpoint.load_backbone(path)
    assert not mark.exists()


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 torn"])
def test_a_damaged_file_is_a_model_error(tmp_path, content):
    path = tmp_path / "last.pt"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"last\.pt"):
        checkpoint.read(path)


@pytest.mark.parametrize("content", [b"", b"hello", b"\xff\xd8\xff\xe0 a JPEG", b"a list", b"Jx"], ids=repr)
def test_a_file_of_another_kind_is_told_in_a_sentence(tmp_path, content):
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"not written by torch\.save|is refused: it is damaged") as caught:
        checkpoint.read(path)
    assert caught.value.hint


def test_what_a_checkpoint_lacks_is_named(tmp_path):
    path = tmp_path / "last.pt"
    checkpoint.write(path, checkpoint.header("1.0"))
    with pytest.raises(ModelError, match="it lacks 'backbone'"):
        checkpoint.load_backbone(path)


def test_a_truncated_checkpoint_is_a_model_error(tmp_path):
    path = tmp_path / "last.pt"
    checkpoint.write(path, document(build("mobilefacenet", 16, width=0.125)))
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(ModelError, match=r"last\.pt"):
        checkpoint.load_backbone(path)


def test_other_files_newer_versions_and_nothing_are_refused(tmp_path):
    torch.save({"weights": torch.zeros(3)}, tmp_path / "other.pt")
    with pytest.raises(ModelError, match="not a checkpoint of facerec"):
        checkpoint.read(tmp_path / "other.pt")
    checkpoint.write(tmp_path / "new.pt", checkpoint.header("9.0") | {"version": 99})
    with pytest.raises(ModelError, match=r"newer facerec \(9\.0\)"):
        checkpoint.read(tmp_path / "new.pt")
    with pytest.raises(ModelError, match="There is no checkpoint"):
        checkpoint.load_backbone(tmp_path / "none.pt")
    with pytest.raises(ModelError, match="holds no checkpoint"):
        checkpoint.load_backbone(tmp_path)


def test_a_full_disk_keeps_the_previous_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "last.pt"
    checkpoint.write(path, checkpoint.header("0.1"))
    before = path.read_bytes()

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OutputError, match=r"No space left on device.*previous one is kept"):
        checkpoint.write(path, checkpoint.header("0.2"))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["last.pt"]


def test_where_there_is_no_previous_checkpoint_none_is_promised(tmp_path, monkeypatch):
    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OutputError) as caught:
        checkpoint.write(tmp_path / "last.pt", checkpoint.header("0.2"))
    assert "previous" not in caught.value.hint and "Then start again" in caught.value.hint
    (tmp_path / "last.pt").write_bytes(b"the run's")
    with pytest.raises(OutputError, match=r"best\.pt cannot be written.* Go on with --resume"):
        checkpoint.write(tmp_path / "best.pt", checkpoint.header("0.2"))
