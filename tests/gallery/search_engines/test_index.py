"""The index: what it finds, what it says it misses, and that no file is trusted."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import time
from pathlib import Path

import numpy as np
import pytest
from crowd import MODEL, Crowd, crowd

from facerec_cli.errors import InputError, UsageError
from facerec_cli.gallery.enrolled import EnrolledPeople
from facerec_cli.gallery.gallery import create_gallery, open_gallery
from facerec_cli.gallery.search_engines import index as index_module
from facerec_cli.gallery.search_engines.codes import Codes, make_codes, take
from facerec_cli.gallery.search_engines.index import (
    IndexSearch,
    build_index,
    index_gallery,
    keep_index,
)
from facerec_cli.gallery.search_engines.index_file import FILE, FOLDER, live_rows, read_index, templates_hash
from facerec_cli.gallery.search_engines.index_measure import hold_out
from facerec_cli.gallery.search_engines.settings import IndexSettings, SearchEngineOptions
from facerec_cli.metrics.search import top_k
from facerec_cli.metrics.search_threshold import from_searches

pytest.importorskip("faiss", reason="needs faiss: pip install 'facerec-cli[index]'")


@pytest.fixture(scope="module")
def many() -> Crowd:
    return crowd(4000, 64)


@pytest.fixture
def built(tmp_path: Path, few: Crowd) -> Path:
    """A gallery's folder with an index."""
    assert keep_index(tmp_path, few.people, build_index(few.people))
    return tmp_path


@pytest.fixture(scope="module")
def few() -> Crowd:
    return crowd()


def test_the_measurement_is_that_of_an_exact_search(many: Crowd) -> None:
    """Counted anew: mates without the face that is searched for, strangers without their row."""
    built = build_index(many.people, IndexSettings(probes=600), faces=many.faces)
    held = hold_out(many.people, many.faces, 600)
    exact, scores = top_k(held.blocks, held.probes, 10, live=held.live)
    mated = len(held.mates)
    assert (built.chosen.mated, built.chosen.strangers) == (mated, 600 - mated) == (300, 300)
    assert built.chosen.people == 4000 - 300 == held.live.sum()
    threshold = built.chosen.threshold
    assert built.chosen.false_exact == (scores[mated:, 0] >= threshold).sum() == 3  # FPIR 1 % of 300
    right = (exact[:mated, 0] == held.mates) & (scores[:mated, 0] >= threshold)
    assert built.chosen.named_exact == right.sum() > 250
    assert built.met and built.chosen.first >= 0.999
    tried = build_index(many.people, IndexSettings(probes=600, recall=1), faces=many.faces).measured
    assert [one.candidates for one in tried] == [50, 100, 200, 500][: len(tried)] and len(tried) > 1
    assert tried[0].first < tried[-1].first == 1.0 and 0.7 < tried[0].listed < tried[-1].listed > 0.98
    assert tried[-1].named_index == tried[-1].named_exact
    assert tried[-1].false_index == tried[-1].false_exact


def test_people_held_out_are_not_found_in_their_own_template(many: Crowd) -> None:
    held = hold_out(many.people, many.faces, 100)
    for row, probe in zip(held.mates[:5], held.probes[:5], strict=True):
        template = take(held.blocks, np.array([row]))[0]
        near = int(np.argmax(np.concatenate(many.people.templates) @ template))
        faces = many.faces(int(many.people.person[near]))
        others = faces[~(faces == probe).all(axis=1)]
        assert len(others) == 2
        np.testing.assert_allclose(template, others.sum(0) / np.linalg.norm(others.sum(0)), atol=1e-6)
        assert not held.live[near]


def test_too_few_candidates_are_told_as_what_they_cost(many: Crowd) -> None:
    built = build_index(
        many.people, IndexSettings(candidates=1), faces=many.faces, threshold=(0.44, "the gallery's")
    )
    assert not built.met and built.chosen.candidates == built.index.candidates == 1
    assert built.chosen.first_strangers is not None and built.chosen.first_strangers < 0.7
    assert built.chosen.false_index < built.chosen.false_exact
    assert built.chosen.threshold == 0.44 and built.index.measured["threshold_source"] == "the gallery's"
    assert json.loads(json.dumps(built.chosen.document()))["candidates"] == 1


