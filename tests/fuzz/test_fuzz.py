"""A few dozen inputs of the fuzzer with a fixed seed, and that its judge can say no."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.fuzz import judge, kills, report
from tests.fuzz.__main__ import fuzz, replay
from tests.fuzz.families import FAMILIES, make, plan
from tests.fuzz.judge import Outcome
from tests.fuzz.runner import try_case
from tests.fuzz.sandbox import Case, Sandbox

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="measures memory in /proc")

_LIGHT = [family for family in FAMILIES if family not in ("checkpoints", "recipes", "studies")]
_WALKED = "".join(f"/usr/{i}.jpg,,missing\n" for i in range(99))
_GOOD = "p/1.jpg,0,ok\np/2.jpg,1,ok\n"


@pytest.mark.slow
def test_no_input_of_a_small_run_is_a_fault(tmp_path):
    pytest.importorskip("pyarrow")
    pytest.importorskip("PIL")
    told: list[str] = []
    tallies = fuzz(plan(60, _LIGHT), seed=12, keep=tmp_path / "faults", tell=told.append)
    assert told == []
    assert sum(tally.inputs for tally in tallies.values()) >= 60
    assert sum(tally.faults for tally in tallies.values()) == 0
    codes = {code for tally in tallies.values() for code in tally.codes}
    assert {"0", "3", "5"} <= codes  # whole inputs, refused ones, and some of several


@pytest.mark.slow
def test_no_kill_of_a_small_run_loses_or_leaves_anything():
    told: list[str] = []
    code = kills.kill_all(6, seed=12, names=["embed npz crops", "convert folder", "split"], tell=told.append)
    assert code == 0, told
    assert told[-1] == "6 kills, 0 faults, seed 12"


def test_a_seed_makes_the_same_case_again(tmp_path):
    for family in ("photos", "photo_lists", "pairs", "records", "vectors", "flags"):
        (one, first), (two, second) = (make(family, 3, 5, tmp_path / family / side) for side in "ab")
        moved = json.loads(json.dumps(second.to_json()).replace(str(two.root), str(one.root)))
        assert moved == first.to_json()
        assert judge.listing(one.work).keys() == judge.listing(two.work).keys()


def test_every_family_has_a_part_of_a_run():
    cases = plan(500, list(FAMILIES))
    assert {family for family, _ in cases} == set(FAMILIES)
    assert 480 <= len(cases) <= 520
    assert len(set(cases)) == len(cases)


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    made = Sandbox(tmp_path / "run")
    for name in ("p/1.jpg", "p/2.jpg"):
        made.write(name, b"photo")
    return made


def _judged(
    sandbox: Sandbox, outcome: Outcome, case: Case | None = None, files: dict[str, str] | None = None
) -> list[str]:
    """The kinds of faults of a run that writes ``files`` and ends with ``outcome``."""
    before = judge.listing(sandbox.root)
    for name, text in ({"work/o.csv": "path,row,status\n" + _GOOD} if files is None else files).items():
        path = sandbox.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    asked = case or Case(
        ["embed", "p", "-o", "o.npy"], outputs=["o.csv"], photos=["p/1.jpg", "p/2.jpg"], table="o.csv"
    )
    return [
        fault.kind for fault in judge.judge(asked, outcome, before, judge.listing(sandbox.root), sandbox.work)
    ]


_REFUSED = "error: o.npy exists.\nName another file.\n"


def test_a_good_run_has_no_fault(sandbox):
    assert _judged(sandbox, Outcome(0, "2 photos\n", "")) == []


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        (Outcome(70, "", "error: KeyError: 1\nThis is a fault of facerec.\n"), "code"),
        (Outcome(1, "", _REFUSED), "code"),
        (Outcome(-11, "", ""), "crash"),
        (Outcome(0, "", "Traceback (most recent call last):\n  ...\nKeyError: 1\n"), "traceback"),
        (Outcome(0, "", "Corrupt JPEG data: 2 extraneous bytes before marker 0xd9\n"), "noise"),
        (Outcome(0, "", "[ WARN:0@0.017] global loadsave.cpp:268 findDecoder\n"), "noise"),
        (Outcome(0, "", "x.py:42: RuntimeWarning: invalid value encountered in divide\n"), "noise"),
        (Outcome(3, "", ""), "silent"),
        (Outcome(3, "", "error: p/1.jpg is of an odd kind.\n"), "advice"),
        (Outcome(0, "", "", cpu=61.0), "time"),
        (Outcome(0, "", "", peak=4 << 30), "memory"),
        (Outcome(None, "", "", stopped="time"), "time"),
    ],
)
def test_an_ending_that_no_user_should_see_is_a_fault(sandbox, outcome, kind):
    assert _judged(sandbox, outcome) == [kind]


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        ({"work/o.csv": "path,row,status\np/1.jpg,0,ok\n"}, "row"),
        ({}, "row"),
        ({"work/o.csv": "path,row,status\n" + _GOOD, "work/stray.txt": ""}, "stray"),
        ({"work/o.csv": "path,row,status\n" + _GOOD, "home/.cache/library/id": ""}, "stray"),
        ({"work/o.csv": "path,row,status\n" + _GOOD, "tmp/abc": ""}, "stray"),
        ({"work/o.csv": "path,row,status\n" + _GOOD, "beside/kept.txt": "other"}, "changed"),
        ({"work/o.csv": "path,row,status\n" + _GOOD, "work/p/1.jpg": "other"}, "changed"),
        ({"work/o.csv": "path,row,status\n" + _GOOD + _WALKED}, "elsewhere"),
    ],
)  # fmt: skip
def test_files_that_are_missing_stray_or_changed_are_faults(sandbox, files, kind):
    assert _judged(sandbox, Outcome(0, "", ""), files=files) == [kind]


@pytest.mark.parametrize(
    ("stdout", "code", "kinds"),
    [
        ('{"photos": 2}', 0, []),
        ('{"photos": 3}', 0, ["count"]),
        ('{"photos": 2}{"photos": 2}', 0, ["json"]),
        ("2 photos", 0, ["json"]),
        ('{"photos": NaN}', 0, ["json"]),
        ('{"error": {"kind": "InputError", "message": "x", "hint": "y", "exit_code": 3}}', 3, []),
        ('{"error": {"kind": "InputError", "message": "x", "hint": "y", "exit_code": 4}}', 3, ["json"]),
    ],
)
def test_json_is_one_document(sandbox, stdout, code, kinds):
    case = Case(["data", "info", "p", "--json"], counts={"photos": 2})
    said = "" if code == 0 else "error: p has no photo.\nName another folder.\n"
    assert _judged(sandbox, Outcome(code, stdout, said), case, files={}) == kinds


def test_an_error_names_the_damaged_file(sandbox):
    case = Case(["models", "add", "m.onnx"], suspects=["m.onnx"])
    assert _judged(
        sandbox, Outcome(4, "", "error: The file is damaged.\nDownload it again.\n"), case, files={}
    ) == ["unnamed"]
    assert (
        _judged(sandbox, Outcome(4, "", "error: m.onnx is damaged.\nDownload it again.\n"), case, files={})
        == []
    )


def test_what_is_whole_must_succeed(sandbox):
    case = Case(["data", "info", "p"], whole=True)
    assert _judged(
        sandbox, Outcome(3, "", "error: p has no photo.\nName another folder.\n"), case, files={}
    ) == ["whole"]


def test_a_run_that_hangs_is_stopped(tmp_path, monkeypatch):
    import os

    monkeypatch.setattr(judge, "MAX_SECONDS", 3.0)
    sandbox = Sandbox(tmp_path / "run")
    os.mkfifo(sandbox.work / "waits")
    case = Case(["@api", "read_image", "waits"])
    monkeypatch.setattr("tests.fuzz.families.api.program", lambda argv: ["-c", "open('waits').read()"])
    outcome, faults = try_case(sandbox, case, None)
    assert outcome.stopped == "time"
    assert [fault.kind for fault in faults] == ["time"]


def test_a_kept_fault_is_shown_again(tmp_path, capsys):
    """A planted fault: a result that is there, of which the case claims that it may not change."""
    sandbox = Sandbox(tmp_path / "kept")
    sandbox.write("people/a/1.jpg", b"no photo")
    case = Case(["data", "info", "nosuch"], whole=True)
    report.write(sandbox.root, case, Outcome(3, "", ""), [])
    assert replay(sandbox.root) == 1
    assert "FAULT whole: nothing is damaged, exit code 3" in capsys.readouterr().out
