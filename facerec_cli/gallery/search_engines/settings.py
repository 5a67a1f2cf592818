"""What a search engine can be told; declared without what does the work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from facerec_cli.embed.settings import Address
from facerec_cli.errors import UsageError
from facerec_cli.faces.settings import MACHINE
from facerec_cli.option import Option
from facerec_cli.registry import SEARCH_ENGINES
from facerec_cli.settings import check

INDEX = "Index"
MAX_CANDIDATES = 1 << 16

EXACT_ENGINES = ("exact", "ray")  # give what a comparison with every person gives, to the last bit


@dataclass(frozen=True, slots=True)
class SearchEngineOptions:
    """Where people are searched for.

    Raises:
        UsageError: A value is out of range, or is for another engine.
    """

    engine: Annotated[
        str,
        Option(
            "exact: every person is compared; ray: the same on a Ray cluster; index: the gallery's index "
            "(`facerec gallery index`); lancedb: a LanceDB table.",
            panel=MACHINE,
            choices=SEARCH_ENGINES,
        ),
    ] = "exact"
    address: Address = None
    actors: Annotated[
        int | None,
        Option("Workers on the cluster (default: as many as fit).", panel=MACHINE, ge=1),
    ] = None
    table: Annotated[
        str | None,
        Option(
            "Folder or URI of LanceDB's tables, e.g. tables/ or s3://bucket/tables.",
            panel=MACHINE,
            metavar="FOLDER|URI",
        ),
    ] = None

    def __post_init__(self) -> None:
        check(self)
        if self.engine != "ray" and (self.address, self.actors) != (None, None):
            raise UsageError("--address and --actors are for --engine ray.")
        if (self.engine == "lancedb") != (self.table is not None):
            raise UsageError(
                "--engine lancedb and --table belong together.",
                hint="Give both: --engine lancedb --table FOLDER, or neither.",
            )

    def require_exact(self, purpose: str) -> None:
        """Refuse an engine that may miss people where error rates are made.

        A missed person is a false negative, and a hidden false positive makes a threshold too low.

        Args:
            purpose: What is done, as the sentence begins: "An evaluation", "A calibration".

        Raises:
            UsageError: The engine is not exact.
        """
        if self.engine not in EXACT_ENGINES:
            raise UsageError(
                f"{purpose} compares every person; --engine {self.engine} may miss some and hides false "
                "positives.",
                hint="Leave --engine out, or use --engine ray.",
            )


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """How a gallery's index is made and measured.

    Raises:
        UsageError: A value is out of range.
    """

    candidates: Annotated[
        int | None,
        Option(
            "Candidates that are compared exactly (default: as few as --recall takes).",
            panel=INDEX,
            ge=1,
            le=MAX_CANDIDATES,
        ),
    ] = None
    recall: Annotated[
        float,
        Option("Share of searches in which the first person must be found.", panel=INDEX, gt=0, le=1),
    ] = 0.999
    probes: Annotated[
        int, Option("People who are held out and searched for, to measure it.", panel=INDEX, ge=2, le=100_000)
    ] = 1000

    def __post_init__(self) -> None:
        check(self)
