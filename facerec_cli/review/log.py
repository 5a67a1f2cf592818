"""What was decided and carried out, noted beside the result."""

from __future__ import annotations

import datetime
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from facerec_cli.files import write_file
from facerec_cli.review.decisions import Decisions
from facerec_cli.untrusted import parse_json

LOG = ".decisions.jsonl"
"""What the name of the log ends in."""


def write_log(decisions: Decisions, result: Path) -> Path:
    """Note what was carried out in a file of JSON lines beside a result, a line a decision.

    What it tells of this result already is not told again, so that to apply decisions twice adds nothing.

    Raises:
        OutputError: It cannot be written.
    """
    path = result.with_name(f"{result.name}{LOG}")
    lines: list[str] = []
    with suppress(OSError, ValueError):
        lines = path.read_text(encoding="utf-8").splitlines()
    told = {_key(line) for line in lines}
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    about = {"applied": now, "file": decisions.path, "result": result.name}
    fresh = [json.dumps({**about, "decision": one.document()}) for one in decisions.items]
    fresh = [line for line in fresh if _key(line) not in told]
    if fresh:
        text = "".join(f"{line}\n" for line in [*lines, *fresh])
        write_file(path, text.encode(), what="log of decisions")
    return path


def _key(line: str) -> str:
    """The decision of a line, for comparing."""
    entry: Any = None
    with suppress(ValueError):
        entry = parse_json(line)
    return json.dumps(entry.get("decision") if isinstance(entry, dict) else None, sort_keys=True)
