"""A gallery on the review page, and what is decided there carried out on it."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from facerec_cli.cli.program import build_app
from facerec_cli.embeddings.table import ModelInfo
from facerec_cli.errors import InputError, UsageError
from facerec_cli.gallery.gallery import Gallery, create_gallery, open_gallery
from facerec_cli.gallery.person import FaceFacts
from facerec_cli.gallery.reassign import NewOwner
from facerec_cli.review.decisions import DecidedFace, Decision, Decisions
from facerec_cli.review.face_key import face_keys
from facerec_cli.review.of_gallery import gallery_page, photo_of
from facerec_cli.review.on_gallery import apply_to_gallery
from facerec_cli.threshold import ImpostorTail

SIZE, MODEL = 32, "5" * 64
TAIL = ImpostorTail(
    data="made up", people=1000, pairs=10**6, mean=0.0, deviation=0.15, rates=(0.5,), scores=(0.0,)
)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def _filled(folder: Path, people: int = 6, faces: int = 4, *, crops: bool = False) -> Gallery:
    """People with ids from 1 and faces with ids from 1, person by person."""
    gallery = create_gallery(folder / "staff", ModelInfo("toy", MODEL), SIZE, crops=crops)
    random = np.random.default_rng(7)
    centers = _unit(random.normal(size=(people, SIZE)))
    vectors = _unit(
        np.repeat(centers, faces, axis=0) + 0.6 * _unit(random.normal(size=(people * faces, SIZE)))
    )
    image = cv2.imencode(".png", np.full((112, 112, 3), 99, np.uint8))[1].tobytes() if crops else b""
    facts = [FaceFacts(path=f"/photos/{at}.jpg", crop=image) for at in range(people * faces)]
    gallery.add_faces([f"person {at // faces}" for at in range(people * faces)], vectors, facts)
    return gallery


def _decided(gallery: Gallery, *items: tuple) -> Decisions:
    faces = {face.id: face for face in gallery.faces()}
    keys = dict(zip(faces, face_keys(gallery.vectors(list(faces.values()))), strict=True))

    def named(number: int) -> DecidedFace:
        return DecidedFace(photo_of(faces[number]), number, keys[number])

    made = []
    for kind, which, *more in items:
        apart = named(more[0]) if more and kind != "name" else None
        made.append(Decision(kind, tuple(map(named, which)), apart, more[0] if kind == "name" else ""))
    return Decisions(tuple(made), "gallery", model=MODEL, path="d.json")


def _people(gallery: Gallery) -> dict[str, list[int]]:
    return {one.name: sorted(face.id for face in gallery.faces(one)) for one in gallery.people()}


DECIDED = (
    ("split", (1, 2), 3),
    ("name", (1,), 'Zoë "<b>" \U0001f600'),
    ("merge", (5, 9)),
    ("name", (5,), "person 1"),
    ("not_this_person", (13,), 14),
    ("not_this_person", (14,), 15),
    ("merge", (14, 17)),
    ("junk", (24,)),
    ("not_same", (3, 17)),
)


def test_decisions_are_carried_out_whole_and_once(tmp_path: Path) -> None:
    with _filled(tmp_path) as gallery:
        gallery.annotate("person 0", note="consent 17", expires="2099-01-01")
        vectors = {face.id: gallery.vectors([face])[0] for face in gallery.faces()}
        decided = _decided(gallery, *DECIDED)
        done = apply_to_gallery(gallery, decided)
        expected = {
            "person 0": [3, 4],
            "person 1": [5, 6, 7, 8, 9, 10, 11, 12],
            "person 3": [15, 16],
            "person 4": [14, 17, 18, 19, 20],
            "person 5": [21, 22, 23],
            'Zoë "<b>" \U0001f600': [1, 2],
            "person 3 (2)": [13],
        }
        assert _people(gallery) == expected
        assert (done.decisions, done.moved, done.erased) == (9, 8, 1)
        assert gallery.person('Zoë "<b>" \U0001f600').note == "consent 17"  # what was agreed goes along
        for face in gallery.faces():
            assert np.array_equal(gallery.vectors([face])[0], vectors[face.id])
        enrolled = gallery.enrolled()
        for name, ids in expected.items():  # templates are those of the faces that people have now
            mean = _unit(np.mean([vectors[one] for one in ids], axis=0))
            people, scores = enrolled.search(mean[None], 1)
            assert enrolled.names[int(people[0, 0])] == name
            assert scores[0, 0] == pytest.approx(1, abs=1e-5)
        row = next(path for path in (gallery.path / "vectors").iterdir() if "template" not in path.name)
        assert vectors[24].tobytes() not in row.read_bytes()  # overwritten
        before = gallery.generation
        again = apply_to_gallery(gallery, decided)
        assert _people(gallery) == expected
        assert (again.moved, again.erased, again.people) == (0, 0, ())
        assert gallery.generation == before


def test_names_can_change_places_and_a_person_can_be_all_junk(tmp_path: Path) -> None:
    with _filled(tmp_path, people=3, faces=2) as gallery:
        swap = (("name", (1,), "person 1"), ("name", (3,), "person 0"), ("junk", (5, 6)))
        apply_to_gallery(gallery, _decided(gallery, *swap))
        assert _people(gallery) == {"person 1": [1, 2], "person 0": [3, 4]}


def test_nothing_is_done_where_something_is_wrong(tmp_path: Path) -> None:
    with _filled(tmp_path) as gallery:
        before, generation = _people(gallery), gallery.generation
        with pytest.raises(InputError, match="contradict each other"):
            apply_to_gallery(
                gallery, _decided(gallery, ("junk", (1,)), ("merge", (5, 9)), ("not_same", (6, 10)))
            )
        with pytest.raises(InputError, match="not about a gallery"):
            apply_to_gallery(gallery, Decisions((), "clusters"))
        other = Decisions((Decision("junk", (DecidedFace("/x/0.jpg", 3, "00000000"),)),), "gallery")
        with pytest.raises(InputError, match="about other photos"):
            apply_to_gallery(gallery, other)
        with pytest.raises(UsageError, match="somebody called 'person 2'"):
            gallery.reassign([NewOwner("person 2", None, (1, 2))])
        assert (_people(gallery), gallery.generation) == (before, generation)
    with open_gallery(tmp_path / "staff") as gallery, pytest.raises(UsageError, match="opened to read"):
        apply_to_gallery(gallery, _decided(gallery, ("junk", (1,))))


def test_findings_of_the_check_are_the_questions(tmp_path: Path) -> None:
    with _filled(tmp_path, crops=True) as gallery:
        one = gallery.vectors(gallery.faces("person 2"))
        gallery.add("person 9", one[:2] + np.float32(0.01))  # two people who look like one
        gallery.add("person 4", one[:1])  # and one of them under a third name
        page = gallery_page(gallery, apply="facerec review staff --apply FILE", tail=TAIL)
    names = [group.person for group in page.groups]
    assert sorted(names) == sorted([f"person {at}" for at in (0, 1, 2, 3, 4, 5, 9)])
    asked = [
        (names[one.first], names[one.second] if one.second >= 0 else page.faces[one.face].face)
        for one in sorted(page.questions, key=lambda one: one.doubt)
    ]
    assert ("person 2", "person 9") in asked or ("person 9", "person 2") in asked
    assert ("person 4", 27) in asked
    assert set(names[:3]) == {"person 2", "person 9", "person 4"}  # what was found comes first
    assert page.questions[0].why.endswith(".")
    picture = page.pictures(page.groups[names.index("person 0")].faces[0])
    assert picture is not None
    assert picture[:2] == b"\xff\xd8"
    assert page.pictures(next(at for at, face in enumerate(page.faces) if face.face == 27)) is None


def test_the_command_makes_the_page_and_carries_out_what_it_saved(tmp_path: Path) -> None:
    with _filled(tmp_path) as gallery:
        decided = _decided(gallery, *DECIDED)
        decided.write(tmp_path / "decisions.json")
    app, staff = build_app(["review"]), str(tmp_path / "staff")
    page = tmp_path / "review.html"
    made = CliRunner().invoke(app, ["review", staff, "-o", str(page), "--json"])
    assert made.exit_code == 0, made.output
    assert json.loads(made.stdout)["faces"] == 24
    assert "person 5" in page.read_text()
    done = CliRunner().invoke(app, ["review", staff, "--apply", str(tmp_path / "decisions.json"), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["moved"] == 8
    log = tmp_path / "staff.gallery.decisions.jsonl"
    assert len(log.read_text().splitlines()) == 9
    for words, told in (
        (["--apply", "x.json", "--serve"], "exclude each other"),
        (["--port", "80"], "for --serve"),
        (["photo.jpg"], "A gallery has its photos"),
    ):
        wrong = CliRunner().invoke(app, ["review", staff, *words])
        assert wrong.exit_code == 2
        assert told in wrong.stderr
