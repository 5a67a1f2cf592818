"""What a check of a gallery finds: known faults are put in, and brute force says what is nearest."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from facerec_cli.embeddings.table import ModelInfo
from facerec_cli.errors import InputError
from facerec_cli.gallery.check import GalleryCheck, check_gallery
from facerec_cli.gallery.gallery import Gallery, create_gallery, open_gallery
from facerec_cli.gallery.likeness import FacesByPerson
from facerec_cli.gallery.person import FaceFacts
from facerec_cli.metrics.face_scores import best_others
from facerec_cli.threshold import ImpostorTail

SIZE = 32
TAIL = ImpostorTail(
    data="made up", people=1000, pairs=10**6, mean=0.0, deviation=0.15, rates=(0.5,), scores=(0.0,)
)


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def faces_of(center: np.ndarray, count: int, seed: int, spread: float = 0.6) -> np.ndarray:
    noise = unit(np.random.default_rng(seed).normal(size=(count, SIZE)))
    return unit(center + spread * noise)


def centers(count: int) -> np.ndarray:
    return unit(np.random.default_rng(7).normal(size=(count, SIZE)))


def filled(folder: Path, people: int = 8, faces: int = 4) -> Gallery:
    gallery = create_gallery(folder / "staff", ModelInfo("toy", "5" * 64), SIZE)
    vectors = [faces_of(center, faces, number) for number, center in enumerate(centers(people))]
    names = [f"person {number}" for number in range(people) for _ in range(faces)]
    gallery.add_faces(names, np.concatenate(vectors))
    return gallery


def found(check: GalleryCheck) -> list[tuple[str, tuple[str, ...], tuple[int, ...]]]:
    return [(finding.kind, finding.people, finding.faces) for finding in check.findings]


def test_a_sound_gallery_has_no_findings(tmp_path: Path) -> None:
    with filled(tmp_path) as gallery:
        before = sorted((p, p.stat().st_mtime_ns) for p in gallery.path.rglob("*"))
        check = check_gallery(gallery, tail=TAIL)
        assert (check.people, check.faces, check.findings) == (8, 32, ())
        assert check.source.startswith("made up") and check.look_alike is not None
        assert check.outlier == pytest.approx(0.15 * 2.3263, abs=1e-3)  # one in 100 of a normal distribution
        assert sorted((p, p.stat().st_mtime_ns) for p in gallery.path.rglob("*")) == before


def test_a_face_of_somebody_else_is_an_outlier(tmp_path: Path) -> None:
    with filled(tmp_path) as gallery:
        (wrong,) = gallery.add("person 2", faces_of(centers(8)[5], 1, 99))
        check = check_gallery(gallery, tail=TAIL)
        ((kind, people, faces),) = found(check)
        assert (kind, people, faces) == ("outlier", ("person 2", "person 5"), (wrong,))
        finding = check.findings[0]
        # By hand: the mean of the others, and the template of the other person.
        own, other = (gallery.vectors(gallery.faces(name)) for name in ("person 2", "person 5"))
        vector, rest = own[-1], own[:-1].sum(axis=0)
        assert finding.score == pytest.approx(float(vector @ unit(rest)), abs=1e-5)
        assert finding.bound == pytest.approx(float(vector @ unit(other.sum(axis=0))), abs=1e-5)
        assert f"facerec gallery split staff {wrong} --into NAME" in finding.command
        assert "is more like person 5" in finding.message
        gallery.split([wrong], "somebody")
        assert "outlier" not in [kind for kind, *_ in found(check_gallery(gallery, tail=TAIL))]


def test_a_face_that_is_like_nobody_is_an_outlier_by_the_bound(tmp_path: Path) -> None:
    with filled(tmp_path) as gallery:
        everybody = np.concatenate([centers(8), gallery.vectors(gallery.faces())])
        away = np.random.default_rng(1).normal(size=SIZE)
        basis = np.linalg.svd(everybody[:8], full_matrices=False)[2]
        away -= basis.T @ (basis @ away)  # at right angles to all of them
        (wrong,) = gallery.add("person 3", unit(away[None]))
        check = check_gallery(gallery, tail=TAIL)
        assert [(kind, faces) for kind, _, faces in found(check)] == [("outlier", (wrong,))]
        assert found(check_gallery(gallery)) in ([], [("outlier", check.findings[0].people, (wrong,))])


def test_two_faces_of_two_people_under_one_name_are_one_finding(tmp_path: Path) -> None:
    with create_gallery(tmp_path / "staff", ModelInfo("toy", "5" * 64), SIZE) as gallery:
        one, other = np.eye(SIZE, dtype=np.float32)[:2]
        ids = gallery.add("Zed", np.stack([one, other]))
        check = check_gallery(gallery, tail=TAIL)  # with nobody to compare with
        assert found(check) == [("outlier", ("Zed",), ids)]
        assert check.findings[0].score == pytest.approx(0.0, abs=1e-6)
        assert check.findings[0].command.startswith(f"facerec gallery split staff {ids[1]} --into NAME  #")
        gallery.add("Amy", -one[None])
        assert found(check_gallery(gallery, tail=TAIL)) == [("outlier", ("Zed",), ids)]
        gallery.split(ids[1:], "other")
        assert found(check_gallery(gallery, tail=TAIL)) == []


def test_files_of_others_in_the_folder_are_named(tmp_path: Path) -> None:
    with filled(tmp_path) as gallery:
        place = gallery.path / "person 2"
        place.mkdir()
        (place / "photo.jpg").write_bytes(b"x")
        (finding,) = check_gallery(gallery, tail=TAIL).findings
        assert finding.kind == "foreign" and finding.message.endswith(f"{place}, {place / 'photo.jpg'}.")


def test_two_people_who_are_one(tmp_path: Path) -> None:
    with filled(tmp_path) as gallery:
        gallery.add("again", faces_of(centers(8)[6], 2, 50))
        check = check_gallery(gallery, tail=TAIL)
        assert found(check) == [("look_alike", ("person 6", "again"), ())]  # and no outliers of each other
        finding = check.findings[0]
        one, other = (unit(gallery.vectors(gallery.faces(n)).sum(axis=0)) for n in finding.people)
        assert finding.score == pytest.approx(float(one @ other), abs=1e-5)
        assert finding.command == "facerec gallery merge staff again 'person 6'  # if they are"
        gallery.merge("again", "person 6")
        assert found(check_gallery(gallery, tail=TAIL)) == []


def test_bounds_of_a_large_gallery_follow_from_all_its_scores(tmp_path: Path) -> None:
    with filled(tmp_path, people=150, faces=1) as gallery:
        check = check_gallery(gallery)
        templates = gallery.vectors(gallery.faces()).astype(np.float64)
        scores = (templates @ templates.T)[np.triu_indices(150, 1)]
        from statistics import NormalDist

        normal = NormalDist(scores.mean(), scores.std())
        rate = 1 - (1 - 1e-3) ** (1 / 150)
        assert check.look_alike == pytest.approx(normal.inv_cdf(1 - rate), abs=1e-5)
        assert check.outlier == pytest.approx(normal.inv_cdf(0.99), abs=1e-5)
        over = {tuple(f.people) for f in check.findings if f.kind == "look_alike"}
        assert len(over) == (scores >= check.look_alike).sum()


def test_nearest_others_are_those_of_a_matrix_product(tmp_path: Path) -> None:
    with filled(tmp_path, people=20, faces=3) as gallery:
        work = FacesByPerson(gallery, gallery.people(), gallery.faces())
        vectors = gallery.vectors(gallery.faces())
        people = np.repeat(np.arange(20), 3)
        best, nearest = best_others(vectors, people, work.templates)
        scores = vectors @ work.templates.T
        scores[np.arange(60), people] = -np.inf
        np.testing.assert_allclose(best, scores.max(axis=1), atol=1e-6)
        assert nearest.tolist() == scores.argmax(axis=1).tolist()


def test_one_face_under_two_names_but_not_two_people_of_a_group_photo(tmp_path: Path) -> None:
    with filled(tmp_path) as gallery:
        digest, boxes = "a" * 64, [(0, 0, 50, 50), (100, 0, 150, 50), (2, 2, 51, 52)]
        vectors = [faces_of(centers(8)[n], 1, 70 + n) for n in (0, 1, 0)]
        ids = [
            gallery.add(name, vector, [FaceFacts("group.jpg", digest, box)])[0]
            for name, vector, box in zip(("person 0", "person 1", "person 4"), vectors, boxes, strict=True)
        ]
        gallery.add("person 5", vectors[0], [FaceFacts("crop.png", "b" * 64)])
        gallery.add("person 6", vectors[0], [FaceFacts("crop.png", "b" * 64)])
        kinds = [one for one in found(check_gallery(gallery, tail=TAIL)) if one[0] == "same_face"]
        assert [people for _, people, _ in kinds] == [("person 0", "person 4"), ("person 5", "person 6")]
        assert kinds[0][2] == (ids[0], ids[2])


def test_people_whose_date_has_passed_and_an_empty_gallery(tmp_path: Path) -> None:
    with filled(tmp_path) as gallery:
        gallery.annotate("person 1", expires="2020-02-02")
        gallery.annotate("person 2", expires="2999-01-01")
        (finding,) = check_gallery(gallery).findings
        assert (finding.kind, finding.people) == ("expired", ("person 1",))
        assert finding.command == "facerec gallery remove staff 'person 1'"
    with create_gallery(tmp_path / "none", ModelInfo(), SIZE) as gallery:
        assert [one.kind for one in check_gallery(gallery).findings] == ["empty"]


def rows_file(gallery: Gallery, kind: str) -> Path:
    return gallery.path / "vectors" / f"{kind}-000001.npy"


def spoil(path: Path, row: int, numbers: np.ndarray) -> None:
    with path.open("r+b") as stream:
        stream.seek(128 + row * SIZE * 4)
        stream.write(numbers.astype("<f4").tobytes())


@pytest.mark.parametrize("value", [np.nan, 0.0, 3.0])
def test_vectors_that_are_none(value: float, tmp_path: Path) -> None:
    with filled(tmp_path) as gallery:
        spoil(rows_file(gallery, "faces"), 5, np.full(SIZE, value))
        finding = check_gallery(gallery, tail=TAIL).findings[0]
        assert finding.kind == "damaged" and finding.people == ("person 1",)
        assert finding.message.endswith("that are not of unit length: 1, of person 1.")


def test_templates_that_are_not_those_of_their_faces(tmp_path: Path) -> None:
    with filled(tmp_path) as gallery:
        spoil(rows_file(gallery, "templates"), 3, unit(np.ones(SIZE)))
        spoil(rows_file(gallery, "templates"), 4, np.full(SIZE, np.nan))
        damaged = [one for one in check_gallery(gallery, tail=TAIL).findings if one.kind == "damaged"]
        assert sorted(one.people for one in damaged) == [("person 3",), ("person 4",)]


def test_files_that_are_short_or_missing(tmp_path: Path) -> None:
    with filled(tmp_path) as gallery:
        path = gallery.path
    with rows_file(gallery, "faces").open("r+b") as stream:
        stream.truncate(5000)
    with open_gallery(path) as gallery:
        check = check_gallery(gallery, tail=TAIL)
        assert [one.kind for one in check.findings] == ["damaged"] and "5,000 bytes" in check.findings[
            0
        ].message
        assert len(check.findings[0].people) == 8 and check.faces == 0
    rows_file(gallery, "faces").unlink()
    with open_gallery(path) as gallery:
        assert "No such file" in check_gallery(gallery).findings[0].message


def test_what_is_left_in_rows_of_nobody_and_crops(tmp_path: Path) -> None:
    gallery = create_gallery(tmp_path / "staff", ModelInfo("toy", "5" * 64), SIZE, crops=True)
    with gallery:
        gallery.add("Ada", faces_of(centers(2)[0], 2, 1), [FaceFacts(crop=b"png"), FaceFacts(crop=b"png2")])
        gallery.add("Bo", faces_of(centers(2)[1], 1, 2))
        (gallery.path / "crops" / "strange.png").write_bytes(b"x")
        (gallery.path / "crops" / gallery.faces()[1].crop).unlink()
        gallery.remove("Bo")
        spoil(rows_file(gallery, "faces"), 2, unit(np.ones(SIZE)))
        kinds = found(check_gallery(gallery))
        assert [kind for kind, *_ in kinds] == ["damaged", "left_over", "left_over"]
        messages = " ".join(one.message for one in check_gallery(gallery).findings)
        assert "1 row of faces" in messages and "strange.png" in messages


def test_facts_that_do_not_fit_each_other(tmp_path: Path) -> None:
    with filled(tmp_path) as gallery:
        path = gallery.path
    with sqlite3.connect(path / "people.sqlite") as base:
        base.execute("DELETE FROM face WHERE person = 1")
        base.execute("UPDATE face SET row = 70000 WHERE id = 9")
    base.close()
    with open_gallery(path) as gallery:
        check = check_gallery(gallery, tail=TAIL)
        kinds = [one.kind for one in check.findings]
        messages = " ".join(one.message for one in check.findings)
        assert "damaged" in kinds and "left_over" in kinds
        assert "person 0 has no face" in messages and "behind the last row: 1, of" in messages
    data = bytearray((path / "people.sqlite").read_bytes())
    data[4096:8192] = bytes(4096)
    (path / "people.sqlite").write_bytes(data)
    with pytest.raises(InputError, match="Put it back from a copy"), open_gallery(path) as gallery:
        check_gallery(gallery)


def test_an_index_that_is_not_of_these_people(tmp_path: Path) -> None:
    with filled(tmp_path) as gallery:
        (gallery.path / "index").mkdir()
        (gallery.path / "index" / "templates.npz").write_bytes(b"none")
        (finding,) = check_gallery(gallery, tail=TAIL).findings
        assert (finding.kind, finding.command) == ("stale_index", "facerec gallery index staff")


def test_the_document_is_plain(tmp_path: Path) -> None:
    import json

    with filled(tmp_path) as gallery:
        gallery.add("again", faces_of(centers(8)[6], 2, 50))
        document = json.loads(json.dumps(check_gallery(gallery, tail=TAIL).document()))
        assert document["findings"][0]["people"] == ["person 6", "again"]
        assert document["bounds"]["source"].startswith("made up") and document["faces"] == 34
