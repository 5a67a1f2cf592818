"""Counts in sentences."""

import pytest

from facerec_cli.wording import alternatives, counted, one_in, people


@pytest.mark.parametrize(
    ("number", "expected"), [(0, "0 photos"), (1, "1 photo"), (2, "2 photos"), (1024, "1,024 photos")]
)
def test_one_is_not_many(number, expected):
    assert counted(number, "photo") == expected


def test_words_that_take_no_s():
    assert (people(1), people(2), counted(3, "batch", "batches")) == ("1 person", "2 people", "3 batches")


@pytest.mark.parametrize(
    ("rate", "words"),
    [
        (1e-6, "1 in 1,000,000 (0.0001 %)"),
        (0.001, "1 in 1,000 (0.1 %)"),
        (0.003, "3 in 1,000 (0.3 %)"),
        (0.00194, "194 in 100,000 (0.194 %)"),
        (0.05, "1 in 20 (5 %)"),
        (0.7, "7 in 10 (70 %)"),
        (1 / 3, "1 in 3 (33.33 %)"),
        (0.0, "0 %"),
    ],
)
def test_a_rate_is_one_in_so_many_and_a_percentage(rate, words):
    assert one_in(rate) == words


@pytest.mark.parametrize(
    ("names", "words"), [((), ""), (("a",), "a"), (("a", "b"), "a or b"), (("a", "b", "c"), "a, b or c")]
)
def test_alternatives_are_named_in_a_sentence(names, words):
    assert alternatives(names) == words
