"""What is a fault: everything that a user of a damaged file should never see."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from tests.fuzz.sandbox import Case

CODES = frozenset([0, 2, 3, 4, 5, 6, 7, 8, 9])  # docs/errors.md, without 70 (our fault) and 130 (interrupted)
MAX_CPU = 60.0  # seconds; of the processor, as a machine may have other work
MAX_SECONDS = 180.0
MAX_MEMORY = 3 << 30

# What C libraries and Python print by themselves; facerec's own lines look like none of them.
_NOISE = re.compile(
    r"^\[ ?(WARN|ERROR|INFO|DEBUG)[:@\]]|^libpng |^Corrupt JPEG|^Premature end|^Invalid SOS|^Unsupported m"
    r"|^_?TIFF|\bwarning: .*\(TIFF|^OpenCV\(|^OpenJPEG|^JasPer|^jas_|^libheif|^WebP|^Extra d|^0x[0-9a-f]{6}"
    r"|\[[EWF]:onnxruntime|\[ONNXRuntimeError\]|\w+Warning: |^Exception ignored|^Fatal Python|^Error in "
    r"|^terminate called|^Segmentation fault|^free\(\)|^malloc|^munmap|^corrupted |^Killed|^Aborted"
)
_UNFINISHED = re.compile(
    r"\.tmp$|\.partial|\.part$|\.parts(/|$)|(^|/)\.facerec\.|(^|/)tmp[a-z0-9_]{8}(/|$)|\.new$|(?<!run/)\.lock$"
)
_ADVICE = re.compile(  # of an error in one line: what is asked for, or what would do
    r"\b(use|name|give|choose|add|remove|delete|correct|run|try|write|leave|make|say|see|go on|install|rename"
    r"|put|check|copy|wait|set|take|convert|change|pull|download|must|needs?|is not one of|does not end in"
    r"|end in|expected|instead|at least|at most|between|did you mean|exclude each other)\b"
    r"|is not \.\w|not there|no such|there is no|embeddings are|a row is|is below|(is|are) for |0 or more"
    r"|takes (one|two|lists)|is not lines of",
    re.IGNORECASE,
)
_OURS = ("stdin", "stdout", "stderr", "argv.json")
_LIBRARIES_OWN = (
    "home/.cache/matplotlib*",
    "home/.config/matplotlib*",
    "home/.cache",
    "home/.config",
    "tmp/torchinductor_*",
)


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        code: Its exit code; negative for a signal; None where it was stopped at a limit.
        stdout: What it printed.
        stderr: What it said.
        seconds: Wall clock.
        cpu: Seconds of the processor.
        peak: Most memory in bytes.
        stopped: "time" or "memory" where it was stopped at that limit.
    """

    code: int | None
    stdout: str
    stderr: str
    seconds: float = 0.0
    cpu: float = 0.0
    peak: int = 0
    stopped: str = ""


@dataclass(frozen=True)
class Fault:
    """Something that must not happen: its kind in a word, and what it was."""

    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


Listing = dict[str, tuple[Any, ...]]


def listing(root: Path) -> Listing:
    """Every file below ``root`` by its relative name: kind, permissions, and sha256 or target."""
    found: Listing = {}
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = os.path.join(folder, name)  # noqa: PTH118 - names may be no text
            found[os.path.relpath(path, root)] = _state(path)
    return found


def _state(path: str) -> tuple[Any, ...]:
    state = os.lstat(path)
    mode = stat.S_IMODE(state.st_mode)
    if stat.S_ISLNK(state.st_mode):
        return "link", os.readlink(path)  # noqa: PTH115
    if stat.S_ISDIR(state.st_mode):
        return "folder", mode
    if not stat.S_ISREG(state.st_mode):
        return "special", mode
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            return "file", mode, hashlib.file_digest(file, "sha256").hexdigest()
    except PermissionError:
        return "file", mode, state.st_size


def judge(case: Case, outcome: Outcome, before: Listing, after: Listing, work: Path) -> list[Fault]:
    """The faults of one run.

    Args:
        case: What was run.
        outcome: How it ended.
        before: The sandbox before, from :func:`listing`.
        after: The sandbox after.
        work: The working folder, where the tables are.
    """
    if outcome.stopped:
        return [Fault(outcome.stopped, f"stopped after {outcome.cpu:.0f} s of CPU, {outcome.peak >> 20} MiB")]
    faults = [*_code(case, outcome), *_limits(outcome), *_changes(case, before, after)]
    if case.argv[0] != "@api":  # a library leaves descriptor 2 to the program that uses it
        faults += [*_noise(outcome), *_document(case, outcome), *_message(case, outcome)]
    faults += _rows(case, outcome, work)
    return faults


def _code(case: Case, outcome: Outcome) -> Iterable[Fault]:
    if outcome.code not in CODES:
        kind = "crash" if (outcome.code or 0) < 0 else "code"
        yield Fault(kind, f"exit code {outcome.code}: {_last_line(outcome.stderr)}")
    elif case.whole and outcome.code != 0:
        yield Fault("whole", f"nothing is damaged, exit code {outcome.code}: {_last_line(outcome.stderr)}")


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return next((line for line in lines if line.startswith("error:")), lines[-1] if lines else "")[:300]


def _noise(outcome: Outcome) -> Iterable[Fault]:
    for stream in (outcome.stdout, outcome.stderr):
        if "Traceback (most recent call last)" in stream:
            yield Fault("traceback", stream.strip().splitlines()[-1][:200])
            return
    for line in outcome.stderr.splitlines():
        if _NOISE.search(line) and not line.startswith("error:"):
            yield Fault("noise", line[:200])
            return
    if "[ONNXRuntimeError]" in outcome.stdout:
        yield Fault("noise", "a library's own message on stdout")


