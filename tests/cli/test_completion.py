"""The tab key, through the program as a shell runs it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from facerec_cli.cli import completion
from facerec_cli.faces import align
from facerec_cli.faces.runtime.providers import PROVIDERS
from facerec_cli.registry import BACKBONES, DATASET_WRITERS, DATASETS, DEVICES, LOSSES, PROJECTS, TEMPLATES

PROGRAM = """
import sys
from facerec_cli.cli import main
try:
    main()
finally:
    assert "torch" not in sys.modules, "torch was imported"
"""


def offered(line: str, **env: str) -> list[str]:
    """What bash is offered at the end of ``line``."""
    words = line.split(" ")
    asked = {"_FACEREC_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    run = [sys.executable, "-c", f"import sys; sys.argv[0] = 'facerec'\n{PROGRAM}"]
    done = subprocess.run(
        run, env={**os.environ, **asked, **env}, capture_output=True, text=True, timeout=120
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("facerec embed --model sfa", ["sface", "sface-degraded"]),
        ("facerec embed --faces ", ["all", "main", "center", "largest"]),
        ("facerec verify --faces ma", ["main"]),
        ("facerec verify --format l", ["lfw", "labeled"]),
        ("facerec data align --device c", ["cpu", "cuda", "coreml"]),
        ("facerec train --loss arc", ["arcface"]),
        ("facerec train --backbone iresnet5", ["iresnet50"]),
        ("facerec train --optimizer ", ["sgd", "adamw"]),
        ("facerec train --set optimizer.l", ["optimizer.lr="]),
        ("facerec export --from a", ["arcface_torch", "adaface"]),
        ("facerec data convert a b --to r", ["rec"]),
        ("facerec models pull ant", ["antelopev2"]),
        ("facerec models show buffalo_s", ["buffalo_s", "buffalo_sc"]),
        ("facerec models remove ", []),
        ("facerec mod", ["models"]),
        ("facerec models p", ["pull"]),
    ],
)
def test_values_come_from_the_registries(line: str, expected: list[str]) -> None:
    assert offered(line) == expected


def test_a_broken_home_is_silent(tmp_path) -> None:
    (tmp_path / "packs").write_text("no folder")
    assert offered("facerec embed --model sfa", FACEREC_HOME=str(tmp_path)) in (
        [],
        ["sface", "sface-degraded"],
    )


def test_a_fault_while_looking_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise RuntimeError("no registry")

    monkeypatch.setattr("facerec_cli.packs.catalog.catalog", broken)
    assert completion.models("") == []


def test_names_that_are_listed_apart_are_those_of_the_code() -> None:
    pytest.importorskip("torch", reason="needs the train extra")
    from facerec_cli.backbones.layouts import LAYOUTS

    assert set(PROJECTS) == set(LAYOUTS)
    assert set(DATASET_WRITERS) < set(DATASETS)
    assert set(TEMPLATES) == set(align.TEMPLATES)
    assert ("auto", *PROVIDERS) == DEVICES
    assert offered("facerec train --loss ") == list(LOSSES)
    assert offered("facerec train --backbone ") == list(BACKBONES)