def test_templates_of_an_odd_number_of_dimensions_and_few_people(tmp_path: Path) -> None:
    for count, dimensions in ((2, 5), (15, 7), (40, 33)):
        made = crowd(count, dimensions)
        folder = tmp_path / str(count)
        engine = IndexSearch(SearchEngineOptions("index"), folder)
        folder.mkdir()
        found, scores = engine.search(made.people, made.probes(4), 2)
        exact = made.people.search(made.probes(4), 2)
        assert found.tolist() == exact[0].tolist()
        np.testing.assert_allclose(scores, exact[1], atol=1e-6)


def test_an_index_is_for_galleries_of_several_people() -> None:
    with pytest.raises(InputError, match="1 person enrolled"):
        build_index(crowd(1).people)
    with pytest.raises(UsageError, match="needs a gallery"):
        IndexSearch(SearchEngineOptions("index"))


def test_a_kept_index_is_read_and_not_built_again(
    built: Path, few: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_module, "build_index", lambda people: pytest.fail("built"))
    engine = IndexSearch(SearchEngineOptions("index"), built)
    found, _ = engine.search(few.people, few.probes(8), 3)
    assert found.tolist() == few.people.search(few.probes(8), 3)[0].tolist()


def test_an_index_of_other_templates_is_built_anew(
    built: Path, few: Crowd, caplog: pytest.LogCaptureFixture
) -> None:
    other = crowd(seed=2)
    assert read_index(built, other.people) is None
    with caplog.at_level(logging.WARNING, "facerec"):
        found, _ = IndexSearch(SearchEngineOptions("index"), built).search(other.people, other.probes(8), 3)
    assert found.tolist() == other.people.search(other.probes(8), 3)[0].tolist()
    assert "The index of staff is missing, damaged, or not of its people" in caplog.text
    assert read_index(built, other.people) is not None and read_index(built, few.people) is None


def without(people: EnrolledPeople, row: int) -> EnrolledPeople:
    person = people.person.copy()
    person[row] = -1
    return dataclasses.replace(people, person=person)


def test_somebody_who_is_removed_is_not_found_and_no_code_of_theirs_is_kept(built: Path, few: Crowd) -> None:
    row = int(live_rows(few.people)[7])
    gone = int(few.people.person[row])
    left = without(few.people, row)
    engine = IndexSearch(SearchEngineOptions("index"), built)
    assert gone not in engine.search(left, few.faces(gone), 10)[0]
    kept = read_index(built, left)
    assert kept is not None and len(kept.codes.codes) == 299
    code = kept.codes.encode(take(few.people.templates, np.array([row])))[0]
    assert not (kept.codes.codes == code).all(axis=1).any()


def test_a_person_who_is_removed_while_it_is_built_is_not_written(tmp_path: Path, few: Crowd) -> None:
    blocks = tuple(block.copy() for block in few.people.templates)
    people = dataclasses.replace(few.people, templates=blocks)
    built = build_index(people)
    blocks[0][live_rows(people)[0]] = 0
    assert not keep_index(tmp_path, people, built)
    assert not (tmp_path / FOLDER).exists()


