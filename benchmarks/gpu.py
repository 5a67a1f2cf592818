"""Everything that only a GPU can answer, at once: is it right, and how fast is it? At most eight minutes.

    python benchmarks/gpu.py
    python benchmarks/gpu.py --arcface-torch CHECKOUT/recognition/arcface_torch --photos CROPS --json FILE
    python benchmarks/gpu.py --minutes 3                  # the most valuable parts only
    python benchmarks/gpu.py --parts losses networks
    python benchmarks/gpu.py --device cpu --tiny          # try the kit itself, without a GPU
    python benchmarks/gpu.py --parts losses --plant losses    # a wrong result on purpose: it must be found

Every part runs in a process of its own, so that a crash or a full memory ends that part alone. What it finds
is printed as it goes and written to one JSON document (``gpu.json``). ``docs/gpu.md`` says what each figure
means.

Exit codes: 0 all that was done is right; 1 a proof failed; 2 the GPU cannot be used; 3 no proof failed, but
something could not be done: see the lines that begin with FAILED or BROKEN.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gpu_kit.parts import PARTS, run_parts
from gpu_kit.report import Kit
from history import record

from facerec_cli._version import __version__
from facerec_cli.files import write_file

Document = dict[str, Any]


def main() -> None:
    """Parse, run, write, and end with the exit code."""
    wanted = arguments()
    if not wanted.device.startswith("cuda"):
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # or arcface_torch would take a GPU that is there
    names = [part.name for part in PARTS]
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="facerec-gpu-", ignore_cleanup_errors=True) as folder:
        kit = Kit(wanted.device, wanted.tiny, Path(folder), wanted.photos, wanted.arcface_torch, wanted.plant)
        chosen = [part for part in PARTS if part.name in {"machine", *(wanted.parts or names)}]
        document: Document = {
            "kit": 1,
            "when": datetime.now(UTC).isoformat(timespec="seconds"),
            "facerec": __version__,
            "settings": {
                "device": wanted.device,
                "tiny": wanted.tiny,
                "minutes": wanted.minutes,
                "parts": [part.name for part in chosen],
                "photos": "given" if wanted.photos else "made up",
                "arcface_torch": wanted.arcface_torch is not None,
                "plant": wanted.plant,
            },
            "parts": [],
        }
        interrupted = False
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # a part is ended with the kit
        try:
            for result in run_parts(chosen, kit, 60 * wanted.minutes, say):
                document["parts"].append(result)
                write(document, wanted.out, began)
        except KeyboardInterrupt:
            interrupted = True
            say("\nInterrupted; what was found so far is kept.")
    write(document, wanted.out, began)
    summarize(document, wanted.out)
    if wanted.json:
        keep(document, wanted.json)
    sys.exit(130 if interrupted else document["exit"])


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    names = [part.name for part in PARTS]
    parser.add_argument(
        "--device", default="cuda", help="cuda, cuda:1, or cpu to try the kit (default: cuda)"
    )
    parser.add_argument("--minutes", type=float, default=8.0, help="for all of it (default: 8)")
    parser.add_argument("--parts", nargs="+", choices=names, help="these only, and what the machine is")
    parser.add_argument(
        "--photos", type=Path, help="folder of square crops of faces, for the .rec and for embed"
    )
    parser.add_argument(
        "--arcface-torch", type=Path, help="recognition/arcface_torch of a checkout of insightface"
    )
    parser.add_argument("--tiny", action="store_true", help="tiny sizes, for a CPU")
    parser.add_argument(
        "--plant", choices=PLANTS, default="", help="spoil this proof, to see that it is noticed"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("gpu.json"), help="the JSON document (default: gpu.json)"
    )
    parser.add_argument("--json", type=Path, help="also append the figures to this history of benchmarks")
    wanted = parser.parse_args()
    if not re.fullmatch(r"cpu|cuda(:\d+)?", wanted.device):
        parser.error(f"--device {wanted.device} is none of cuda, cuda:1, cpu")
    if wanted.device == "cpu" and not wanted.tiny:
        parser.error("without a GPU only --tiny can be done in eight minutes")
    if not 0 < wanted.minutes < 10_000:
        parser.error(f"--minutes {wanted.minutes} is no length of time")
    if wanted.arcface_torch and not (wanted.arcface_torch / "partial_fc_v2.py").is_file():
        parser.error(f"{wanted.arcface_torch} is not recognition/arcface_torch of insightface")
    for path in (wanted.out, wanted.json):
        if path and not (path.parent.is_dir() and os.access(path.parent, os.W_OK)):
            parser.error(f"{path} cannot be written")
    return wanted


PLANTS = ("", "losses", "networks", "step", "runs", "packs", "resume", "compile")


def say(text: str) -> None:
    """Print at once."""
    print(text, flush=True)


def write(document: Document, path: Path, began: float) -> None:
    """Bring the document up to date and write it, so that a run that is killed leaves what it has."""
    rows = [(part["name"], row) for part in document["parts"] for row in part["rows"]]
    proofs = [(f"{part}: {row['name']}", row["passed"]) for part, row in rows if row["kind"] == "proof"]
    states = {part["name"]: part["state"] for part in document["parts"]}
    document["machine"] = {row["name"]: row["value"] for _, row in rows if row["kind"] == "machine"}
    document["proofs"] = {
        "passed": sum(passed for _, passed in proofs),
        "failed": [name for name, passed in proofs if not passed],
    }
    document["skipped"] = [name for name, state in states.items() if state == "skipped"]
    document["seconds"] = round(time.monotonic() - began, 1)
    document["exit"] = exit_code(states)
    write_file(path, (json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode())


def exit_code(states: dict[str, str]) -> int:
    """What the states of all parts come to; see the module's description."""
    if states.get("machine") == "broken":
        return 2
    return 1 if "failed" in states.values() else 3 if "broken" in states.values() else 0


def summarize(document: Document, path: Path) -> None:
    """The end of what is printed."""
    proofs = document["proofs"]
    passed, failed = proofs["passed"], len(proofs["failed"])
    say(f"\n{passed} proofs passed, {failed} failed, in {document['seconds']:.0f} s: {path}")
    for name in proofs["failed"]:
        say(f"  WRONG    {name}")
    for part in document["parts"]:
        if part["state"] in ("broken", "skipped"):
            say(f"  {part['state'].upper():8} {part['name']}: {part.get('error') or 'see the lines above'}")


def keep(document: Document, path: Path) -> None:
    """Append the figures to a history of benchmarks, where ``history.py`` draws them beside all others."""
    rows = []
    for part in document["parts"]:
        for row in part["rows"]:
            if row["kind"] == "figure":
                shown = {key: row[key] for key in ("value", "unit", "peer") if key in row}
                rows.append({"name": f"{part['name']}: {row['name']}", **shown})
    names = {row["name"] for row in rows}
    for row in rows:  # a peer stands in the same part, and may have been left out
        if "peer" in row:
            row["peer"] = f"{row['name'].partition(': ')[0]}: {row['peer']}"
            if row["peer"] not in names:
                del row["peer"]
    machine = document["machine"]
    about = {key: machine[key] for key in ("GPU", "CUDA", "driver_version") if key in machine}
    record("gpu", rows, about | {"tiny": document["settings"]["tiny"]}, path)


if __name__ == "__main__":
    main()
