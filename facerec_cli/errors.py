"""The one error family of the project, and the exit code that each kind gives the shell.

::

    FacerecError          1   what went wrong is the user's to mend; raised only as one of its kinds
    ├── UsageError        2   flags that do not fit together (the same code as a misspelt flag)
    ├── InputError        3   a photo, list, table, data set or recipe that cannot be used
    ├── ModelError        4   a pack, ONNX file, checkpoint or execution provider that cannot be used
    ├── PartialFailure    5   the work was done, but not for every input
    ├── MissingExtraError 6   an optional dependency is not installed
    ├── TrainingError     7   a run that cannot go on (loss not finite, out of memory)
    ├── OutputError       8   an output that cannot be written: no space, no permission, no such place
    └── ResourceError     9   what the work needs is not there: memory, a cluster, a store on the network

0 is success, 130 is an interrupted run (Ctrl-C or SIGTERM) that can be resumed, 70 is a fault of ours.

Every message says what happened and, after a full stop or in ``hint``, what to do about it. Library code
raises these and never prints; ``facerec_cli.cli.console`` is the only place that catches them.
"""

from __future__ import annotations

EXIT_INTERRUPTED = 130
EXIT_BUG = 70


class FacerecError(Exception):
    """Base of every fault that a user can mend; what is raised is always one of its kinds.

    Args:
        message: What happened, naming the file, flag or value.
        hint: What to do about it; empty where the message already says so.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()


class UsageError(FacerecError):
    """Flags or arguments that do not fit together."""

    exit_code = 2


class InputError(FacerecError):
    """A photo, list, table, data set or recipe that cannot be used."""

    exit_code = 3


class ModelError(FacerecError):
    """A pack, ONNX file, checkpoint or execution provider that cannot be used."""

    exit_code = 4


class PartialFailure(FacerecError):  # noqa: N818 - an outcome, not an error of the program
    """The work was done and its results are written, but some inputs failed."""

    exit_code = 5


class MissingExtraError(FacerecError):
    """An optional dependency is not installed.

    Args:
        package: The import that failed, e.g. ``pyarrow``.
        extra: The extra of this project that brings it, e.g. ``parquet``.
        purpose: What it is needed for, e.g. ``writing .parquet``.
    """

    exit_code = 6

    def __init__(self, package: str, *, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs {package}, which is not installed.",
            hint=f"Run: pip install 'facerec-cli[{extra}]'",
        )


class TrainingError(FacerecError):
    """A training run that cannot go on."""

    exit_code = 7


class OutputError(FacerecError):
    """An output that cannot be written: no space is left, it is not permitted, or its place is not there."""

    exit_code = 8


class ResourceError(FacerecError):
    """What the work needs beside its inputs is not there: memory, threads, a cluster, a store on the network.

    The same command may succeed at another time or on another machine.
    """

    exit_code = 9


def of_code(exit_code: int, message: str, *, hint: str = "") -> FacerecError:
    """The error of the kind that ends with ``exit_code``, as another process has told of it."""
    kinds = {kind.exit_code: kind for kind in FacerecError.__subclasses__()}
    kind = kinds[exit_code]
    error = kind.__new__(kind)
    FacerecError.__init__(error, message, hint=hint)  # not a kind's own, which may take other arguments
    return error


def was_interrupt(fault: BaseException) -> bool:
    """Whether an interrupt is what began ``fault``: libraries turn the one that meets them into their own."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [fault]
    while waiting:
        one = waiting.pop()
        if isinstance(one, KeyboardInterrupt):
            return True
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            waiting += [one.__cause__, one.__context__]
    return False
