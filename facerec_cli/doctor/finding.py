"""What the doctor says of one thing that it looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        subject: What it is.
        status: "ok"; "note" for what may surprise but does no harm; "broken" for what has to be mended.
        detail: What was found.
        mend: What to type or do; empty where nothing is needed.
    """

    subject: str
    status: Literal["ok", "note", "broken"]
    detail: str
    mend: str = ""
