"""A search finds people, wherever their templates lie."""

from __future__ import annotations

import numpy as np

from facerec_cli.gallery.enrolled import EnrolledPeople


def enrolled() -> EnrolledPeople:
    """Three people in two blocks; the rows 1 and 4 are free."""
    eye = np.eye(4, dtype=np.float32)
    blocks = np.stack([eye[2], eye[3] * 0, eye[0]]), np.stack([eye[1], eye[3] * 0])
    person = np.array([2, -1, 0, 1, -1])
    return EnrolledPeople("staff", ("Ada", "Bo", "Cy"), blocks, person, np.ones(3, np.int64))


def test_a_search_gives_people_not_rows() -> None:
    probes = np.array([[0.8, 0.6, 0, 0], [0, 0.6, 0.8, 0]], np.float32)
    people, scores = enrolled().search(probes, 2)
    assert people.tolist() == [[0, 1], [2, 1]] and people.dtype == np.int64
    np.testing.assert_array_equal(scores, np.float32([[0.8, 0.6], [0.8, 0.6]]))


def test_nobody_stands_where_there_are_fewer_people_than_asked_for() -> None:
    people, scores = enrolled().search(np.float32([[0, 0, 0, 1]]), 5)
    # A free row would have the same score and a lower number; of equal scores the first row comes first.
    assert people.tolist() == [[2, 0, 1, -1, -1]] and scores[0, 3:].tolist() == [-np.inf, -np.inf]
    nobody = EnrolledPeople("new", (), (), np.empty(0, np.int64), np.empty(0, np.int64))
    assert len(nobody) == 0 and nobody.search(np.eye(4, dtype=np.float32), 1)[0].tolist() == [[-1]] * 4
