"""The files that a search leaves: a table, a report, and photos sorted by person."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from facerec_cli.embeddings.result_table import TABLES, require_table, write_rows
from facerec_cli.errors import UsageError
from facerec_cli.faces.settings import RESULTS
from facerec_cli.option import Option
from facerec_cli.outputs import check_writable, named_paths, refuse_foreign
from facerec_cli.settings import check
from facerec_cli.verify.settings import Steps, no_steps

if TYPE_CHECKING:
    from facerec_cli.identify.result import Identification
    from facerec_cli.identify.sorting import SortedPhotos

PAGES = (".html", ".htm")

TableOutput = Annotated[
    Path | None, Option(f"Write a row a face: {', '.join(TABLES)}.", short="-o", panel=RESULTS)
]
Link = Annotated[
    Literal["none", "hard", "symbolic"],
    Option("Links that --copy-to makes instead of copies: {choices}.", panel=RESULTS),
]


def refuse_lone_link(link: str, copy_to: Path | None) -> None:
    """Refuse a kind of link where no photo is sorted.

    Raises:
        UsageError: ``link`` is given without ``copy_to``.
    """
    if link != "none" and copy_to is None:
        raise UsageError("--link is for --copy-to.", hint="Name a folder with --copy-to.")


@dataclass(frozen=True, slots=True)
class IdentifyOutputs:
    """Where to, each only where it is named.

    Raises:
        UsageError: A value is no choice, or is for an output that is not asked for.
    """

    output: TableOutput = None
    report: Annotated[
        Path | None,
        Option("Write faces and candidates, or the figures of --evaluate, to one HTML file.", panel=RESULTS),
    ] = None
    copy_to: Annotated[
        Path | None, Option("Sort the photos into this folder, a folder a person.", panel=RESULTS)
    ] = None
    link: Link = "none"

    def __post_init__(self) -> None:
        check(self)
        refuse_lone_link(self.link, self.copy_to)

    def named(self) -> dict[str, tuple[str, Path]]:
        """Those that are wanted, by field: flag and path."""
        return named_paths(self, besides=("link",))

    def refuse_faults(
        self, inputs: Sequence[str | Path], *, overwrite: bool, evaluate: bool = False, claims: bool = True
    ) -> None:
        """Refuse what cannot be written, or would replace what it should not, before any work is done.

        Args:
            inputs: Files that the run reads, the gallery first.
            overwrite: Replace files that are not of facerec.
            evaluate: The search is measured, which leaves a report only.
            claims: Whether faces get names.

        Raises:
            UsageError: With the flag.
            MissingExtraError: ``.parquet`` without pyarrow.
        """
        if evaluate and (self.output or self.copy_to):
            raise UsageError(
                "--evaluate writes neither --output nor --copy-to.",
                hint="Its figures are in --json and --report.",
            )
        if self.copy_to and not claims:
            raise UsageError(
                "--mode investigate gives nobody a name to sort photos by.", hint="Leave it out."
            )
        refuse_paths(self.named(), inputs)
        place = None if self.copy_to is None else Path(os.path.realpath(self.copy_to))
        if place and inputs and place.is_relative_to(os.path.realpath(inputs[0])):
            raise UsageError(f"--copy-to {self.copy_to} lies in the gallery.", hint="Name another place.")
        if self.output is not None:
            require_table(self.output, "--output")
            refuse_foreign("table of results", self.output, flag="--output", overwrite=overwrite)
        if self.report is not None:
            if self.report.suffix.lower() not in PAGES:
                raise UsageError(
                    f"--report {self.report} does not end in {' or '.join(PAGES)}.",
                    hint=f"A report is a page for browsers: --report {self.report.with_suffix('.html')}",
                )
            refuse_foreign("report", self.report, flag="--report", overwrite=overwrite)

    def write(self, found: Identification, steps: Steps = no_steps) -> SortedPhotos | None:
        """Write those that are wanted.

        Returns:
            What was sorted, where that was asked for.

        Raises:
            OutputError: The system refuses one.
        """
        if self.output is not None:
            write_table(found, self.output)
        if self.report is not None:
            from facerec_cli.identify.report import write_report

            write_report(found, self.report)
        if self.copy_to is None:
            return None
        from facerec_cli.identify.sorting import sort_photos

        with steps("Sorting", "photos") as progress:
            return sort_photos(found, self.copy_to, link=self.link, progress=progress)


def refuse_paths(named: Mapping[str, tuple[str, Path]], inputs: Sequence[str | Path]) -> None:
    """Refuse outputs that cannot be written, are inputs, or are one place.

    Args:
        named: By the name of its setting the flag and the path of each; ``copy_to`` is a folder.
        inputs: Files and folders that are read.

    Raises:
        UsageError: With the flag.
        OutputError: A folder may not be written to.
    """
    from facerec_cli.gallery.kinds import refuse_inside_gallery  # which imports NumPy

    read = {os.path.realpath(path) for path in inputs}
    written: dict[str, str] = {}
    for name, (flag, path) in named.items():
        refuse_inside_gallery(path, flag)
        place = os.path.realpath(path)
        if place in read:
            raise UsageError(f"{flag} {path} would overwrite an input.", hint="Name another place.")
        if place in written:
            raise UsageError(f"{written[place]} and {flag} both write {path}.", hint="Name two places.")
        written[place] = flag
        if name == "copy_to" and path.exists() and not path.is_dir():
            raise UsageError(f"{flag} {path} is a file.", hint="Name a folder.")
        if name != "copy_to" and path.is_dir():
            raise UsageError(f"{flag} {path} is a folder.", hint="Name a file.")
        check_writable(flag, path, path if name == "copy_to" else path.parent)


def write_table(found: Identification, path: Path) -> None:
    """Write a row a face; the file is there whole or not at all.

    Raises:
        OutputError: It cannot be written.
        UsageError: Its suffix is unknown.
    """
    from facerec_cli.identify.result import COLUMNS

    texts, whole = ("path", "status", "decision", "person", "reason"), ("face", "rank")
    columns = {name: str if name in texts else int if name in whole else float for name in COLUMNS}
    about = {"gallery": found.gallery.source, "model": found.gallery.model.name}
    write_rows(path, found.rows(), columns, about=about)
