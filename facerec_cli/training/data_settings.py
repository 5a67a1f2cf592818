"""The table ``[data]`` of a recipe, and the headings under which ``facerec train --help`` shows settings."""

# Without `from __future__ import annotations`: types as texts would be evaluated anew in each run of facerec.

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from facerec_cli.errors import UsageError
from facerec_cli.settings import Option, filled

COMMON, NETWORK, LEARNING, MACHINE, RUNNING = "Common", "Network", "Learning", "Machine", "Running"


def key_only(help: str, **declared: Any) -> Option:
    """A setting without a flag of its own; ``--set`` gives it."""
    return Option(help, flag="", **declared)


_Share = Annotated[float, key_only("Part of the photos that it is applied to.", ge=0, le=1)]


@dataclass(frozen=True, slots=True)
class DataSettings:
    """What to train on. Probabilities are per photo; see ``docs/data.md`` for the augmentations."""

    path: Annotated[
        tuple[str, ...],
        Option(
            "Photos: a folder per person, .rec, list, tar shards, synthetic:CLASSES; one flag a data set.",
            flag="--data",
            panel=COMMON,
            rule=filled,
        ),
    ] = ()
    labels: Annotated[
        tuple[Literal["separate", "shared"], ...],
        Option(
            "Whether people of one name in several data sets are the same: {choices}, for all or one a set.",
            flag="--data-labels",
            panel=NETWORK,
        ),
    ] = ("separate",)
    weights: Annotated[
        tuple[float, ...],
        Option(
            "How often a photo of each data set is shown against the others; one flag a set.",
            flag="--data-weight",
            panel=NETWORK,
        ),
    ] = ()
    hard: Annotated[
        tuple[str, ...],
        Option(
            "Photos of a hard group (ddl); one flag a group.", flag="--hard-data", panel=NETWORK, rule=filled
        ),
    ] = ()
    degradations: Annotated[tuple[str, ...], key_only("What makes photos hard.")] = ("lowres",)
    versions: Annotated[tuple[str, ...], key_only("The same photos made hard before they were cut.")] = ()
    identity_share: Annotated[
        float, key_only("Part of a batch that is of people with several.", ge=0, le=1)
    ] = 0.5
    photos_per_identity: Annotated[int, key_only("Photos of each of those people.", ge=1)] = 4
    singles: Annotated[float, key_only("Part of a branch's rows without a pair (ddl).", ge=0, le=1)] = 1 / 3
    degraded: Annotated[float | None, key_only("Part of the photos that is made hard.", ge=0, le=1)] = None
    flip: _Share = 0.5
    crop: _Share = 0.0
    lowres: _Share = 0.0
    photometric: _Share = 0.0
    occlusion: _Share = 0.0
    gray: _Share = 0.0
    workers: Annotated[
        int | None, Option("Processes that decode photos.", flag="--workers", panel=MACHINE, ge=0)
    ] = None
    in_memory: Annotated[bool, key_only("Keep decoded photos, in each worker (small sets).")] = False
    max_broken: Annotated[float, key_only("Part of the photos that may be unreadable.", ge=0)] = 0.01

    @property
    def name(self) -> str:
        """The data sets as one text, as they were named."""
        return " + ".join(self.path)

    def require_path(self) -> None:
        """Refuse a run without data.

        Raises:
            UsageError: No data set is named.
        """
        if not any(self.path):
            raise UsageError(
                "There is nothing to train on.", hint="Give --data FOLDER (or a .rec, a list, tar shards)."
            )
