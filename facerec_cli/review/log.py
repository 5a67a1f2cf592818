"""What was decided and carried out, noted beside the result."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from facerec_cli.files import write_file
from facerec_cli.review.decisions import Decisions
from facerec_cli.untrusted import parse_json

LOG = ".decisions.jsonl"
"""What the name of the log ends in."""


def log_of(result: Path) -> Path:
    """The log beside a result."""
    return result.with_name(f"{result.name}{LOG}")


def write_log(decisions: Decisions, result: Path, *, made: str | None = None) -> Path:
    """Note what was carried out in a file of JSON lines beside a result, a line a decision.

    What it tells of this result already is not told again, so that to apply decisions twice adds nothing.

    Args:
        decisions: What was carried out.
        result: A table, or the folder of a gallery or of sorted photos.
        made: The sha256 of a table that was made with nothing but these decisions: the log tells of no others
            then. None for a result that was gone on with.

    Raises:
        OutputError: It cannot be written.
    """
    path = log_of(result)
    lines: list[str] = []
    with suppress(OSError, ValueError):
        lines = path.read_text(encoding="utf-8").splitlines()
    kept = lines if made is None else [line for line in lines if _entry(line).get("sha256") == made]
    told = {_decided(_entry(line)) for line in kept}
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    about = {"applied": now, "file": decisions.path, "result": result.name}
    about |= {} if made is None else {"sha256": made}
    fresh = [about | {"decision": one.document()} for one in decisions.items]
    text = [*kept, *(json.dumps(entry) for entry in fresh if _decided(entry) not in told)]
    if text != lines:
        write_file(path, "".join(f"{line}\n" for line in text).encode(), what="log of decisions")
    return path


def noted_results(log: Path) -> set[str]:
    """The sha256 of the tables that a log's decisions were carried out on, "" where a line has none."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return {str(_entry(line).get("sha256") or "") for line in lines}


def _entry(line: str) -> Mapping[str, Any]:
    entry: Any = None
    with suppress(ValueError):
        entry = parse_json(line)
    return entry if isinstance(entry, dict) else {}


def _decided(entry: Mapping[str, Any]) -> str:
    """The decision of a line, for comparing."""
    return json.dumps(entry.get("decision"), sort_keys=True)