def damaged(path: Path, way: str) -> None:
    content = path.read_bytes()
    if way == "empty":
        path.write_bytes(b"")
    elif way == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif way == "bit":
        at = content.index(b"codes.npy") + 1000
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    elif way == "faiss":
        path.write_bytes(b"IHNf" + content[: len(content) // 2])
    else:
        with np.load(path) as file:
            arrays = dict(file)
        header = json.loads(arrays["header"].tobytes())
        if way == "pickle":
            arrays["codes"] = np.array([{"a": 1}], object)
        elif way == "fewer codes":
            arrays["codes"] = arrays["codes"][:-1]
        elif way == "wide codes":
            arrays["codes"] = np.repeat(arrays["codes"], 2, axis=1)
        elif way == "nan":
            arrays["pairs"] = arrays["pairs"] * np.nan
        elif way == "candidates":
            header["candidates"] = 10**12
        elif way == "newer":
            header["schema"] = 2
        elif way == "list":
            header = [header]
        arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
        with path.open("wb") as stream:
            np.savez(stream, **arrays)


WAYS = (
    "empty",
    "cut",
    "bit",
    "faiss",
    "pickle",
    "fewer codes",
    "wide codes",
    "nan",
    "candidates",
    "newer",
    "list",
)


@pytest.mark.parametrize("way", WAYS)
def test_a_damaged_or_foreign_file_is_not_used(way: str, built: Path, few: Crowd) -> None:
    assert read_index(built, few.people) is not None
    damaged(built / FOLDER / FILE, way)
    assert read_index(built, few.people) is None


def test_mapped_templates_are_not_read_to_see_that_they_are_the_same(
    tmp_path: Path, few: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = []
    for number, block in enumerate(few.people.templates):
        path = tmp_path / f"{number}.npy"
        np.save(path, block)
        old = time.time() - 60
        os.utime(path, (old, old))
        blocks.append(np.load(path, mmap_mode="r")[: len(block)])
    people = dataclasses.replace(few.people, templates=tuple(blocks))
    keep_index(tmp_path, people, build_index(people))
    read = []
    monkeypatch.setattr(
        "facerec_cli.gallery.search_engines.index_file.templates_hash",
        lambda people: read.append(people) or templates_hash(people),
    )
    assert read_index(tmp_path, people) is not None and not read
    os.utime(tmp_path / "0.npy")  # touched, but the same
    assert read_index(tmp_path, people) is not None and len(read) == 1
    values = np.load(tmp_path / "0.npy")
    values[0] += 1
    np.save(tmp_path / "0.npy", values)
    mapped = np.load(tmp_path / "0.npy", mmap_mode="r")
    assert read_index(tmp_path, dataclasses.replace(people, templates=(mapped, blocks[1]))) is None


def test_a_gallery_that_cannot_be_written_is_searched_all_the_same(
    tmp_path: Path, few: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / FOLDER).write_text("in the way")
    found, _ = IndexSearch(SearchEngineOptions("index"), tmp_path).search(few.people, few.probes(4), 3)
    assert found.tolist() == few.people.search(few.probes(4), 3)[0].tolist()


def test_a_gallery_is_indexed_with_its_own_faces_and_threshold(tmp_path: Path, few: Crowd) -> None:
    with create_gallery(tmp_path / "staff", MODEL, 32) as gallery:
        names = [f"person {i // 3}" for i in range(900)]
        gallery.enroll(few.all_faces.reshape(-1, 32), names)
        with open_gallery(tmp_path / "staff") as reader, pytest.raises(UsageError, match="opened to read"):
            index_gallery(reader)
        gallery.save_card(from_searches(np.linspace(0.2, 0.6, 1000), 300, 0.01, source="outsiders"))
        built = index_gallery(gallery, IndexSettings(probes=100))
        people = gallery.enrolled()
        kept = read_index(gallery.path, people)
        assert kept is not None and kept.candidates == built.chosen.candidates
        assert built.measured[0].first > 0.9  # also where fewer people are left than candidates are tried
        assert built.chosen.mated == built.chosen.strangers == 50
        assert built.chosen.threshold == pytest.approx(gallery.cards()[0].value)
        assert built.chosen.threshold_source == "the gallery's threshold at an FPIR of 1 %"
        gallery.remove("person 7")
        assert read_index(gallery.path, gallery.enrolled()) is None
        assert not (gallery.path / FOLDER).exists()
    found, _ = IndexSearch(SearchEngineOptions("index"), gallery.path).search(
        people_of(gallery.path), few.faces(7), 5
    )
    assert (gallery.path / FOLDER / FILE).exists()
    assert "person 7" not in [people_of(gallery.path).names[one] for one in found.ravel()]


def people_of(path: Path) -> EnrolledPeople:
    with open_gallery(path) as gallery:
        return gallery.enrolled()


def test_codes_stand_for_what_is_near(many: Crowd) -> None:
    codes = make_codes(many.people.templates, live_rows(many.people))
    templates = take(many.people.templates, live_rows(many.people))
    assert codes.codes.tolist() == codes.encode(templates).tolist() and codes.codes.shape == (4000, 16)
    values = np.stack([codes.codes & 15, codes.codes >> 4], axis=2).reshape(4000, 32)
    decoded = codes.pairs[np.arange(32), values].reshape(4000, 64)
    cosine = (decoded * templates).sum(1) / np.linalg.norm(decoded, axis=1)
    assert cosine.mean() > 0.93
    with pytest.raises(ValueError):
        Codes(64, codes.pairs[:31], codes.codes)
