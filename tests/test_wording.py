"""Counts in sentences."""

import pytest

from facerec_cli.wording import counted, people


@pytest.mark.parametrize(
    ("number", "expected"), [(0, "0 photos"), (1, "1 photo"), (2, "2 photos"), (1024, "1,024 photos")]
)
def test_one_is_not_many(number, expected):
    assert counted(number, "photo") == expected


def test_words_that_take_no_s():
    assert (people(1), people(2), counted(3, "batch", "batches")) == ("1 person", "2 people", "3 batches")
