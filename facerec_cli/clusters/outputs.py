"""The files that groups leave: a table, photos sorted by person, and face regions beside the photos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from facerec_cli.embeddings.result_table import require_table, write_rows
from facerec_cli.faces.settings import RESULTS
from facerec_cli.identify.outputs import Link, TableOutput, refuse_lone_link, refuse_paths
from facerec_cli.option import Option
from facerec_cli.outputs import named_paths, refuse_foreign
from facerec_cli.settings import check
from facerec_cli.verify.settings import Steps, no_steps

if TYPE_CHECKING:
    from facerec_cli.clusters.clustering import Clustering
    from facerec_cli.clusters.settings import ClusterSettings
    from facerec_cli.gallery.sidecars import Sidecar
    from facerec_cli.identify.sorting import SortedPhotos


@dataclass(frozen=True, slots=True)
class ClusterOutputs:
    """Where to, each only where it is named.

    Raises:
        UsageError: A value is no choice, or is for an output that is not asked for.
    """

    output: TableOutput = None
    report: Annotated[
        Path | None,
        Option("Write one HTML page to review the groups on, which works offline.", panel=RESULTS),
    ] = None
    copy_to: Annotated[
        Path | None, Option("Sort the photos into this folder, a folder a group.", panel=RESULTS)
    ] = None
    link: Link = "none"
    regions: Annotated[
        bool,
        Option(
            "Write face regions of named groups for photo managers, into .xmp files beside the photos.",
            panel=RESULTS,
        ),
    ] = False

    def __post_init__(self) -> None:
        check(self)
        refuse_lone_link(self.link, self.copy_to)

    def named(self) -> dict[str, tuple[str, Path]]:
        """The paths that are wanted, by field: flag and path."""
        return named_paths(self, besides=("link", "regions"))

    def refuse_faults(
        self, inputs: Sequence[str | Path], settings: ClusterSettings, *, overwrite: bool
    ) -> None:
        """Refuse what cannot be written, or would replace what it should not, before any work is done.

        Args:
            inputs: Files that the run reads.
            settings: How faces are grouped.
            overwrite: Replace files that are not of facerec, and a table that somebody has worked on.

        Raises:
            UsageError: With the flag.
            InputError: The decisions that are to be carried out cannot be read.
            OutputError: A folder may not be written to.
            MissingExtraError: ``.parquet`` without pyarrow.
        """
        refuse_paths(self.named(), inputs)
        if self.output is not None:
            require_table(self.output, "--output")
            refuse_foreign("table of groups", self.output, flag="--output", overwrite=overwrite)
            if not overwrite:
                from facerec_cli.clusters.replacing import refuse_reviewed

                refuse_reviewed(self.output, settings, flag="--output")
        if self.report is not None:
            refuse_foreign("report", self.report, flag="--report", overwrite=overwrite)

    def write(
        self,
        found: Clustering,
        steps: Steps = no_steps,
        *,
        apply: str = "facerec cluster PHOTOS -o clusters.csv --apply FILE",
        update: Path | None = None,
    ) -> tuple[SortedPhotos | None, tuple[Sidecar, ...]]:
        """Write those that are wanted.

        Args:
            found: The groups.
            steps: Watches the work.
            apply: The command that carries out decisions about them, with FILE for their file.
            update: The earlier result that the groups go on from.

        Returns:
            What was sorted, where that was asked for, and what became of the sidecars.

        Raises:
            OutputError: The system refuses one.
        """
        if self.output is not None:
            self._write_table(found, self.output, update)
        copied: SortedPhotos | None = None
        written: tuple[Sidecar, ...] = ()
        if self.copy_to is not None:
            from facerec_cli.clusters.copying import copy_groups

            with steps("Sorting", "photos") as progress:
                copied = copy_groups(found, self.copy_to, link=self.link, progress=progress)
        if self.regions:
            from facerec_cli.clusters.copying import write_regions

            with steps("Writing face regions", "photos") as progress:
                written = write_regions(found, progress)
        if self.report is not None:
            self._write_report(found, self.report, apply, steps)
        if found.decisions is not None and self.output is None and self.copy_to is not None:
            from facerec_cli.review.log import write_log

            write_log(found.decisions, self.copy_to)
        return copied, written

    @staticmethod
    def _write_table(found: Clustering, path: Path, update: Path | None) -> None:
        """The table, and beside it the log of what was decided; of a table that was replaced none is left."""
        from facerec_cli.clusters.clustering import COLUMNS
        from facerec_cli.clusters.replacing import goes_on, hash_of
        from facerec_cli.review.log import log_of, write_log

        about = {"threshold": found.threshold.document(), "model": found.faces.model.name}
        write_rows(path, found.rows(), COLUMNS, about=about, what="table of groups")
        same = goes_on(path, update)
        if found.decisions is not None:
            write_log(found.decisions, path, made=None if same else hash_of(path))
        elif not same:
            log_of(path).unlink(missing_ok=True)

    @staticmethod
    def _write_report(found: Clustering, path: Path, apply: str, steps: Steps) -> None:
        """The page of the groups before decisions, which are on it, so that a person can go on from there."""
        from facerec_cli.clusters.pages import review_page
        from facerec_cli.review.page import write_page

        page = review_page(found.undecided or found, apply=apply, decisions=found.decisions)
        with steps("Writing the review page", "faces") as progress:
            write_page(page, path, progress=progress)