def _limits(outcome: Outcome) -> Iterable[Fault]:
    if outcome.cpu > MAX_CPU or outcome.seconds > MAX_SECONDS:
        yield Fault("time", f"{outcome.cpu:.0f} s of CPU, {outcome.seconds:.0f} s")
    if outcome.peak > MAX_MEMORY:
        yield Fault("memory", f"{outcome.peak >> 20} MiB")


def _changes(case: Case, before: Listing, after: Listing) -> Iterable[Fault]:
    for name, state in before.items():
        if name in _OURS:
            continue
        inside = name.removeprefix("work/")
        asked = (name.startswith("work/") and _stated(inside, case.outputs)) or (
            case.argv[:2] == ["models", "remove"] and _registry(name.removeprefix("facerec/"), case)
        )
        if after.get(name) != state and not asked:
            yield Fault(
                "changed", f"{name!r}: {state[0]} {'is gone' if name not in after else 'has changed'}"
            )
            return
    for name in after.keys() - before.keys():
        if name in _OURS:
            continue
        place, _, inside = name.partition("/")
        allowed = (
            (place == "work" and _stated(inside, case.outputs))
            or (place == "facerec" and _registry(inside, case))
            or any(fnmatchcase(name, pattern) for pattern in _LIBRARIES_OWN)
        )
        if not allowed:
            yield Fault("stray", repr(name))
            return
        if _UNFINISHED.search(inside) and place == "work":
            yield Fault("left", repr(name))
            return


def _stated(inside: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(inside, pattern) or pattern.startswith(inside + "/") for pattern in patterns)


def _registry(inside: str, case: Case) -> bool:
    """What facerec keeps in its own folder: caches, agreements, locks, packs that were asked for."""
    room, _, rest = inside.partition("/")
    if room == "packs":
        return not rest or rest.endswith(".lock") or rest.split("/")[0] in case.registered
    return room in ("cache", "licences", "downloads") and not re.search(r"\.tmp|\.part|/tmp", rest)


def _document(case: Case, outcome: Outcome) -> Iterable[Fault]:
    if "--json" not in case.argv or (outcome.code == 2 and not outcome.stdout):
        return
    try:
        document = json.loads(outcome.stdout, parse_constant=_no_constant)
    except ValueError as fault:
        yield Fault("json", f"not one document ({fault}): {outcome.stdout[:100]!r}")
        return
    error = document.get("error") if isinstance(document, dict) else None
    if isinstance(error, dict) and {"kind", "message", "hint", "exit_code"} <= error.keys():
        if error["exit_code"] != outcome.code:
            yield Fault("json", f"exit code {outcome.code}, the document says {error['exit_code']}")
    elif outcome.code not in (0, 3, 4, 5):
        yield Fault("json", f"exit code {outcome.code} without an error in the document")
    for key, value in case.counts.items():
        if outcome.code == 0 and isinstance(document, dict) and document.get(key) != value:
            yield Fault("count", f"{key} is {document.get(key)}, not {value}")


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _message(case: Case, outcome: Outcome) -> Iterable[Fault]:
    if outcome.code in (0, None) or outcome.code not in CODES:
        return
    said = outcome.stderr
    reports = case.argv[:2] == ["models", "check"] or case.argv[0] == "doctor"  # what is wrong is the result
    if (outcome.code == 5 and "--json" in case.argv) or (reports and outcome.stdout):
        return
    head = re.search(r"^(error: .*|.*[Ee]rror[ :─].*|Usage: .*)", said, re.MULTILINE)
    if head is None:
        if outcome.code != 5 and not ("--json" in case.argv and outcome.stdout):
            yield Fault("silent", f"exit code {outcome.code} and no error: {said[-200:]!r}")
        return
    text = said[head.start() :].removeprefix("error:")
    hint = len([line for line in text.splitlines() if line.strip()]) > 1
    if not hint and not _ADVICE.search(text):
        yield Fault("advice", text.strip()[:200])
    named = said + outcome.stdout
    if case.suspects and outcome.code in (3, 4) and not any(_mentions(named, one) for one in case.suspects):
        yield Fault("unnamed", f"{case.suspects[0]!r} is not in: {text.strip()[:200]!r}")


def _mentions(text: str, name: str) -> bool:
    """Whether the file is named, with or without its suffix."""
    last = name.rpartition("/")[2]
    stem = last.rpartition(".")[0]
    return last in text or (len(stem) > 3 and stem in text)


def _rows(case: Case, outcome: Outcome, work: Path) -> Iterable[Fault]:
    if not case.table or outcome.code not in (0, 3, 5):
        return
    table = work / case.table
    if not table.is_file():
        if outcome.code != 3:
            yield Fault("row", f"exit code {outcome.code} and no table {case.table}")
        return
    text = table.read_bytes().decode("utf-8", "surrogateescape")
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter="\t" if table.suffix == ".tsv" else ",")
    column = "photo" if table.suffix == ".tsv" else "path"
    named = [row[column] or "" for row in rows]
    for photo in case.photos:
        if not any(name == photo or name.endswith("/" + photo) for name in named):
            yield Fault("row", f"{photo!r} has no row in {case.table} of {len(named)} rows")
            return
    if case.photos and len(set(named)) > 3 * len(case.photos) + 50:
        yield Fault("elsewhere", f"{len(named)} rows for {len(case.photos)} photos, such as {named[-1]!r}")
