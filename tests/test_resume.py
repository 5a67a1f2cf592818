"""Whether a job is the one that was begun, and what is said where it is not."""

from __future__ import annotations

import pytest

from facerec_cli.errors import ModelError, UsageError
from facerec_cli.resume import Fingerprint

RUN = {"model": {"name": "m", "sha256": "ab"}, "run": {"out": "here", "seed": 1}, "inputs": 3}


def test_the_same_job_has_no_differences() -> None:
    job = Fingerprint(RUN)
    assert job.differences({**RUN, "model": dict(RUN["model"])}) == ""  # type: ignore[call-overload]
    job.require_same(RUN, "never said", hint="")


def test_every_difference_is_named_with_its_table() -> None:
    before = {"model": {"name": "m", "sha256": "cd"}, "run": {"out": "here"}, "old": True}
    assert Fingerprint(RUN).differences(before) == (
        "inputs was None and is 3; model.sha256 was cd and is ab; old was True and is None; "
        "run.seed was None and is 1"
    )


def test_what_does_not_decide_the_result_may_differ() -> None:
    before = {"model": RUN["model"], "run": {"out": "there", "seed": 1}, "inputs": 4}
    assert Fingerprint(RUN, ignore=["run.out", "inputs"]).differences(before) == ""
    assert Fingerprint(RUN, ignore=["run"]).differences(before) == "inputs was 4 and is 3"


def test_a_table_that_was_not_there_is_told_of_as_a_whole() -> None:
    assert Fingerprint({"a": {"b": 1}}).differences({}) == "a was None and is {'b': 1}"


def test_many_differences_are_counted() -> None:
    now = {f"key{number}": number for number in range(10)}
    assert Fingerprint(now).differences({}).endswith("; key5 was None and is 5; and 4 more")


def test_another_job_is_refused_with_a_reason_and_a_way_out() -> None:
    with pytest.raises(UsageError, match=r"^It was another run: a was 1 and is 2\. Start over\.$"):
        Fingerprint({"a": 2}).require_same({"a": 1}, "It was another run", hint="Start over.")
    with pytest.raises(ModelError):
        Fingerprint({"a": 2}).require_same(
            {"a": 1}, "It was another run", hint="Start over.", error=ModelError
        )
