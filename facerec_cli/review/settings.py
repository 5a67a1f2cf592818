"""What ``facerec review`` is asked for, declared without what does the work."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from facerec_cli.errors import UsageError
from facerec_cli.option import Option
from facerec_cli.settings import check

PAGE = "review.html"


@dataclass(frozen=True, slots=True)
class ReviewSettings:
    """A page as a file, the same page served, or decisions carried out.

    Raises:
        UsageError: A value is out of range, or two contradict each other.
    """

    output: Annotated[
        Path | None, Option(f"The page, one HTML file that works offline (default: {PAGE}).", short="-o")
    ] = None
    serve: Annotated[
        bool,
        Option(
            "Serve the page to this machine's browser until Ctrl-C, for libraries too large for one file; "
            "each decision is saved at once."
        ),
    ] = False
    port: Annotated[int, Option("Port of --serve; 0 takes a free one.", ge=0, le=65535)] = 0
    decisions: Annotated[
        Path | None,
        Option(
            "Decisions to go on from, and the file that --serve saves (default: NAME.decisions.json beside "
            "TARGET).",
            metavar="FILE",
        ),
    ] = None
    apply: Annotated[
        Path | None,
        Option("Carry these decisions out on TARGET, instead of making a page.", metavar="FILE"),
    ] = None

    def __post_init__(self) -> None:
        check(self)
        given = {
            "--serve": self.serve,
            "--output": self.output is not None,
            "--apply": self.apply is not None,
        }
        several = [flag for flag, is_given in given.items() if is_given]
        if len(several) > 1:
            raise UsageError(f"{' and '.join(several)} exclude each other.", hint="Give one of them.")
        if self.port and not self.serve:
            raise UsageError("--port is for --serve.", hint="Leave it out, or add --serve.")
        if self.apply is not None and self.decisions is not None:
            raise UsageError("--decisions is for a page, and --apply makes none.", hint="Give one of them.")

    def saved(self, target: Path) -> Path:
        """The file of decisions about a gallery or a table."""
        return self.decisions or target.with_name(f"{target.stem}.decisions.json")
