"""An enrolled gallery as what is searched in: its people as they are now, its cards, its damage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_people import MODEL, unit, write_embeddings

from facerec_cli.embeddings.table import ModelInfo
from facerec_cli.errors import FacerecError, InputError, ModelError
from facerec_cli.gallery.gallery import create_gallery, open_gallery
from facerec_cli.gallery.kinds import gallery_folder
from facerec_cli.identify.people import open_people
from facerec_cli.identify.run import search_gallery
from facerec_cli.identify.settings import IdentifySettings
from facerec_cli.metrics.search_threshold import from_searches

AT = IdentifySettings(threshold="0.7")


@pytest.fixture
def staff(tmp_path: Path) -> Path:
    with create_gallery(
        tmp_path / "staff", ModelInfo(MODEL["name"], MODEL["sha256"]), 3, {"flip": False}
    ) as made:
        made.enroll(np.stack([unit(1, 0, 0), unit(0.8, 0.6, 0), unit(0, 0, 1)]), ["Ann", "Ann", "Bob"])
    return tmp_path / "staff"


def probe(folder: Path, *vectors: np.ndarray) -> Path:
    return write_embeddings(folder / "probes.npy", [(f"{i}.jpg", vector) for i, vector in enumerate(vectors)])


def test_either_name_of_a_gallery_is_searched(tmp_path: Path, staff: Path) -> None:
    template = unit(1.8, 0.6, 0)
    for name in (staff, Path(f"{staff}.gallery")):
        found = search_gallery(name, [probe(tmp_path, unit(1, 0, 0), unit(0, 1, 0))], AT)
        assert found.known.tolist() == [True, False]
        assert found.candidates(0) == [
            ("Ann", pytest.approx(float(template[0]), abs=1e-6)),
            ("Bob", pytest.approx(0)),
        ]
        assert found.gallery.faces.tolist() == [2, 1]


def test_who_is_removed_or_expired_is_not_found(tmp_path: Path, staff: Path) -> None:
    with open_gallery(staff, write=True) as gallery:
        gallery.remove("Ann")
        gallery.enroll(unit(1, 0, 0)[None], ["Cat"])
        gallery.annotate("Cat", expires="2020-01-01")
    found = search_gallery(staff, [probe(tmp_path, unit(1, 0, 0))], AT)
    assert found.candidates(0) == [("Bob", 0.0)] and not found.known.any()


def test_an_empty_gallery_is_an_error(tmp_path: Path, staff: Path) -> None:
    with open_gallery(staff, write=True) as gallery:
        gallery.remove("Ann")
        gallery.remove("Bob")
    with pytest.raises(InputError, match="has nobody in it") as fault:
        search_gallery(staff, [probe(tmp_path, unit(1, 0, 0))], AT)
    assert "facerec gallery enroll staff" in fault.value.hint


def test_another_models_gallery_is_refused(tmp_path: Path, staff: Path) -> None:
    with pytest.raises(ModelError, match="made"):
        search_gallery(
            staff, [probe(tmp_path, unit(1, 0, 0))], IdentifySettings(threshold="0.7", model="sface")
        )
    photo = tmp_path / "a.jpg"
    photo.write_bytes(b"")
    with pytest.raises(ModelError, match="'made'"):
        search_gallery(staff, [photo], AT)


def test_a_gallery_is_searched_with_the_threshold_of_its_card_until_it_has_grown(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rng = np.random.default_rng(5)
    people = rng.standard_normal((30, 16)).astype(np.float32)
    people /= np.linalg.norm(people, axis=1, keepdims=True)
    card = from_searches(rng.normal(0.5, 0.1, 100).astype(np.float32), 20, 0.1, source="outsiders")
    with create_gallery(tmp_path / "g", ModelInfo(MODEL["name"], MODEL["sha256"]), 16, {}) as gallery:
        gallery.enroll(people[:20], [f"p{i}" for i in range(20)])
        gallery.save_card(card)
    settings, probes = IdentifySettings(fpir=(0.1,)), [probe(tmp_path, people[0], -people[0])]
    found = search_gallery(tmp_path / "g", probes, settings)
    assert found.threshold is not None and found.threshold.value == pytest.approx(card.value)
    assert found.threshold.source == "outsiders" and found.known.tolist() == [True, False]
    assert "grown" not in caplog.text
    with open_gallery(tmp_path / "g", write=True) as gallery:
        gallery.enroll(people[20:], [f"p{i}" for i in range(20, 30)])
    grown = search_gallery(tmp_path / "g", probes, settings)
    assert grown.threshold is not None and grown.threshold.value > card.value and grown.threshold.people == 30
    assert "has grown from 20 people to 30 people since it was calibrated" in caplog.text


@pytest.mark.parametrize("damage", ["people.sqlite", "gallery.toml"])
def test_a_damaged_gallery_is_named_and_not_searched(tmp_path: Path, staff: Path, damage: str) -> None:
    (Path(f"{staff}.gallery") / damage).write_bytes(b"\x00damaged" * 100)
    with pytest.raises(FacerecError, match=damage):
        search_gallery(staff, [probe(tmp_path, unit(1, 0, 0))], AT)


def test_a_gallery_of_a_newer_facerec_is_refused(tmp_path: Path, staff: Path) -> None:
    about = Path(f"{staff}.gallery") / "gallery.toml"
    about.write_text(about.read_text().replace("schema = 1", "schema = 99"))
    with pytest.raises(InputError, match="newer"):
        search_gallery(staff, [probe(tmp_path, unit(1, 0, 0))], AT)


def test_a_threshold_that_is_extrapolated_says_how_to_measure_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from facerec_cli.packs.resolve import open_pack, pack_hash

    pack = open_pack("sface")
    with create_gallery(tmp_path / "g", ModelInfo("sface", pack_hash(pack)), 128, {}) as made:
        made.enroll(np.eye(3, 128, dtype=np.float32), ["Ann", "Bob", "Cat"])
    probes = write_embeddings(
        tmp_path / "p.npy",
        [("a.jpg", np.eye(1, 128, dtype=np.float32)[0])],
        model={"name": pack.name, "sha256": pack_hash(pack)},
    )
    found = search_gallery(tmp_path / "g", [probes], IdentifySettings(fpir=(1e-8,)))
    assert found.threshold is not None and not found.threshold.measurable and found.known.all()
    assert "extrapolated" in caplog.text and "facerec gallery calibrate" in caplog.text
    caplog.clear()
    measured = search_gallery(tmp_path / "g", [probes], IdentifySettings())
    assert measured.threshold is not None and measured.threshold.source == "impostor tail"
    assert 0.3 < measured.threshold.value < 0.37 and "extrapolated" not in caplog.text


def test_a_slash_means_the_folder_beside_a_gallery(
    tmp_path: Path, staff: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert gallery_folder("staff/") == gallery_folder("staff.gallery/") == Path("staff.gallery")
    Path("staff").mkdir()
    assert gallery_folder("staff/") is gallery_folder("./staff/") is None
    assert gallery_folder("staff") == Path("staff.gallery")
    assert open_people("staff").names == ("Ann", "Bob")
    assert "staff.gallery is searched in; the folder beside it is staff/" in caplog.text
    with pytest.raises(InputError, match="has no photo in it"):
        open_people("staff/")
