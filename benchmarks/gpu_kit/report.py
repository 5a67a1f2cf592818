"""What every part of the GPU kit is given, and the rows that it writes as it goes.

A row is written the moment it is known, so that a part that is ended or that crashes keeps what it found. It
is a ``proof`` (a difference beside the most that it may be), a ``figure`` (a number with a unit), a fact
about the ``machine``, something ``left out`` (with the reason) or something that ``failed`` (with its error).
"""

from __future__ import annotations

import json
import math
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from facerec_cli.errors import FacerecError

Row = dict[str, Any]
_REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Kit:
    """What the parts are to do.

    Attributes:
        device: What is judged: ``cuda``, ``cuda:1``; ``cpu`` to try the kit itself.
        tiny: Sizes for a CPU, in seconds.
        folder: A folder of this run that is removed at its end.
        photos: Folder of photos for the ``.rec``; None makes some up.
        arcface_torch: ``recognition/arcface_torch`` of a checkout of insightface; None leaves the peer out.
        plant: Name of a proof whose device side is spoiled on purpose, or nothing.
    """

    device: str
    tiny: bool
    folder: Path
    photos: Path | None = None
    arcface_torch: Path | None = None
    plant: str = ""

    @property
    def on_gpu(self) -> bool:
        """Whether a GPU is judged."""
        return self.device.startswith("cuda")

    def size(self, full: Any, tiny: Any) -> Any:
        """A size of the kit: what a GPU gets, or what a CPU gets that only tries it."""
        return tiny if self.tiny else full

    def synchronize(self) -> None:
        """Wait until the device has done all that it was told."""
        if self.on_gpu:
            torch.cuda.synchronize()


class Report:
    """Writes one part's rows to a file, one JSON document a line, and to the terminal.

    Args:
        path: The file; it is appended to.
        seconds: How long the part may take.
    """

    def __init__(self, path: Path, seconds: float) -> None:
        self._path = path
        self._deadline = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds that are left to this part."""
        return self._deadline - time.monotonic()

    def proof(self, name: str, differences: Mapping[str, float], allowed: Mapping[str, float]) -> None:
        """Two ways to one result, compared.

        Args:
            name: What was computed.
            differences: How far apart each of its results is.
            allowed: The most that each may be; a key of it that begins the key of a difference is its own.
        """
        limits = {key: next(allowed[own] for own in allowed if key.startswith(own)) for key in differences}
        over = {key: value for key, value in differences.items() if not value <= limits[key]}  # so is NaN
        of_limit = {
            key: _finite(value / limits[key]) if limits[key] else value for key, value in differences.items()
        }
        worst = max(
            differences, key=lambda key: of_limit[key] if isinstance(of_limit[key], float) else math.inf
        )
        self._write(
            "proof",
            name,
            passed=not over,
            worst=worst,
            largest=_finite(differences[worst]),
            allowed=limits[worst],
            each={key: _finite(value) for key, value in differences.items()},
        )

    def figure(self, name: str, value: float, unit: str, peer: str = "") -> None:
        """A number that was measured; ``peer`` is the name of the row that it is compared with."""
        if not math.isfinite(value):
            raise ValueError(f"{name}: {value} is not a measurement.")
        self._write("figure", name, value=value, unit=unit, **({"peer": peer} if peer else {}))

    def machine(self, name: str, value: object) -> None:
        """A fact about the machine."""
        self._write("machine", name, value=value)

    def left_out(self, name: str, why: str) -> None:
        """Something that was not done, and why."""
        self._write("left out", name, why=why)

    def failed(self, name: str, error: str) -> None:
        """Something that could not be done."""
        self._write("failed", name, error=error)

    def has_time(self, name: str, seconds: float) -> bool:
        """Whether so many seconds are left; where not, ``name`` is noted as left out."""
        if self.left >= seconds:
            return True
        self.left_out(name, f"{max(self.left, 0):.0f} s were left, it takes about {seconds:.0f}")
        return False

    @contextmanager
    def attempt(self, name: str) -> Iterator[None]:
        """A piece of work whose failure is noted and ends nothing but itself."""
        try:
            yield
        except torch.OutOfMemoryError:
            self.left_out(name, "the GPU's memory is too small")
            torch.cuda.empty_cache()
        except Exception as fault:
            self.failed(name, told(fault))

    def _write(self, kind: str, name: str, **rest: object) -> None:
        row = {"kind": kind, "name": name, **rest}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, allow_nan=False) + "\n")
        print("  " + line(row), flush=True)


def line(row: Row) -> str:
    """A row as a line of the terminal."""
    kind, name = row["kind"], row["name"]
    if kind == "proof":
        word = "proved" if row["passed"] else "WRONG "
        return f"{word}   {name:44} {_short(row['largest'])} of {row['allowed']:.0e} allowed ({row['worst']})"
    if kind == "figure":
        against = f"   (beside {row['peer']})" if "peer" in row else ""
        return f"measured {name:44} {row['value']:12,.1f} {row['unit']}{against}"
    if kind == "machine":
        return f"machine  {name:44} {row['value']}"
    return f"left out {name}: {row['why']}" if kind == "left out" else f"FAILED   {name}: {row['error']}"


def told(fault: BaseException) -> str:
    """An error in one line: what it is, what it says, and where in this project it came up."""
    text = " ".join(str(fault).split())
    if isinstance(fault, FacerecError) and fault.hint:
        text += f" {fault.hint}"
    frames = [
        f for f in traceback.extract_tb(fault.__traceback__) if Path(f.filename).is_relative_to(_REPOSITORY)
    ]
    place = f" ({Path(frames[-1].filename).relative_to(_REPOSITORY)}:{frames[-1].lineno})" if frames else ""
    return f"{type(fault).__name__}: {text[:600]}{place}"


def _finite(value: float) -> float | str:
    """JSON knows no infinity and no NaN."""
    return value if math.isfinite(value) else str(value)


def _short(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.1e}"
