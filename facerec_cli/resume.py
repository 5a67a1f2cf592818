"""Whether a job that was interrupted is the one that is asked for now, and in words by what they differ.

Each job that can be resumed stores a description of what it was asked: nested tables of plain values, as JSON
and TOML hold them. Whoever goes on with it compares that with a :class:`Fingerprint` of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from facerec_cli.errors import FacerecError, UsageError

_SHOWN = 6  # differences in a message


class Fingerprint:
    """Everything that decides the result of a job.

    Args:
        content: Nested tables of plain values.
        ignore: Dotted names of values and tables that may differ, such as ``run.out``: they do not change the
            result.
    """

    def __init__(self, content: Mapping[str, Any], *, ignore: Collection[str] = ()) -> None:
        self._content = content
        self._ignore = frozenset(ignore)

    def differences(self, before: Mapping[str, Any]) -> str:
        """In what an earlier description differs, as "flip was False and is True; ..."; empty for nothing.

        Args:
            before: The earlier description.
        """
        changes = list(self._changes(before, self._content, ""))
        more = len(changes) - _SHOWN
        return "; ".join(changes[:_SHOWN]) + (f"; and {more} more" if more > 0 else "")

    def require_same(
        self,
        before: Mapping[str, Any],
        refusal: str,
        *,
        hint: str,
        error: type[FacerecError] = UsageError,
    ) -> None:
        """Refuse to go on with another job.

        Args:
            before: What was asked then.
            refusal: What to say of it, as a sentence that goes on with the differences.
            hint: What to do.
            error: What is raised.

        Raises:
            FacerecError: Of that kind, with the differences.
        """
        differences = self.differences(before)
        if differences:
            raise error(f"{refusal}: {differences}.", hint=hint)

    def _changes(self, before: Mapping[str, Any], now: Mapping[str, Any], prefix: str) -> Iterator[str]:
        for key in sorted({*before, *now}):
            name = f"{prefix}{key}"
            old, new = before.get(key), now.get(key)
            if name in self._ignore or old == new:
                continue
            if isinstance(old, Mapping) and isinstance(new, Mapping):
                yield from self._changes(old, new, f"{name}.")
            else:
                yield f"{name} was {old} and is {new}"
