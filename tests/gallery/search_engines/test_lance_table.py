"""A real LanceDB table on this disk: brought to a gallery, and free of whom it has no more."""

from __future__ import annotations

import dataclasses
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from crowd import MODEL, Crowd, crowd

from facerec_cli.embeddings.table import ModelInfo
from facerec_cli.errors import InputError, ModelError, ResourceError
from facerec_cli.gallery.enrolled import EnrolledPeople
from facerec_cli.gallery.gallery import create_gallery
from facerec_cli.gallery.search_engines import lance_table
from facerec_cli.gallery.search_engines.lance_table import PeopleTable, SyncedPeople, files_with
from facerec_cli.gallery.search_engines.lancedb import LanceSearch
from facerec_cli.gallery.search_engines.settings import SearchEngineOptions

pytestmark = pytest.mark.skipif(
    find_spec("lancedb") is None, reason="needs lancedb: pip install 'facerec-cli[lancedb]'"
)


@pytest.fixture
def few() -> Crowd:
    return crowd(60)


def searched(uri: Path, people: EnrolledPeople, probes: np.ndarray, k: int = 3) -> list[list[str]]:
    engine = LanceSearch(SearchEngineOptions("lancedb", table=str(uri)))
    found, scores = engine.search(people, probes, k)
    engine.close()
    exact = people.search(probes, k)
    assert found.tolist() == exact[0].tolist()
    np.testing.assert_allclose(scores, exact[1], atol=1e-6)
    return [[people.names[one] for one in row] for row in found.tolist()]


def test_a_table_follows_its_gallery_and_forgets_whom_it_removed(tmp_path: Path, few: Crowd) -> None:
    names = [f"O'Neill {i // 3:03d}" for i in range(180)]
    uri = tmp_path / "tables"
    with create_gallery(tmp_path / "staff", MODEL, 32) as gallery:
        gallery.enroll(few.all_faces[:40].reshape(-1, 32), names[:120])
        assert PeopleTable(str(uri)).sync(gallery.enrolled()) == SyncedPeople(40, 0, 0)
        assert PeopleTable(str(uri)).sync(gallery.enrolled()) == SyncedPeople(0, 0, 0)
        gallery.enroll(few.all_faces[39:].reshape(-1, 32), names[117:])  # one more face set for 39, 20 new
        assert PeopleTable(str(uri)).sync(gallery.enrolled()) == SyncedPeople(20, 0, 0)
        gallery.enroll(few.faces(5)[:1], [names[0]])
        assert PeopleTable(str(uri)).sync(gallery.enrolled()) == SyncedPeople(0, 1, 0)
        assert searched(uri, gallery.enrolled(), few.faces(7), 1) == [["O'Neill 007"]] * 3

        people = gallery.enrolled()
        person = people.names.index("O'Neill 007")
        row = int(np.flatnonzero(people.person == person)[0])
        template = np.array(np.concatenate([np.asarray(block) for block in people.templates])[row]).tobytes()
        assert files_with(uri, template)
        gallery.remove("O'Neill 007")
        table = PeopleTable(str(uri))
        assert table.sync(gallery.enrolled()) == SyncedPeople(0, 0, 1) and len(table) == 59
        assert files_with(uri, template) == [] and files_with(uri, b"O'Neill 007") == []
        assert len(table._table.list_versions()) == 1
        assert "O'Neill 007" not in {
            name for row in searched(uri, gallery.enrolled(), few.faces(7), 5) for name in row
        }


def test_a_table_of_another_model_or_program_is_refused(tmp_path: Path, few: Crowd) -> None:
    import lancedb

    PeopleTable(str(tmp_path)).sync(few.people)
    for wrong in (
        dataclasses.replace(few.people, model=ModelInfo("other", "cd" * 32)),
        dataclasses.replace(few.people, settings={"flip": True}),
        crowd(60, 16).people,
    ):
        with pytest.raises(ModelError, match="embeddings of 'tiny'"):
            PeopleTable(str(tmp_path)).sync(wrong)
    assert PeopleTable(str(tmp_path)).sync(few.people) == SyncedPeople(0, 0, 0)
    lancedb.connect(str(tmp_path / "other")).create_table("people", [{"vector": [1.0, 2.0], "id": 1}])
    with pytest.raises(InputError, match="not made by this version"):
        PeopleTable(str(tmp_path / "other")).sync(few.people)


def test_a_place_that_cannot_be_used_is_told(tmp_path: Path, few: Crowd) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match="LanceDB cannot use"):
        PeopleTable(str(tmp_path / "file")).sync(few.people)


def test_a_large_table_is_indexed_and_candidates_are_compared_exactly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lance_table, "INDEXED_FROM", 2000)
    monkeypatch.setattr(lance_table, "_LIST", 500)
    many = crowd(2500, 64)
    table = PeopleTable(str(tmp_path))
    table.sync(many.people)
    (index,) = table._table.list_indices()
    assert index.index_type == "IvfPq" and index.num_unindexed_rows == 0
    engine = LanceSearch(SearchEngineOptions("lancedb", table=str(tmp_path)))
    probes = many.probes(150)
    found, scores = engine.search(many.people, probes, 3)
    exact = many.people.search(probes, 3)
    assert (found[:, 0] == exact[0][:, 0]).mean() > 0.99
    same = found == exact[0]
    np.testing.assert_allclose(scores[same], exact[1][same], atol=1e-6)


def test_nobody_is_found_among_nobody_and_nobody_is_kept(tmp_path: Path, few: Crowd) -> None:
    nobody = EnrolledPeople("new", (), (), np.empty(0, np.int64), np.empty(0, np.int64))
    found, _ = LanceSearch(SearchEngineOptions("lancedb", table=str(tmp_path))).search(
        nobody, few.probes(2), 3
    )
    assert found.tolist() == [[-1] * 3] * 2 and not list(tmp_path.iterdir())
    table = PeopleTable(str(tmp_path))
    table.sync(few.people)
    assert len(table) == 60 and table.sync(nobody) == SyncedPeople(0, 0, 60) and len(table) == 0
    assert files_with(tmp_path, few.people.templates[0][0].tobytes()) == []
    assert table.sync(few.people) == SyncedPeople(60, 0, 0)
