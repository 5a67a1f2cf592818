"""What of groups comes on the review page, and in which order; compared with all pairs counted out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from made_people import write_embeddings

from facerec_cli.clusters.clustering import Clustering
from facerec_cli.clusters.pages import review_page
from facerec_cli.clusters.run import cluster_faces
from facerec_cli.clusters.settings import ClusterSettings


def _found(folder: Path, people: int = 30) -> Clustering:
    random = np.random.default_rng(1)
    faces = []
    for person in range(people):
        center = random.normal(size=32)
        for photo in range(1 + person % 4):
            vector = center + 0.7 * random.normal(size=32)
            unit = np.asarray(vector / np.linalg.norm(vector), np.float32)
            faces.append((f"{person}-{photo}.jpg" if person else "all.jpg", unit))
    return cluster_faces([write_embeddings(folder / "e.npy", faces)], ClusterSettings(threshold=0.5))


def test_pairs_nearest_to_the_threshold_and_least_margins_are_asked_first(tmp_path: Path) -> None:
    found = _found(tmp_path)
    page = review_page(found, apply="facerec cluster X --apply FILE")
    vectors, labels = found.faces.vectors, found.labels
    assert sorted(face for group in page.groups for face in group.faces) == list(range(len(found)))
    assert [len(group.faces) for group in page.groups] == [
        int((labels == group.number).sum()) for group in page.groups
    ]
    best: dict[int, float] = {}
    for question in page.questions:
        if question.face >= 0:
            assert question.score == np.float32(question.score) < 0.1
            continue
        one, other = (page.groups[at].number for at in (question.first, question.second))
        scores = vectors[labels == one] @ vectors[labels == other].T
        assert abs(question.score - float(scores.mean())) < 1e-5
        assert abs(question.doubt - abs(question.score - 0.5)) < 1e-9
        for at in (question.first, question.second):
            best[at] = min(best.get(at, np.inf), question.doubt)
    assert best
    doubt = [
        min(best.get(at, np.inf), min(page.faces[face].margin for face in group.faces))
        for at, group in enumerate(page.groups)
    ]
    assert doubt == sorted(doubt)
    for group in page.groups:
        margins = [page.faces[face].margin for face in group.faces]
        assert margins == sorted(margins)


def test_two_groups_on_one_photo_are_no_question(tmp_path: Path) -> None:
    found = _found(tmp_path)
    paths = tuple("all.jpg" for _ in range(len(found)))
    crowd = replace(found, faces=replace(found.faces, paths=paths))
    assert all(question.face >= 0 for question in review_page(crowd, apply="").questions)


def test_of_too_many_faces_the_most_doubtful_groups_are_shown(tmp_path: Path) -> None:
    found = _found(tmp_path)
    whole, part = review_page(found, apply=""), review_page(found, apply="", most=20)
    assert len(part.faces) <= 20
    assert [group.number for group in part.groups] == [
        group.number for group in whole.groups[: len(part.groups)]
    ]
    assert "most doubtful" in part.title
    assert all(0 <= question.first < len(part.groups) for question in part.questions)


def test_nobody_and_one_face_have_a_page(tmp_path: Path) -> None:
    found = _found(tmp_path, people=1)
    page = review_page(found, apply="")
    assert (len(page.groups), len(page.questions)) == (1, 0)
    nobody = replace(
        found,
        faces=found.faces.select(range(0)),
        labels=found.labels[:0],
        status=(),
        person=(),
        margin=found.margin[:0],
    )
    assert review_page(nobody, apply="").groups == []
