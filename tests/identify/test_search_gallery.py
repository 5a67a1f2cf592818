"""The search: names, unknown faces, candidates, margins, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_people import unit, write_embeddings

from facerec_cli.errors import InputError, ModelError, UsageError
from facerec_cli.identify.people import open_people
from facerec_cli.identify.run import identify, search_gallery
from facerec_cli.identify.settings import IdentifySettings

AT = IdentifySettings(threshold="0.7")


@pytest.fixture
def gallery(tmp_path: Path) -> Path:
    """Ann, Bob and Cat at the corners of a cube."""
    faces = [
        (f"g/{name}/1.jpg", vector) for name, vector in zip(("Ann", "Bob", "Cat"), np.eye(3), strict=True)
    ]
    return write_embeddings(tmp_path / "gallery.npy", faces)


def probes(folder: Path, *faces: tuple[str, np.ndarray], **more: object) -> Path:
    return write_embeddings(folder / "probes.npy", list(faces), **more)


def test_a_face_has_a_name_where_its_best_score_reaches_the_threshold(tmp_path: Path, gallery: Path) -> None:
    path = probes(
        tmp_path, ("a.jpg", unit(0.9, 0.3, 0.1)), ("b.jpg", unit(1, 1, 1)), ("a.jpg", unit(0, 0.1, 2))
    )
    found = search_gallery(gallery, [path], AT)
    assert found.known.tolist() == [True, False, True]
    rows = list(found.rows())
    assert [(row["path"], row["face"], row["decision"], row.get("person")) for row in rows] == [
        ("a.jpg", 0, "known", "Ann"),
        ("b.jpg", 0, "unknown", None),
        ("a.jpg", 1, "known", "Cat"),
    ]
    expected = unit(0.9, 0.3, 0.1)
    assert rows[0]["score"] == pytest.approx(expected[0], abs=1e-6)
    assert rows[0]["margin"] == pytest.approx(expected[0] - expected[1], abs=1e-6)
    assert [name for name, _ in found.candidates(0)] == ["Ann", "Bob", "Cat"]


def test_a_score_at_the_threshold_is_accepted(gallery: Path) -> None:
    vector = unit(0.6, 0.8, 0)
    people = open_people(gallery)
    at, above = (str(value) for value in (float(vector[1]), float(np.nextafter(vector[1], np.float32(2)))))
    assert search_known(people, vector, at) and not search_known(people, vector, above)


def search_known(people, vector, threshold: str) -> bool:
    from facerec_cli.metrics.search_threshold import from_value

    found = identify(people, vector[None], threshold=from_value(float(threshold), len(people), None))
    return bool(found.known[0])


def test_an_investigation_makes_no_claim(tmp_path: Path, gallery: Path) -> None:
    path = probes(tmp_path, ("a.jpg", unit(0.9, 0.3, 0.1)))
    found = search_gallery(gallery, [path], IdentifySettings(mode="investigate", candidates=2))
    rows = list(found.rows())
    assert [(row["person"], row["rank"], "decision" in row) for row in rows] == [
        ("Ann", 1, False),
        ("Bob", 2, False),
    ]
    document = found.document()
    assert document["threshold"] is None and document["unknown"] is None
    assert "decision" not in document["rows"][0] and len(document["rows"][0]["candidates"]) == 2


def test_the_answer_for_a_gallery_of_one_has_no_margin(tmp_path: Path) -> None:
    one = write_embeddings(tmp_path / "one.npy", [("g/Ann/1.jpg", unit(1, 0))])
    found = search_gallery(one, [probes(tmp_path, ("a.jpg", unit(1, 0.1)))], AT)
    assert found.document()["rows"][0]["margin"] is None and found.known.all()


def test_two_people_who_reach_the_threshold_are_a_near_tie(tmp_path: Path, gallery: Path) -> None:
    found = search_gallery(gallery, [probes(tmp_path, ("a.jpg", unit(1, 0.9, 0)), ("b.jpg", unit(1, 0, 0)))],
                           IdentifySettings(threshold="0.6"))  # fmt: skip
    assert found.near_ties.tolist() == [0]
    assert [row["near_tie"] for row in found.document()["rows"]] == [True, False]


def test_photos_without_a_face_have_a_row(tmp_path: Path, gallery: Path) -> None:
    path = probes(tmp_path, ("a.jpg", unit(1, 0, 0)))
    with path.with_suffix(".csv").open("a") as table:
        table.write("none.jpg,,,no_face,no face was found\ngone.jpg,,,missing,no such file\n")
    found = search_gallery(gallery, [path], AT)
    assert list(found.rows())[1:] == [
        {"path": "none.jpg", "status": "no_face", "reason": "no face was found"},
        {"path": "gone.jpg", "status": "missing", "reason": "no such file"},
    ]
    assert found.fault is not None and found.fault.exit_code == 5
    assert found.unknown_fault() is None


def test_too_few_people_without_a_tail_have_no_threshold(tmp_path: Path, gallery: Path) -> None:
    with pytest.raises(InputError, match="No threshold can be found") as fault:
        search_gallery(gallery, [probes(tmp_path, ("a.jpg", unit(1, 0, 0)))])
    assert "--threshold" in fault.value.hint and "--mode investigate" in fault.value.hint


def test_embeddings_of_another_model_are_refused(tmp_path: Path, gallery: Path) -> None:
    other = probes(tmp_path, ("a.jpg", unit(1, 0, 0)), model={"name": "other", "sha256": "e" * 64})
    with pytest.raises(ModelError, match="was made with the model 'other'"):
        search_gallery(gallery, [other], AT)
    unknown = probes(tmp_path, ("a.jpg", unit(1, 0, 0)), model={"name": ""})
    with pytest.raises(ModelError, match="does not say which model"):
        search_gallery(gallery, [unknown], AT)


@pytest.mark.parametrize(
    ("flags", "fault"),
    [
        ({"threshold": "0.5", "fpir": (0.01,)}, "two ways to say one thing"),
        ({"mode": "investigate", "threshold": "0.5"}, "makes no claim"),
        ({"mode": "investigate", "fpir": (0.1,)}, "makes no claim"),
        ({"fpir": (0.0,)}, "--fpir"),
        ({"fpir": (1.0,)}, "--fpir"),
        ({"candidates": 0}, "--candidates"),
    ],
)
def test_settings_that_contradict_are_refused(flags: dict, fault: str) -> None:
    with pytest.raises(UsageError, match=fault):
        IdentifySettings(**flags)


@pytest.mark.parametrize("text", ["nan", "1.2", "high"])
def test_a_threshold_that_is_no_cosine_is_refused(tmp_path: Path, gallery: Path, text: str) -> None:
    with pytest.raises(UsageError, match="is not a cosine"):
        search_gallery(
            gallery, [probes(tmp_path, ("a.jpg", unit(1, 0, 0)))], IdentifySettings(threshold=text)
        )


def test_a_card_of_verify_is_refused(tmp_path: Path, gallery: Path) -> None:
    card = tmp_path / "card.toml"
    card.write_text("version = 1\nthreshold = 0.3\nfar = 0.001\n")
    with pytest.raises(UsageError, match="is a threshold for two photos") as fault:
        search_gallery(
            gallery, [probes(tmp_path, ("a.jpg", unit(1, 0, 0)))], IdentifySettings(threshold=str(card))
        )
    assert "--fpir" in fault.value.hint


def test_several_rates_are_for_an_evaluation(tmp_path: Path, gallery: Path) -> None:
    with pytest.raises(UsageError, match="takes one --fpir"):
        search_gallery(
            gallery, [probes(tmp_path, ("a.jpg", unit(1, 0, 0)))], IdentifySettings(fpir=(0.01, 0.1))
        )
