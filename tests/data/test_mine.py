"""``facerec data mine``: a gallery, groups, embeddings and photos in; lists that ``train`` reads out."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from facerec_cli.cli import build_app
from facerec_cli.data import join_datasets, open_dataset
from facerec_cli.data.mining.crops import _refuse_among
from facerec_cli.data.mining.run import mine
from facerec_cli.data.mining.settings import MineSettings
from facerec_cli.embeddings.table import ModelInfo
from facerec_cli.errors import InputError, ModelError, UsageError
from facerec_cli.gallery.gallery import create_gallery
from facerec_cli.gallery.person import FaceFacts
from facerec_cli.packs.resolve import open_pack, pack_hash
from facerec_cli.pairs.read import read_pairs
from facerec_cli.training.compose import compose
from tests.made_people import write_embeddings
from tests.tiny_pack import write_tiny_pack

PEOPLE, EACH = 12, 4


@pytest.fixture(scope="module")
def model():
    return ModelInfo("sface", pack_hash(open_pack("sface")))


@pytest.fixture(scope="module")
def vectors():
    random = np.random.default_rng(5)
    centers = np.repeat(random.standard_normal((PEOPLE, 128)), EACH, axis=0)
    made = centers + 0.8 * random.standard_normal((PEOPLE * EACH, 128))
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def photos(tmp_path):
    """A crop of each of 12 people's 4 photos: p07/2.png is the third of person 7."""
    paths = []
    for row in range(PEOPLE * EACH):
        path = tmp_path / "photos" / f"p{row // EACH:02d}" / f"{row % EACH}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.full((112, 112, 3), 5 * row, np.uint8))
        paths.append(str(path))
    return paths


@pytest.fixture
def table(tmp_path, photos, vectors, model):
    """Embeddings of these crops; the first photo of p01 is labeled p00."""
    path = tmp_path / "faces.npy"
    people = [f"p{row // EACH:02d}" for row in range(len(photos))]
    people[EACH] = "p00"
    faces = list(zip(photos, vectors, strict=True))
    about = {"name": model.name, "sha256": model.sha256}
    write_embeddings(path, faces, model=about, person=people)
    path.with_suffix(".json").write_text(json.dumps({"model": about, "settings": {"aligned": True}}))
    return path


@pytest.fixture(scope="module")
def run():
    runner = CliRunner()

    def call(*words):
        return runner.invoke(build_app(["data"]), ["data", "mine", *map(str, words)])

    return call


def test_lists_pairs_and_noise_of_stored_embeddings(run, table, tmp_path, photos):
    out = {name: tmp_path / "out" / f"{name}.txt" for name in ("list", "easy", "hard", "pairs")}
    (tmp_path / "out").mkdir()
    words = ["--easy", out["easy"], "--hard", out["hard"], "--pairs", out["pairs"]]
    done = run(
        table, "-o", out["list"], "--noise", tmp_path / "noise.csv", *words, "--json", "--hard-weight", 3
    )
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["suspected"] == {"other_person": 1, "not_alike": 0, "same_people": 0}
    assert told["photos"] == 47 and told["people_kept"] == 12 and told["hard"] == round(0.2 * 47)
    rows = list(csv.DictReader((tmp_path / "noise.csv").open()))
    assert [(row["path"], row["label"], row["suggested"], row["reason"]) for row in rows] == [
        (photos[EACH], "p00", "p01", "other_person")
    ]
    assert float(rows[0]["own"]) < 0.3 < 0.5 < float(rows[0]["other"])
    whole, easy, hard = (open_dataset(out[name]) for name in ("list", "easy", "hard"))
    names = [whole.name(i) for i in range(47)]
    assert "../photos/p01/0.png" not in names and names[0] == "../photos/p00/0.png"
    assert whole.class_names == [f"p{n:02d}" for n in range(12)]
    heavy = {names[i] for i in np.flatnonzero(whole.weights == 3)}
    assert heavy == {hard.name(i) for i in range(len(hard))} and set(whole.weights) == {1.0, 3.0}
    assert {easy.name(i) for i in range(len(easy))} == set(names) - heavy and easy.weights is None
    joined = join_datasets(easy, [hard])  # what ddl trains on
    assert joined.num_classes == 12 and joined.group.sum() == len(hard)
    pairs = read_pairs(out["pairs"])
    assert 0 < pairs.same.sum() == told["pairs"]["same"] <= 47 and len(set(pairs.names)) <= 47
    again = run(table, "-o", out["list"])
    assert again.exit_code == 2 and "--overwrite" in again.output


