"""What a search is made in: folders, lists and files of embeddings give one template a person."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_people import unit, write_embeddings

from facerec_cli.errors import InputError, ModelError
from facerec_cli.gallery.labeled import photos_of_folder
from facerec_cli.identify.people import open_people, open_searched
from facerec_cli.identify.settings import IdentifySettings


def test_a_template_is_the_normalized_mean_of_unit_vectors(tmp_path: Path) -> None:
    one, two = unit(1, 0, 0), unit(0.6, 0.8, 0)
    path = write_embeddings(
        tmp_path / "g.npy",
        [("p/Ann/1.jpg", one), ("p/Bob/1.jpg", unit(0, 0, 1)), ("p/Ann/2.jpg", two)],
    )
    people = open_people(path)
    assert people.names == ("Ann", "Bob")
    assert people.faces.tolist() == [2, 1]
    assert people.photos == ("p/Ann/1.jpg", "p/Bob/1.jpg")
    assert np.allclose(people.templates[0], [unit(*(one + two)), unit(0, 0, 1)], atol=1e-7)
    assert people.model.sha256 == "d" * 64 and people.settings == {"flip": False}


def test_a_column_says_who_it_is_before_the_folder_does(tmp_path: Path) -> None:
    faces = [("p/x/1.jpg", unit(1, 0)), ("p/x/2.jpg", unit(0, 1))]
    people = open_people(write_embeddings(tmp_path / "g.npy", faces, person=["Ann Lee", ""]))
    assert people.names == ("Ann Lee", "x")


def test_embeddings_that_do_not_say_whom_they_show_are_no_gallery(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"does not say whom '1.jpg' shows"):
        open_people(write_embeddings(tmp_path / "g.npy", [("1.jpg", unit(1, 0))]))
    np.save(tmp_path / "plain.npy", np.eye(2))
    with pytest.raises(InputError, match="whom its rows show"):
        open_people(tmp_path / "plain.npy")


def test_vectors_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    path = write_embeddings(tmp_path / "g.npy", [("p/Ann/1.jpg", unit(1, 0))])
    np.save(path, np.array([[np.nan, 1]], np.float32))
    with pytest.raises(InputError, match="NaN"):
        open_people(path)


def test_a_gallery_that_is_not_there_is_told_with_what_there_may_be(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"There is no gallery '.*staff'") as fault:
        open_people(tmp_path / "staff")
    assert "subfolder for each person" in fault.value.hint


@pytest.mark.parametrize(
    ("made", "fault"),
    [((), "has no photo in it"), (("1.jpg",), "'1.jpg' lies directly in")],
)
def test_a_folder_without_people_is_no_gallery(tmp_path: Path, made: tuple[str, ...], fault: str) -> None:
    (tmp_path / "g").mkdir()
    for name in made:
        (tmp_path / "g" / name).write_bytes(b"")
    with pytest.raises(InputError, match=fault):
        open_people(tmp_path / "g")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "names no photo"),
        ("path,person\n", "names no photo"),
        ("a.jpg,Ann\nb.jpg,\n", "no person on line 2: 'b.jpg'"),
    ],
)
def test_a_list_without_people_is_no_gallery(tmp_path: Path, text: str, fault: str) -> None:
    path = tmp_path / "g.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=fault):
        open_people(path)


def test_people_without_a_usable_photo_are_told_and_the_others_work(
    tmp_path: Path, lfw: Path, caplog: pytest.LogCaptureFixture
) -> None:
    photo = lfw / "images" / "Zico" / "Zico_0001.jpg"
    (tmp_path / "g.csv").write_text(f"photo,name\n{photo},Zico\nmissing.jpg,Bob\n")
    opened = open_searched(tmp_path / "g.csv")
    assert opened.people.names == ("Zico",)
    assert list(opened.without) == ["Bob"] and opened.without["Bob"].startswith("missing: ")
    assert "1 person without a usable photo, who cannot be found: Bob (missing" in caplog.text


def test_nobody_with_a_usable_photo_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "g.csv").write_text("missing.jpg,Bob\n")
    with pytest.raises(InputError, match=r"Nobody in .* has a usable photo; of Bob: missing: "):
        open_people(tmp_path / "g.csv")


def test_a_gallery_of_another_model_is_refused(tmp_path: Path) -> None:
    path = write_embeddings(tmp_path / "g.npy", [("p/Ann/1.jpg", unit(1, 0))])
    with pytest.raises(ModelError, match="made with the model 'made'"):
        open_people(path, IdentifySettings(model="sface"))


def test_others_on_a_persons_photo_are_not_that_person(tmp_path: Path) -> None:
    faces = [("p/Ann/1.jpg", unit(1, 0)), ("p/Ann/1.jpg", unit(0, 1))]
    people = open_people(write_embeddings(tmp_path / "g.npy", faces))
    assert people.faces.tolist() == [1] and np.allclose(people.templates[0], [[1, 0]])
    named = open_people(write_embeddings(tmp_path / "g.npy", faces, person=["Ann", "Bob"]))
    assert named.names == ("Ann", "Bob")


def test_one_photo_under_two_names_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    faces = [("p/Ann/1.jpg", unit(1, 0, 0)), ("p/Bob/1.jpg", unit(1, 0, 0)), ("p/Cat/1.jpg", unit(0, 1, 0))]
    assert len(open_people(write_embeddings(tmp_path / "g.npy", faces))) == 3
    assert "people who look like one, or a photo under two names: Ann and Bob (1.000)" in caplog.text


def test_a_photo_that_is_enrolled_and_searched_for_is_told(tmp_path: Path) -> None:
    from facerec_cli.identify.run import search_gallery

    faces = [("p/Ann/1.jpg", unit(1, 0)), ("p/Bob/1.jpg", unit(0, 1))]
    gallery = write_embeddings(tmp_path / "g.npy", faces)
    probes = write_embeddings(tmp_path / "p.npy", [faces[1], ("p/Bob/2.jpg", unit(0.1, 1))])
    found = search_gallery(gallery, [probes], IdentifySettings(threshold="0.5"))
    assert found.enrolled == ("p/Bob/1.jpg",) and found.known.all()
    assert found.document()["enrolled_themselves"] == ["p/Bob/1.jpg"]


def test_photos_beside_the_people_of_a_folder_are_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("Ann/1.jpg", "Bob/x/1.jpg", "stray.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert photos_of_folder(tmp_path).people == ("Ann", "Bob")
    assert "1 photo, the first stray.jpg" in caplog.text
