"""``facerec cluster`` from embeddings to rows: threshold, known people, earlier results, bad input."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from made_people import unit, write_embeddings

from facerec_cli import cluster, open_table
from facerec_cli.clusters.earlier import read_clusters
from facerec_cli.clusters.neighbors import build_graph
from facerec_cli.clusters.outputs import ClusterOutputs
from facerec_cli.clusters.run import cluster_faces, cluster_table
from facerec_cli.clusters.settings import ClusterSettings
from facerec_cli.errors import InputError, ModelError, UsageError
from facerec_cli.metrics.impostor_tail import rate_at, tail_of
from facerec_cli.packs.resolve import open_pack, pack_hash

ANNA, BEN, CARL = (unit(1, 0, 0, 0), unit(0, 1, 0, 0), unit(0, 0, 1, 0))
FACES = [
    ("a1.jpg", unit(1, 0.1, 0, 0)),
    ("a2.jpg", unit(1, 0, 0.1, 0)),
    ("both.jpg", unit(1, 0.2, 0, 0)),
    ("both.jpg", unit(0.1, 1, 0, 0)),
    ("b1.jpg", unit(0, 1, 0, 0.1)),
    ("c.jpg", CARL),
]


def default_model() -> dict:
    pack = open_pack("sface")
    return {"name": pack.name, "sha256": pack_hash(pack)}


def test_rows_of_every_face_in_order_and_what_is_written_is_read(tmp_path: Path) -> None:
    found = cluster_faces([write_embeddings(tmp_path / "e.npy", FACES)], ClusterSettings(threshold=0.5))
    rows = list(found.rows())
    assert [(row["path"], row["face"]) for row in rows] == [
        ("a1.jpg", 0), ("a2.jpg", 0), ("both.jpg", 0), ("both.jpg", 1), ("b1.jpg", 0), ("c.jpg", 0),
    ]  # fmt: skip
    assert [row["cluster"] for row in rows] == [0, 0, 0, 1, 1, 2]
    assert [row["status"] for row in rows] == ["grouped"] * 5 + ["single"]
    for suffix in (".csv", ".jsonl", ".parquet"):
        ClusterOutputs(output=tmp_path / f"c{suffix}").write(found)
        again = read_clusters(tmp_path / f"c{suffix}")
        for a, b in zip(again, rows, strict=True):
            assert a | {"margin": 0} == b | {"margin": 0}
            assert a["margin"] == pytest.approx(b["margin"], abs=1e-6)
    document = json.loads(json.dumps(found.document(), allow_nan=False))
    assert document["clusters"] == 3 and document["sizes"] == {"1": 1, "2": 1, "3": 1}


def test_the_threshold_follows_from_the_number_of_faces_and_the_models_tail(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    faces = [(f"{i}.jpg", unit(*random.normal(size=128))) for i in range(500)]
    table = open_table(write_embeddings(tmp_path / "e.npy", faces, model=default_model()))
    tail = tail_of(open_pack("sface"), flip=False)
    values = []
    for links in (0.1, 0.01):
        threshold = cluster_table(table, ClusterSettings(false_links=links)).threshold
        assert 500 * rate_at(tail, threshold.value) == pytest.approx(links, rel=1e-6)
        assert threshold.false_links == pytest.approx(links)
        values.append(threshold.value)
    assert values == sorted(values)
    few = cluster_table(table.select(range(3)))
    assert rate_at(tail, few.threshold.value) == pytest.approx(1e-3)  # never looser than two photos
    assert cluster(table.vectors, tail="sface").threshold.value == cluster_table(table).threshold.value


def test_without_a_tail_the_error_says_what_to_give(tmp_path: Path) -> None:
    made = write_embeddings(tmp_path / "e.npy", FACES)
    with pytest.raises(InputError, match="no impostor tail") as fault:
        cluster_faces([made])
    assert "--threshold" in fault.value.hint
    np.save(tmp_path / "plain.npy", np.stack([vector for _, vector in FACES]))
    with pytest.raises(InputError, match="no impostor tail"):
        cluster_faces([tmp_path / "plain.npy"])
    plain = cluster_faces([tmp_path / "plain.npy"], ClusterSettings(threshold=0.5))
    assert plain.labels.tolist() == [0, 0, 0, 1, 1, 2] and plain.path(4) == "4"


def test_known_people_are_named_first_and_once_a_photo(tmp_path: Path) -> None:
    staff = write_embeddings(tmp_path / "staff.npy", [("Anna/1.jpg", ANNA), ("Ben/1.jpg", BEN)])
    twice = [*FACES, ("both.jpg", unit(1, 0.5, 0, 0))]
    faces = write_embeddings(tmp_path / "e.npy", twice)
    with pytest.raises(InputError, match="No threshold can be found") as fault:
        cluster_faces([faces], ClusterSettings(threshold=0.97, gallery=str(staff)))
    assert "--gallery-threshold" in fault.value.hint
    settings = ClusterSettings(threshold=0.97, gallery=str(staff), gallery_threshold=0.8)
    found = cluster_faces([faces], settings)
    assert found.person == ("Anna", "Anna", "Anna", "Ben", "Ben", "", "")
    assert found.status == ("known",) * 5 + ("single",) * 2
    assert found.labels.tolist() == [2, 2, 2, 3, 3, *found.labels[5:].tolist()]
    assert sorted(found.labels[5:].tolist()) == [0, 1]


def test_new_photos_join_an_earlier_result_that_somebody_has_edited(tmp_path: Path) -> None:
    first = write_embeddings(tmp_path / "e.npy", FACES)
    earlier = tmp_path / "c.csv"
    ClusterOutputs(output=earlier).write(cluster_faces([first], ClusterSettings(threshold=0.5)))
    rows = list(csv.DictReader(earlier.open()))
    rows[0]["person"] = "Anna"
    rows[1] |= {"cluster": "7", "status": "single"}  # not this person
    rows[5] |= {"status": "junk", "cluster": ""}
    rows.append({"path": "gone.jpg", "face": "0", "status": "grouped", "cluster": "9", "person": "Dora"})
    with earlier.open("w", newline="") as stream:
        table = csv.DictWriter(stream, rows[0])
        table.writeheader()
        table.writerows(rows)
    more = [*FACES, ("new_a.jpg", unit(1, 0.12, 0, 0)), ("new.jpg", unit(0, 0, 0, 1)), ("j.jpg", CARL)]
    again = cluster_faces(
        [write_embeddings(tmp_path / "more.npy", more)], ClusterSettings(threshold=0.5, update=earlier)
    )
    assert again.labels.tolist() == [0, 7, 0, 1, 1, -1, 0, *again.labels[7:].tolist()]
    assert sorted(again.labels[7:].tolist()) == [10, 11]
    assert again.person == ("Anna", "", "Anna", "", "", "", "Anna", "", "")
    assert again.status[5] == "junk" and again.status[8] == "single"
    assert list(again.rows())[-1] == {
        "path": "gone.jpg", "face": 0, "status": "grouped", "cluster": 9, "person": "Dora",
    }  # fmt: skip
    with pytest.raises(InputError, match="None of the faces"):
        others = write_embeddings(tmp_path / "others.npy", [("x.jpg", ANNA)])
        cluster_faces([others], ClusterSettings(threshold=0.5, update=earlier))


def test_links_are_read_and_faults_are_named(tmp_path: Path) -> None:
    faces = write_embeddings(tmp_path / "e.npy", FACES)
    links = tmp_path / "links.csv"
    links.write_text("path,face,path,face,link\na1.jpg,0,c.jpg,0,same\na1.jpg,0,a2.jpg,0,different\n")
    found = cluster_faces([faces], ClusterSettings(threshold=0.5, links=links))
    assert found.labels[0] == found.labels[5] and found.labels[0] != found.labels[1]
    for text, words in (
        ("a1.jpg,0,x.jpg,0,same\n", "which is not there"),
        ("a1.jpg,0,b1.jpg,0,maybe\na1.jpg,0,b1.jpg,0,same\n", "no link on line 1: 'a1.jpg,0,b1.jpg,0,maybe'"),
        ("a1.jpg,,b1.jpg,,maybe\n", "no link on line 1"),
        ("a1.jpg,0,b1.jpg,0,same\na1.jpg,0,b1.jpg\n", "no link on line 2"),
        ("a1.jpg,0,b1.jpg,0,same\nb1.jpg,0,a1.jpg,0,different\n", "different people"),
    ):
        links.write_text(text)
        with pytest.raises(InputError, match=words):
            cluster_faces([faces], ClusterSettings(threshold=0.5, links=links))


def test_embeddings_of_two_models_and_damaged_vectors_are_refused(tmp_path: Path) -> None:
    one = write_embeddings(tmp_path / "one.npy", FACES[:3])
    other = write_embeddings(tmp_path / "other.npy", FACES[3:], model={"name": "x", "sha256": "e" * 64})
    same = write_embeddings(tmp_path / "same.npy", FACES[3:])
    with pytest.raises(ModelError, match="was made with the model"):
        cluster_faces([one, other], ClusterSettings(threshold=0.5))
    assert len(cluster_faces([one, same], ClusterSettings(threshold=0.5))) == 6
    with pytest.raises(UsageError, match="holds embeddings"):
        cluster_faces([one, tmp_path], ClusterSettings(threshold=0.5))
    np.save(tmp_path / "nan.npy", np.array([[1, np.nan]], np.float32))
    with pytest.raises(InputError, match="NaN"):
        cluster_faces([tmp_path / "nan.npy"], ClusterSettings(threshold=0.5))
    for bad, words in (([[1.0, np.nan]], "not finite"), ([[0.0, 0.0]], "all zero"), ([1.0], "shape")):
        with pytest.raises(InputError, match=words):
            cluster(bad, threshold=0.5)


def test_a_graph_is_gone_on_with_from_its_work_folder(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("facerec_cli.clusters.neighbors.BLOCK", 16)
    random = np.random.default_rng(0)
    vectors = np.stack([unit(*random.normal(size=8)) for _ in range(60)])
    whole = build_graph(vectors, 5)
    calls = []

    def stopping(gallery, probes, k, *, progress):
        from facerec_cli.metrics.search import top_k

        calls.append(len(probes))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return top_k(gallery, probes, k)

    with pytest.raises(KeyboardInterrupt):
        build_graph(vectors, 5, search=stopping, work=tmp_path / "w")
    (tmp_path / "w" / "000001.npz").write_bytes(b"torn")
    again = build_graph(vectors, 5, search=stopping, work=tmp_path / "w")
    assert len(calls) == 6  # two of four blocks, and the torn one
    np.testing.assert_array_equal(again.rows, whole.rows)
    np.testing.assert_array_equal(again.scores, whole.scores)
    with pytest.raises(UsageError, match="another graph"):
        build_graph(vectors[:50], 5, work=tmp_path / "w")
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "photo.jpg").write_bytes(b"x")
    with pytest.raises(UsageError, match="something else"):
        build_graph(vectors, 5, work=tmp_path / "own")
