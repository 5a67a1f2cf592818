"""Commands that are killed in the middle and run again: nothing is lost, nothing is left behind.

A command is first run to its end, which gives the result to compare with. Then it is killed, at a random time
or at one of the moments in which it renames, removes, makes or flushes a file, and run again, with
``--resume`` if it has that. All files below the working folder, FACEREC_HOME and TMPDIR must be those of the
first run.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np

from facerec_cli.embeddings.table import ModelInfo
from facerec_cli.gallery.gallery import create_gallery
from tests.fuzz import judge, seeds
from tests.fuzz.families.pairs import drawn, labelled, write_people
from tests.fuzz.runner import _python_path
from tests.fuzz.sandbox import Sandbox
from tests.fuzz.worker import confine

_LIMIT = 240.0


@dataclass(frozen=True)
class Operation:
    """A command to kill.

    Attributes:
        prepare: Writes its inputs.
        argv: The command.
        more: What the second run adds, such as ``--resume``.
        weight: How many of a hundred kills.
        loose: Pattern of files of which only the name is compared: times, and archives that carry one.
    """

    prepare: Callable[[Sandbox], object]
    argv: list[str]
    more: list[str]
    weight: int
    loose: str = r"$^"


def _photos(count: int) -> Callable[[Sandbox], object]:
    def prepare(sandbox: Sandbox) -> None:
        for i in range(count):
            sandbox.write(f"p/{i:04d}.jpg", seeds.jpeg(i % 20))

    return prepare


def _pairs(sandbox: Sandbox) -> None:
    write_people(Random(0), sandbox, damaged=0)
    sandbox.write("pairs.txt", labelled(drawn(Random(0), 60)))


def _people(sandbox: Sandbox) -> None:
    for i in range(40):
        sandbox.write(f"people/p{i // 4}/{i}.jpg", seeds.jpeg(i % 20))


def _faces(sandbox: Sandbox) -> None:
    for i in range(8):
        sandbox.write(f"people/p{i % 2}/{i}.jpg", seeds.face(i))


def _study(sandbox: Sandbox) -> None:
    for i in range(24):
        sandbox.write(f"people/p{i // 2:02d}/{i}.jpg", seeds.jpeg(i))
    sandbox.write("study.toml", seeds.STUDY)


def _pack(sandbox: Sandbox) -> None:
    for name, data in seeds.tiny_pack().items():
        sandbox.write(f"mine/{name}", data)


def _gallery(sandbox: Sandbox) -> None:
    draw = np.random.default_rng(0)
    with create_gallery(sandbox.work / "staff", ModelInfo("toy", "5" * 64), 16) as gallery:
        gallery.add_faces([f"p{i // 3}" for i in range(30)], draw.normal(size=(30, 16)))


_TINY = ["--model", "tiny", "--aligned", "--threads", "1"]
_TRAIN = ["--data", "synthetic:4:4", "--steps", "6", "--batch-size", "4", "--device", "cpu", "--workers", "0"]
_TRAIN += ["--backbone", "mobilefacenet", "--embedding-size", "16"]
_TRAIN += ["--set", "backbone.width=0.125", "--set", "run.checkpoint_every=2"]
_SHEET = ["embed", "p", "-o", "o.npz", "--crops", "c", "--preview", "s.html", *_TINY]
_VERIFY = ["verify", "pairs.txt", "--report", "r.html", "--scores", "s.csv", "--save-threshold", "card.toml"]
_VERIFY += ["--far", "0.2", *_TINY]
_IDENTIFY = ["identify", "people", "people", "--threshold", "0.9", "-o", "r.csv", "--report", "r.html"]
_IDENTIFY += ["--copy-to", "sorted"]
_GALLERY = (
    r"\.gallery/"  # times, and rows that are not given again at once; tests/gallery compares what is in them
)
_REPORTS = r"\.pt$|timing|\.png$|\.svg$|\.html$|\.md$|\.csv$|results"  # they tell how long it took

OPERATIONS: dict[str, Operation] = {
    "embed npy": Operation(_photos(600), ["embed", "p", "-o", "o.npy", *_TINY], ["--resume"], 12),
    "embed npz crops": Operation(_photos(60), _SHEET, ["--resume"], 6),
    "embed shards": Operation(_photos(600), ["embed", "p", "-o", "s/", *_TINY], ["--resume"], 10),
    "embed again": Operation(_photos(30), ["embed", "p", "-o", "o.parquet", *_TINY], ["--force"], 4),
    "verify": Operation(
        _pairs,
        _VERIFY,
        [],
        8,
    ),
    "identify": Operation(
        _people,
        [*_IDENTIFY, *_TINY],
        [],
        6,
    ),
    "align": Operation(_faces, ["data", "align", "people", "t"], ["--resume"], 10),
    "convert rec": Operation(_people, ["data", "convert", "people", "c.rec"], [], 7),
    "convert folder": Operation(_people, ["data", "convert", "people", "c"], [], 5),
    "convert tar": Operation(_people, ["data", "convert", "people", "c", "--to", "tar"], [], 5),
    "convert list": Operation(_people, ["data", "convert", "people", "c.txt"], [], 3),
    "split": Operation(_people, ["data", "split", "people", "-o", "lists"], [], 4),
    "pairs": Operation(_people, ["data", "pairs", "people", "-o", "out.txt", "--pairs", "20"], [], 3),
    "bin": Operation(_people, ["data", "bin", "people", "-o", "out.bin", "--pairs", "20"], [], 3),
    "gallery enroll": Operation(
        _people, ["gallery", "enroll", "staff", "people", "--keep-look-alikes", *_TINY], [], 6, _GALLERY
    ),
    "gallery remove": Operation(_gallery, ["gallery", "remove", "staff", "p3"], [], 5, _GALLERY),
    "gallery rename": Operation(_gallery, ["gallery", "rename", "staff", "p3", "q"], [], 3, _GALLERY),
    "gallery merge": Operation(_gallery, ["gallery", "merge", "staff", "p3", "p4"], [], 3, _GALLERY),
    "models add": Operation(_pack, ["models", "add", "mine", "--name", "zz"], ["--force"], 6),
    "models remove": Operation(lambda sandbox: None, ["models", "remove", "tiny"], [], 4),
    "export": Operation(
        lambda sandbox: sandbox.write("best.pt", seeds.checkpoint()),
        ["export", "best.pt", "-o", "m.onnx", "--name", "mm", "--int8-weights"],
        ["--force"],
        4,
        loose=r"\.onnx$|pack\.toml$",
    ),
    "train": Operation(
        lambda sandbox: None, ["train", *_TRAIN, "--out", "run"], ["--resume"], 4, r"\.pt$|timing|\.png$"
    ),
    "study": Operation(
        _study, ["study", "study.toml", "--out", "out"], ["--resume"], 2, loose=_REPORTS
    ),
}  # fmt: skip

_TIMES = re.compile(
    rb'"(seconds|seconds_training|photos_per_second|resumed|created|started|ended|date)": [^,\n}]+'
)


def contents(sandbox: Sandbox, loose: str) -> dict[str, str]:
    """Name -> what is in it, of everything that the command could write; caches have only a name."""
    found = {}
    for name, state in judge.listing(sandbox.root).items():
        if name in ("stdin", "stdout", "stderr", "moments") or name.startswith(
            ("facerec/cache", "home/", "tmp/torchinductor")
        ):
            continue
        if state[0] != "file" or re.search(loose, name):
            found[name] = state[0]
            continue
        data = _TIMES.sub(b"", (sandbox.root / name).read_bytes())
        if name.endswith(".alignment.jsonl"):  # a journal, in the order in which photos were done
            data = b"\n".join(sorted(set(data.replace(b"kept", b"ok").splitlines())))
        if name.endswith("alignment.tsv"):
            data = data.replace(b"\tkept\t", b"\tok\t")
        found[name] = hashlib.sha256(data).hexdigest()[:16]
    return found


def _start(
    sandbox: Sandbox, argv: list[str], *, interrupt: tuple[int, int, str] | None = None
) -> subprocess.Popen[bytes]:
    program = (
        ["-m", "facerec_cli"] if interrupt is None else ["-m", "tests.fuzz.interrupt", *map(str, interrupt)]
    )
    environment = sandbox.environment() | {
        "PYTHONPATH": _python_path(),
        "FUZZ_MOMENTS": str(sandbox.root / "moments"),
    }
    with (sandbox.root / "stdout").open("wb") as stdout, (sandbox.root / "stderr").open("wb") as stderr:
        return subprocess.Popen(
            [sys.executable, *program, *argv],
            cwd=sandbox.work,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
            preexec_fn=confine,
        )


def _wait(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    """The exit code, or None where it still runs then."""
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None


def _finish(process: subprocess.Popen[bytes]) -> int | None:
    code = _wait(process, _LIMIT)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    return process.wait() if code is None else code


def _sandbox(operation: Operation, root: Path) -> Sandbox:
    """The inputs, as old as they always are: results say which photos they were made of, by size and time."""
    sandbox = Sandbox(root)
    operation.prepare(sandbox)
    for path in sandbox.work.rglob("*"):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    return sandbox


class Reference:
    """An operation that was run to its end."""

    def __init__(self, operation: Operation, root: Path) -> None:
        sandbox = _sandbox(operation, root)
        started = time.monotonic()
        code = _finish(_start(sandbox, operation.argv, interrupt=(0, 0, "before")))
        self.seconds = time.monotonic() - started
        said = (sandbox.root / "stderr").read_text(errors="replace")
        if code != 0:
            raise RuntimeError(f"left alone it ends with code {code}: {said.strip()[-300:]!r}")
        self.moments = int((sandbox.root / "moments").read_text())
        self.contents = contents(sandbox, operation.loose)
        sandbox.remove()


def kill_once(
    operation: Operation, reference: Reference, root: Path, random: Random
) -> tuple[str, list[str]]:
    """Kill and run again; gives how it was killed, and the faults."""
    sandbox = _sandbox(operation, root)
    number = signal.SIGKILL if random.random() < 0.7 else signal.SIGTERM
    if random.random() < 0.6 and reference.moments:
        at = random.randint(1, reference.moments), int(number), random.choice(("before", "after"))
        how = f"{number.name} {at[2]} moment {at[0]} of {reference.moments}"
        code = _finish(_start(sandbox, operation.argv, interrupt=at))
    else:
        delay = random.uniform(0.2, 1.05) * reference.seconds
        how = f"{number.name} after {delay:.2f} of {reference.seconds:.2f} s"
        process = _start(sandbox, operation.argv)
        if _wait(process, delay) is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
        code = _finish(process)
    said = (sandbox.root / "stderr").read_text(errors="replace")
    faults = []
    if number == signal.SIGTERM and (code not in (0, 130, -signal.SIGTERM) or "Traceback" in said):
        faults.append(f"ended with code {code}: {said.strip()[-300:]!r}")
    midway = contents(sandbox, operation.loose)
    faults += [f"half a file in {name!r}" for name in _visible(midway, reference.contents)]
    faults += _again(operation, reference, sandbox)
    sandbox.remove()
    return how, faults


def _visible(found: dict[str, str], wanted: dict[str, str]) -> Iterable[str]:
    """Files under the names of results that are not what they will be."""
    growing = re.compile(
        r"\.parts/|_facerec\.json$|alignment\.(tsv|jsonl)$|metrics\.jsonl$|recipe\.toml$|^work/out/|\.alignment\.json$"
    )
    for name, state in found.items():
        if name in wanted and state != wanted[name] and not growing.search(name):
            yield name


def _again(operation: Operation, reference: Reference, sandbox: Sandbox) -> list[str]:
    codes = []
    for argv in ([*operation.argv, *operation.more], operation.argv):
        codes.append(_finish(_start(sandbox, argv)))
        if codes[-1] == 0:
            break
    said = (sandbox.root / "stderr").read_text(errors="replace").strip()[-300:]
    now, wanted = contents(sandbox, operation.loose), reference.contents
    faults = []
    if codes[-1] != 0 and now != wanted:  # a refusal is right where the killed run had finished
        faults.append(f"the second run ends with {codes}: {said!r}")
    faults += [f"left behind: {name!r}" for name in sorted(now.keys() - wanted.keys())[:3]]
    faults += [f"lost: {name!r}" for name in sorted(wanted.keys() - now.keys())[:3]]
    faults += [
        f"differs: {name!r}" for name in sorted(now.keys() & wanted.keys()) if now[name] != wanted[name]
    ][:3]
    return faults


def kill_all(
    kills: int,
    seed: int,
    keep: Path | None = None,
    *,
    names: Iterable[str] = OPERATIONS,
    tell: Callable[[str], None] = print,
) -> int:
    """Kill so many times, spread over the operations by their weights; 1 where there was a fault."""
    chosen = {name: OPERATIONS[name] for name in names}
    total = sum(one.weight for one in chosen.values())
    random = Random(f"kills/{seed}")
    counts = Counter({name: max(1, kills * one.weight // total) for name, one in chosen.items()})
    while sum(counts.values()) < kills:
        counts[random.choice(list(chosen)[:10])] += 1
    done, bad, log = Counter[str](), Counter[str](), []
    scratch = Path(tempfile.mkdtemp(prefix="facerec-kills-"))
    root = scratch / "run"
    for name, operation in chosen.items():
        try:
            reference = Reference(operation, root)
        except RuntimeError as fault:
            bad[name] += 1
            tell(f"{name}: {fault}")
            shutil.rmtree(root)
            continue
        for number in range(counts[name]):
            how, faults = kill_once(operation, reference, root, Random(f"{seed}/{name}/{number}"))
            done[name] += 1
            bad[name] += bool(faults)
            if faults:
                log.append({"operation": name, "number": number, "how": how, "faults": faults})
                tell(f"{name} {number}, {how}: {'; '.join(faults)}")
    shutil.rmtree(scratch, ignore_errors=True)
    if keep is not None and log:
        keep.mkdir(parents=True, exist_ok=True)
        (keep / "kills.json").write_text(json.dumps(log, indent=1))
    tell(
        "\n".join(
            [
                f"{'command':<16} {'kills':>6} {'faults':>7}",
                *(f"{name:<16} {done[name]:>6} {bad[name]:>7}" for name in chosen),
            ]
        )
    )
    tell(f"{done.total():,} kills, {bad.total():,} faults, seed {seed}")
    return 1 if bad.total() else 0