def test_a_gallery_gives_the_crops_that_it_keeps(run, tmp_path, photos, vectors, model):
    with create_gallery(tmp_path / "staff", model, 128, crops=True) as gallery:
        crops = [cv2.imencode(".png", cv2.imread(photo))[1].tobytes() for photo in photos]
        facts = [FaceFacts(photo, f"{row:064x}", crop=crops[row]) for row, photo in enumerate(photos)]
        gallery.add_faces([f"p{row // EACH:02d}" for row in range(48)], vectors, facts)
        gallery.annotate("p11", expires="2001-01-01")
    done = run(tmp_path / "staff", "-o", tmp_path / "hard.txt", "--json")
    assert done.exit_code == 0, done.output
    dataset = open_dataset(tmp_path / "hard.txt")
    assert dataset.name(0).startswith("staff.gallery/crops/") and dataset.num_classes == 11
    assert dataset.image(0).shape == (112, 112, 3) and not (tmp_path / "hard.crops").exists()
    assert ".classes.txt" in done.output and "crops are in" not in done.output
    inside = run(tmp_path / "staff", "-o", tmp_path / "staff.gallery" / "hard.txt")
    assert inside.exit_code == 2 and "is in the gallery" in inside.output


def test_crops_are_cut_by_the_landmarks_that_a_gallery_knows(run, tmp_path, photos, vectors, model):
    from facerec_cli.faces.align import TEMPLATES

    with create_gallery(tmp_path / "staff", model, 128) as gallery:
        facts = []
        points = tuple((2 * TEMPLATES["arcface"] + [60, 40]).ravel().tolist())
        for row, photo in enumerate(photos):
            big = np.zeros((300, 400, 3), np.uint8)
            big[40:264, 60:284] = 5 * row  # the crop, twice as large
            cv2.imwrite(photo, big)
            facts.append(FaceFacts(photo, f"{row:064x}", landmarks=points))
        gallery.add_faces([f"p{row // EACH:02d}" for row in range(48)], vectors, facts)
    done = run(tmp_path / "staff", "-o", tmp_path / "hard.txt")
    assert done.exit_code == 0, done.output
    dataset = open_dataset(tmp_path / "hard.txt")
    assert len(dataset) == 48 and dataset.name(5) == "hard.crops/p01/1.jpg"
    assert "crops are in" in done.output
    assert np.abs(dataset.image(5)[2:-2, 2:-2].astype(int) - 25).max() <= 2
    for photo in photos:
        (tmp_path / photo).unlink()
    gone = run(tmp_path / "staff", "-o", tmp_path / "none.txt")
    assert gone.exit_code == 3 and "None of the 48 faces" in gone.output.replace("\n", " ")


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_groups_give_pseudo_labels(tmp_path, photos, vectors, model, kind):
    faces = [(photos[0], vectors[0]), (photos[0], vectors[1]), *zip(photos[2:], vectors[2:], strict=True)]
    table = write_embeddings(tmp_path / "v.npy", faces, model={"name": model.name, "sha256": model.sha256})
    rows = [
        {"path": path, "face": 0, "status": "grouped", "cluster": row // EACH, "person": "", "margin": 0.4}
        for row, (path, _) in enumerate(faces)
    ]
    rows[1] |= {"face": 1, "margin": 0.1}  # a second face of the same photo in the same group
    for row in rows[EACH : 2 * EACH]:
        row["person"] = "Ann"
    rows[8] |= {"margin": 0.01}  # not sure
    rows[12] |= {"cluster": -1, "status": "junk"}
    rows[47] |= {"cluster": 99, "status": "single"}
    nobody = {
        "path": "x.jpg",
        "face": None,
        "status": "no_face",
        "cluster": None,
        "person": "",
        "margin": None,
    }
    target = tmp_path / f"clusters.{kind}"
    if kind == "csv":
        with target.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows([*rows, nobody])
    elif kind == "jsonl":
        target.write_text("".join(json.dumps(row) + "\n" for row in [*rows, nobody]))
    else:
        pa = pytest.importorskip("pyarrow")
        import pyarrow.parquet

        pyarrow.parquet.write_table(pa.Table.from_pylist([*rows, nobody]), target)
    found = mine(target, MineSettings(embeddings=table, aligned=True))
    kept = {(found.faces.photos[i], int(found.faces.numbers[i])) for i in np.flatnonzero(found.kept)}
    lost = {(photos[0], 1), (photos[8], 0), (photos[12], 0), (photos[47], 0)}
    assert kept == {(path, 1 if row == 1 else 0) for row, (path, _) in enumerate(faces)} - lost
    # the last one is alone, and looks like the group that it was taken from
    assert found.counts == {"small_margin": 1, "same_people": 1}
    assert found.faces.people[:3] == ("Ann", "group 0", "group 10")


def test_never_a_person_or_photo_of_an_evaluation(run, table, tmp_path, photos):
    split = {
        "data": str(tmp_path / "photos"),
        "people": {"train": ["p00"], "validation": ["P01 "], "test": []},
    }
    split["photos"] = {"train": ["p00/1.png"], "test": ["p02/3.png"]}
    (tmp_path / "split.json").write_text(json.dumps(split))
    (tmp_path / "pairs.txt").write_text(f"{photos[40]} {photos[41]} 1\n{photos[40]} {photos[36]} 0\n")
    (tmp_path / "test.txt").write_text("elsewhere/p08/0.jpg 0\n")
    (tmp_path / "test.classes.txt").write_text("p05\n")
    words = [
        word for name in ("split.json", "pairs.txt", "test.txt") for word in ("--never", tmp_path / name)
    ]
    done = run(table, *words, "-o", tmp_path / "hard.txt", "--json")
    assert done.exit_code == 0, done.output
    dataset = open_dataset(tmp_path / "hard.txt")
    there = {dataset.name(i).removeprefix("photos/") for i in range(len(dataset))}
    people = {name[:3] for name in there}
    # p01 and a photo of the split, p10 and p09 of the pairs, p05 of the list; p08's photo by its place
    assert people == {"p00", "p02", "p03", "p04", "p06", "p07", "p08", "p11"}
    assert "p02/3.png" not in there and "p02/2.png" in there
    assert "p00/1.png" in there and "p08/0.png" not in there and "p08/1.png" in there
    assert json.loads(done.stdout)["left_out"]["never"] == 48 - len(there) - 1  # which is suspected
    (tmp_path / "other.txt").write_text("ann/0.jpg ann/1.jpg 1\nann/0.jpg bob/1.jpg 0\n")
    wrong = run(table, "--never", tmp_path / "other.txt")
    assert wrong.exit_code == 3 and "names nobody and no photo of" in wrong.output.replace("\n", " ")


def test_the_bytes_of_a_photo_are_known_under_another_name(run, table, tmp_path, photos):
    (tmp_path / "eval" / "somebody").mkdir(parents=True)
    for number, photo in enumerate(photos[4:6]):
        (tmp_path / "eval" / "somebody" / f"x{number}.png").write_bytes(Path(photo).read_bytes())
    done = run(table, "--never", tmp_path / "eval", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["left_out"]["never"] == 2


def test_suspected_labels_stay_where_that_is_asked_for(table):
    found = mine(table, MineSettings(keep_suspects=True))
    assert found.kept.all() and (found.suspects.reasons != "").sum() == 1 and found.counts == {}


def test_people_with_fewer_photos_are_left_out(table):
    found = mine(table, MineSettings(min_photos=4, hard_share=0.5))
    assert found.counts == {"other_person": 1, "few_photos": 3} and found.kept.sum() == 44
    assert found.hard.sum() == 22


@pytest.mark.parametrize(
    ("people", "what"),
    [
        (["ann"] * 48, "has one person, and nobody else to compare with|has 1 person, and nobody else"),
        ([f"p{n}" for n in range(48)], "has nobody with two photos"),
    ],
)
def test_faces_with_nothing_to_compare_are_refused(tmp_path, photos, vectors, model, people, what):
    about = {"name": model.name, "sha256": model.sha256}
    path = write_embeddings(
        tmp_path / "v.npy", list(zip(photos, vectors, strict=True)), model=about, person=people
    )
    with pytest.raises(InputError, match=what):
        mine(path)


def test_a_model_without_an_impostor_tail_needs_people(tmp_path, photos):
    write_tiny_pack(tmp_path / "tiny")
    with pytest.raises(InputError, match=r"Nothing says how alike strangers are .* 12 people are too few"):
        mine(tmp_path / "photos", MineSettings(model=str(tmp_path / "tiny"), aligned=True, cache=False))


def test_another_model_than_that_of_the_vectors_is_refused(table):
    with pytest.raises(ModelError, match="were made with the model 'sface', not with 'sface-degraded'"):
        mine(str(table), MineSettings(model="sface-degraded"))


def test_crops_among_the_photos_are_refused(tmp_path, photos):
    with pytest.raises(UsageError, match="count as people next time"):
        _refuse_among(tmp_path / "photos", tmp_path / "photos" / "list.crops")
    _refuse_among(tmp_path / "photos", tmp_path / "photos.crops")


def test_a_list_of_pairs_is_told_from_one_of_people(tmp_path, photos):
    pairs = tmp_path / "pairs.txt"
    pairs.write_text("".join(f"{a}\t{b}\t1\n" for a, b in zip(photos[::2], photos[1::2], strict=True)))
    with pytest.raises(InputError, match="is a list of pairs"):
        mine(str(pairs), MineSettings(aligned=True))


def test_photos_of_groups_that_are_gone(tmp_path):
    (tmp_path / "c.csv").write_text("path,face,status,cluster,person,margin\nno/a.jpg,0,grouped,0,,0.3\n")
    with pytest.raises(InputError, match=r"The photos of .*c.csv are gone: none of 1 photo is there"):
        mine(tmp_path / "c.csv")
    (tmp_path / "d.csv").write_text("path,face,status,cluster\nno/a.jpg,0,junk,-1\n")
    with pytest.raises(InputError, match="has no face with a group"):
        mine(tmp_path / "d.csv")
    (tmp_path / "e.csv").write_text("path,face,cluster\nno/a.jpg,0,x\n")
    with pytest.raises(InputError, match="'x' where a whole number stands"):
        mine(tmp_path / "e.csv")


def test_names_of_outputs_are_checked(run, table, tmp_path):
    for words, fault in (
        (["-o", tmp_path / "a.rec"], "does not end in"),
        (["--noise", tmp_path / "a.txt"], "does not end in .csv"),
        (["-o", tmp_path / "a.txt", "--hard", tmp_path / "a.txt"], "both write"),
        (["-o", tmp_path / "no" / "such" / "a.txt", "--hard-share", "2"], "hard-share"),
    ):
        done = run(table, *words)
        assert done.exit_code == 2 and fault in done.output.replace("\n", " "), done.output


def test_a_run_that_nobody_names_has_the_name_of_loss_and_data():
    assert compose(flags={"data.path": "some/hard.txt", "loss.name": "npt"}).run.out == "runs/npt-hard"
    assert compose(flags={"data.path": "synthetic:9", "run.out": "here"}).run.out == "here"
    assert compose(flags={"data.path": "synthetic:9"}).run.out == "runs/arcface-synthetic-9"
