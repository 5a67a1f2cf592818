"""The folder of a study: whose it is, and whether a call may go on in it.

``study.json`` says what is studied there. Runs are only kept if they belong to the same question, so a call
with other settings is refused as long as there are runs that it would throw away.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from facerec_cli._version import __version__
from facerec_cli.errors import UsageError
from facerec_cli.files import write_file, writing
from facerec_cli.outputs import refuse_existing
from facerec_cli.resume import Fingerprint
from facerec_cli.settings import to_tables
from facerec_cli.study.prepare import Materials
from facerec_cli.study.protocol import Protocol
from facerec_cli.study.run import TRACES, Job

MARKER = "study.json"
#: What only the comparison uses: it may change between two calls, and no run is lost by it.
_MAY_CHANGE = ("study.name", "study.seeds", "study.baseline", "test.far", "test.fars", "test.rounds")
_HINT = (
    "Give the same settings as before, or choose another --out; --crops shares the crops. To train an arm "
    "anew, delete its folders in {runs}."
)


def open_folder(protocol: Protocol, out: Path, *, resume: bool, dry_run: bool) -> None:
    """Check that a study may be written to ``out``, and make it; a dry run makes nothing.

    Raises:
        UsageError: It holds a study and ``resume`` is not given, one of other settings, or reports that no
            study wrote.
        OutputError: It cannot be written.
    """
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file.", hint="Choose another --out.")
    if (out / MARKER).is_file():
        if not resume:
            raise UsageError(
                f"{out} holds a study.", hint="Go on with it with --resume, or choose another --out."
            )
        _refuse_other_settings(protocol, out)
    else:  # a study writes these after its marker only
        reports = [out / name for name in ("results.json", "report.md", "report.html")]
        refuse_existing(reports, hint="Choose another --out.")
    if dry_run:
        return
    with writing(out, hint="Choose another --out."):
        out.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=out).close()


@contextmanager
def scratch(crops: Path) -> Iterator[tuple[Path, Path]]:
    """Folders for a dry run's files and crops, gone afterwards; what is in ``crops`` is there too."""
    with tempfile.TemporaryDirectory(prefix="facerec-study-") as name:
        own = Path(name) / "crops"
        for folder, _, files in os.walk(crops):
            target = own / Path(folder).relative_to(crops)
            target.mkdir(parents=True, exist_ok=True)
            for file in files:
                _share(Path(folder) / file, target / file)
        yield Path(name), own


def _share(source: Path, target: Path) -> None:
    """The same file under another name; whoever replaces one leaves the other as it is."""
    try:
        target.hardlink_to(source)
    except OSError:  # another disk, or a system without hard links
        shutil.copyfile(source, target)


def mark(protocol: Protocol, materials: Materials, out: Path) -> None:
    """Keep what is studied here; from now on the folder holds a study."""
    document = {**_document(protocol), "made from": _made_from(materials)}
    write_file(out / MARKER, json.dumps(document, indent=1).encode())


def refuse_other_materials(materials: Materials, jobs: Sequence[Job], out: Path) -> None:
    """Refuse to do runs anew that were made from other photos or weights, or by another version.

    Raises:
        UsageError: There are such runs.
    """
    stale = [job for job in jobs if job.is_of_another()]
    if not stale:
        return
    before = _read(out).get("made from") or {}
    now = _made_from(materials)
    others = [what for what in now if what != "facerec" and before.get(what) != now[what]]
    changed = [f"{what} are other ones" for what in others]
    if before.get("facerec", __version__) != __version__:
        changed.append(f"facerec was {before['facerec']} and is {__version__}")
    known = before and changed
    reason = "; ".join(changed) if known else "the photos, the first weights or facerec are others"
    names = ", ".join(job.folder.name for job in stale[:5]) + (", ..." if len(stale) > 5 else "")
    raise UsageError(
        f"--resume would throw away {len(stale)} of the runs in {out}, which was another study: {reason}.",
        hint=f"Affected: {names}. {_HINT.format(runs=out / 'runs')}",
    )


def _refuse_other_settings(protocol: Protocol, out: Path) -> None:
    begun = {path.parent.name.rpartition("-")[0] for name in TRACES for path in out.glob(f"runs/*/{name}")}
    before, now = _read(out), json.loads(json.dumps(_document(protocol)))
    if not begun or not before:
        return
    arms = begun & set(before.get("arms", {})) & set(now["arms"])
    for document in (before, now):
        document["arms"] = {arm: recipe for arm, recipe in document.get("arms", {}).items() if arm in arms}
    Fingerprint(now, ignore=(*_MAY_CHANGE, "made from")).require_same(
        before,
        f"--resume cannot go on, because the study in {out} was another one",
        hint=_HINT.format(runs=out / "runs"),
    )


def _document(protocol: Protocol) -> dict[str, Any]:
    return {**protocol.document(), "arms": {name: to_tables(arm) for name, arm in protocol.arms.items()}}


def _made_from(materials: Materials) -> dict[str, str]:
    return {
        "facerec": __version__,
        "the photos trained on": materials.train_hash,
        "the first weights": materials.first_hash,
        "the photos judged": materials.crops_hash,
    }


def _read(out: Path) -> dict[str, Any]:
    """What the marker says; nothing where it is damaged."""
    try:
        found = json.loads((out / MARKER).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return dict(found) if isinstance(found, Mapping) else {}
