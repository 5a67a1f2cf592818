"""The folder of one run, and what is to be run in it."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fuzz import seeds


@dataclass
class Case:
    """One command and what is known of its inputs.

    Attributes:
        argv: Arguments of ``facerec``; the first is ``@api`` for a call of the Python API.
        what: What was done to the inputs, for whoever reads the report.
        outputs: Patterns (``fnmatch``, relative to the working folder) of what the command may write.
        photos: Names given to the command, as its table writes them; each must have a row.
        table: The table that has the rows: CSV with a column ``path``, or TSV with ``photo``.
        suspects: Damaged files; an error must name one of them.
        whole: Nothing is damaged, so the exit code must be 0.
        counts: Key of the JSON document -> the number that it must hold, where the command succeeds.
        stdin: Bytes on standard input, as latin-1 text, so that they fit in JSON.
        registered: Names of packs that the command may add to the registry.
    """

    argv: list[str]
    what: str = ""
    outputs: list[str] = field(default_factory=list)
    photos: list[str] = field(default_factory=list)
    table: str = ""
    suspects: list[str] = field(default_factory=list)
    whole: bool = False
    counts: dict[str, int] = field(default_factory=dict)
    stdin: str = ""
    registered: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """What ``argv.json`` holds; names that are not UTF-8 become escapes of lone surrogates."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Case:
        """The case of an ``argv.json``, whatever else it holds."""
        known = {part.name for part in dataclasses.fields(cls)}
        return cls(**{key: value for key, value in document.items() if key in known})


class Sandbox:
    """The folders of one run.

    ``work/`` is the current folder and has the inputs; ``home/``, ``facerec/`` and ``tmp/`` are HOME,
    FACEREC_HOME (with the pack ``tiny``) and TMPDIR; ``beside/`` is a place that nothing may touch.
    """

    def __init__(self, root: Path, *, fill: bool = True) -> None:
        self.root = root
        self.work, self.home, self.registry, self.temporary, self.beside = (
            root / name for name in ("work", "home", "facerec", "tmp", "beside")
        )
        if fill:
            for folder in (self.work, self.home, self.registry, self.temporary, self.beside):
                folder.mkdir(parents=True)
            (self.beside / "kept.txt").write_text("nobody's business\n")
            for name, data in seeds.tiny_pack().items():
                self._put(self.registry / "packs" / "tiny" / name, data)

    def write(self, name: str, data: bytes | str) -> str:
        """Write an input below ``work/``; returns its name."""
        self._put(
            self.work / name, data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data
        )
        return name

    def read(self, name: str) -> bytes:
        """An input's bytes."""
        return (self.work / name).read_bytes()

    def environment(self) -> dict[str, str]:
        """What a command sees: its own folders, one thread, and no word of where the tests run."""
        kept = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE")
        own = {
            "HOME": str(self.home),
            "FACEREC_HOME": str(self.registry),
            "INSIGHTFACE_HOME": str(self.home / ".insightface"),
            "TMPDIR": str(self.temporary),
            "OMP_NUM_THREADS": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        return {name: os.environ[name] for name in kept if name in os.environ} | own

    def remove(self) -> None:
        """Delete it all, whatever a case did to the permissions."""
        for folder, folders, _ in os.walk(self.root):
            for name in folders:
                if not os.path.islink(place := os.path.join(folder, name)):  # noqa: PTH114, PTH118
                    os.chmod(place, 0o755)  # noqa: PTH101 - before os.walk goes down
        shutil.rmtree(self.root, ignore_errors=True)

    @staticmethod
    def _put(path: Path, data: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def write_argv(path: Path, case: Case, **more: Any) -> None:
    """Write ``argv.json``."""
    path.write_text(json.dumps(case.to_json() | more, indent=1))
