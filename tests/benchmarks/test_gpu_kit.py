"""The GPU kit, tried on a CPU: it finds what is wrong, ends what hangs, and writes down what it found."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import gpu
import gpu_kit.losses
import gpu_kit.networks
import gpu_kit.runs
import pytest
import torch
from gpu_kit.parts import Part, run_parts
from gpu_kit.report import Kit, Report

from facerec_cli.registry import LOSSES

PROGRAM = Path(gpu.__file__)


def run(folder: Path, *arguments: str) -> tuple[int, dict[str, Any], str]:
    """Exit code, document and output of the program, on a machine without a GPU."""
    out = folder / "gpu.json"
    done = subprocess.run(
        [sys.executable, str(PROGRAM), "--out", str(out), *arguments],
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=1200,
    )
    assert not done.stderr, done.stderr
    text = out.read_text(encoding="utf-8")
    assert socket.gethostname() not in text and str(folder) not in text
    return done.returncode, json.loads(text), done.stdout


def rows_of(document: dict[str, Any], part: str, kind: str) -> dict[str, Any]:
    (found,) = (result for result in document["parts"] if result["name"] == part)
    return {row["name"]: row for row in found["rows"] if row["kind"] == kind}


def test_all_parts_of_a_tiny_run(tmp_path: Path) -> None:
    history = tmp_path / "history.jsonl"
    words = ("--device", "cpu", "--tiny", "--minutes", "60", "--json", str(history))
    code, document, said = run(tmp_path, *words)
    assert (code, document["proofs"]["failed"], document["skipped"]) == (0, [], []), said
    assert {part["name"]: part["state"] for part in document["parts"]} == {p.name: "done" for p in gpu.PARTS}
    proofs = rows_of(document, "losses", "proof")
    assert {name.partition(",")[0] for name in proofs} == set(LOSSES)
    assert {"value", "gradient embeddings", "gradient feature map", "gradient host.classifier.weight"} <= set(
        proofs["otface, float64, half of the classes"]["each"]
    )
    assert len(rows_of(document, "networks", "proof")) == 6
    assert set(rows_of(document, "runs", "proof")) == {
        *(f"{loss} in fp32" for loss in gpu_kit.runs.LOSSES),
        "arcface in bf16",
    }
    assert {row["unit"] for row in rows_of(document, "speed", "figure").values()} == {"images/s", "MB"}
    assert any("sample rate 0.1: optimizer" in name for name in rows_of(document, "breakdown", "figure"))
    assert {"export: ONNX on cpu, batches of 7", "embed --device cpu against cpu"} <= set(
        rows_of(document, "packs", "proof")
    )
    assert len(rows_of(document, "resume", "proof")) == 1 and len(rows_of(document, "compile", "proof")) == 1
    assert document["machine"]["cores"] >= 1 and document["settings"]["tiny"]
    (line,) = history.read_text(encoding="utf-8").splitlines()
    assert any(
        row.get("peer", "").startswith("packs: inputs handed over") for row in json.loads(line)["rows"]
    )


def test_a_wrong_loss_is_found(tmp_path: Path) -> None:
    words = ("--device", "cpu", "--tiny", "--parts", "losses", "--plant", "losses")
    code, document, said = run(tmp_path, *words)
    assert code == 1 and document["exit"] == 1
    proofs = rows_of(document, "losses", "proof")
    assert len(proofs) == 4 * len(LOSSES) and not any(row["passed"] for row in proofs.values())
    assert "losses: arcface, float32, all classes" in document["proofs"]["failed"]
    assert said.count("WRONG") >= 4 * len(LOSSES)


def test_a_machine_without_a_gpu_is_told_so(tmp_path: Path) -> None:
    code, document, said = run(tmp_path, "--parts", "losses")
    assert code == 2 and document["skipped"] == ["losses"]
    assert "PyTorch finds no CUDA GPU here" in said
    assert document["machine"]["torch"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--device gpu", "--device gpu is none of cuda"),
        ("--device cpu", "only --tiny"),
        ("--minutes nan", "no length of time"),
        ("--minutes -1", "no length of time"),
        ("--arcface-torch nowhere", "is not recognition/arcface_torch"),
        ("--out nowhere/gpu.json", "cannot be written"),
    ],
)
def test_what_cannot_be_meant_is_refused_at_once(
    words: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu.py", *words.split()])
    with pytest.raises(SystemExit) as end:
        gpu.arguments()
    assert end.value.code == 2 and said in capsys.readouterr().err


def test_the_batches_of_the_losses_give_hard_photos_something_to_do() -> None:
    for name, term in (("otface", "active"), ("boundaryface", "mended")):
        loss = gpu_kit.losses.build(name, torch.float64, {})
        for step in range(gpu_kit.losses.STEPS):
            found = gpu_kit.losses.results(loss, gpu_kit.losses.batch(step, torch.float64), "cpu")
            assert found[f"value {term}"] > 0 and found["gradient embeddings"].any()


def one(tmp_path: Path, **settings: Any) -> tuple[Kit, Report, Path]:
    rows = tmp_path / "rows.jsonl"
    return Kit("cpu", True, tmp_path, **settings), Report(rows, 100), rows


def test_a_step_that_moves_too_far_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_kit.networks, "STEPS", gpu_kit.networks.STEPS[1:2])
    kit, report, rows = one(tmp_path, plant="step")
    gpu_kit.networks.prove_step(kit, report)
    (row,) = map(json.loads, rows.read_text().splitlines())
    assert not row["passed"] and row["each"]["loss"] == 0 and row["each"]["all weights"] > 0.05


def test_a_run_that_does_not_learn_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_kit.runs, "LOSSES", ("arcface",))
    kit, report, rows = one(tmp_path, plant="runs")
    gpu_kit.runs.train_losses(kit, report)
    proofs = [row for row in map(json.loads, rows.read_text().splitlines()) if row["kind"] == "proof"]
    assert [row["passed"] for row in proofs] == [False, False], rows.read_text()


def test_what_is_not_a_number_is_no_proof(tmp_path: Path) -> None:
    _, report, rows = one(tmp_path)
    report.proof("a", {"value": float("nan"), "gradient x": 0.0}, {"value": 1.0, "gradient": 1.0})
    report.proof("b", {"value": 0.0}, {"value": 0.0})
    with report.attempt("c"):
        report.figure("speed", float("inf"), "images/s")
    a, b, c = map(json.loads, rows.read_text().splitlines())
    assert (a["passed"], a["worst"], a["largest"]) == (False, "value", "nan")
    assert b["passed"] and c["kind"] == "failed" and "not a measurement" in c["error"]


def quick(kit: Kit, report: Report) -> None:
    report.figure("quick", 1.0, "s")


def wrong(kit: Kit, report: Report) -> None:
    report.proof("wrong", {"value": 2.0}, {"value": 1.0})


def raises(kit: Kit, report: Report) -> None:
    report.figure("before", 1.0, "s")
    raise ValueError("it broke")


def crashes(kit: Kit, report: Report) -> None:
    report.figure("before", 1.0, "s")
    os.write(2, b"a library's last words\n")
    os.kill(os.getpid(), signal.SIGKILL)


def hangs(kit: Kit, report: Report) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(99)"])
    report.figure("before", child.pid, "s")
    time.sleep(99)


def parts(*names: str, seconds: float = 90.0) -> list[Part]:
    return [Part(name, "?", seconds, f"{__name__}:{name}") for name in names]


def outcome(wanted: list[Part], folder: Path, seconds: float = 480.0) -> dict[str, dict[str, Any]]:
    kit = Kit("cpu", True, folder)
    return {result["name"]: result for result in run_parts(wanted, kit, seconds, lambda text: None)}


def test_a_part_that_fails_or_crashes_ends_no_other(tmp_path: Path) -> None:
    found = outcome(parts("raises", "crashes", "wrong", "quick"), tmp_path)
    assert [result["state"] for result in found.values()] == ["broken", "broken", "failed", "done"]
    assert found["raises"]["rows"][-1]["error"].startswith("ValueError: it broke (tests/benchmarks/")
    assert "exit code -9: a library's last words" in found["crashes"]["error"]
    assert found["crashes"]["rows"][0]["name"] == "before"
    states = {name: result["state"] for name, result in found.items()}
    assert gpu.exit_code(states) == 1 and gpu.exit_code({"a": "broken", "b": "skipped"}) == 3
    assert gpu.exit_code({"machine": "done", "a": "skipped"}) == 0


def test_a_part_that_hangs_is_ended_and_later_ones_have_their_time(tmp_path: Path) -> None:
    start = time.monotonic()
    found = outcome([*parts("hangs", seconds=10.0), *parts("quick")], tmp_path, 50.0)
    assert found["hangs"]["state"] == "broken" and "ended after 10 s" in found["hangs"]["error"]
    child = Path(f"/proc/{found['hangs']['rows'][0]['value']}/stat")
    assert (
        not child.exists() or child.read_text().split()[2] == "Z"
    )  # ended with the part that has started it
    assert found["quick"]["state"] == "skipped"  # of its 90 s fewer than half are left
    assert time.monotonic() - start < 90


def test_nothing_is_begun_on_a_device_that_cannot_be_used(tmp_path: Path) -> None:
    wanted = [Part("machine", "?", 20.0, f"{__name__}:raises"), *parts("quick")]
    found = outcome(wanted, tmp_path)
    assert found["machine"]["state"] == "broken" and found["quick"]["error"] == "the device cannot be used"
