"""What the user brings: models, folders, and variables of the environment."""

from __future__ import annotations

import contextlib
import shlex
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from facerec_cli.doctor.finding import Finding
from facerec_cli.files import dangling
from facerec_cli.home import home
from facerec_cli.privacy import SWITCHES, device_id, reporting

_VARIABLES = (
    "FACEREC_HOME", "FACEREC_MIRROR", "FACEREC_OFFLINE", "INSIGHTFACE_HOME", "OMP_NUM_THREADS",
    "CUDA_VISIBLE_DEVICES", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "NO_COLOR",
)  # fmt: skip
_MEND_MODEL = {
    "registered": "facerec models remove {}",
    "embedded": "pip install --force-reinstall facerec-cli",
}


def models(*, run: bool = True) -> Iterator[Finding]:
    """Every model.

    Args:
        run: Whether to run them; a broken ONNX Runtime would only be told of again for each.
    """
    from facerec_cli.store.check import check

    for pack in check(run=run):
        subject = f"model {pack.name}"
        if pack.status == "broken":
            message, _, mend = pack.detail.partition("Get it again: ")
            mend = mend or _MEND_MODEL.get(pack.origin, "").format(pack.name)
            yield Finding(subject, "broken", message.strip(), mend)
        elif pack.status == "differs":
            yield Finding(subject, "note", pack.detail)
        else:
            yield Finding(subject, "ok", f"{pack.origin}, identity {pack.pack_hash[:12]}")


def hidden_models() -> Iterator[Finding]:
    """Packs that another user of the same folder has kept to himself."""
    from facerec_cli.packs.folders import hidden_packs, open_to_all

    for place, owner in hidden_packs().items():
        detail = f"you may not read {place}, which belongs to {owner}: its models are missing here"
        yield Finding("models", "broken", detail, f"as {owner}: {open_to_all(place)}")


def folders() -> Iterator[Finding]:
    """Whether packs, caches and licenses can be written, and what interrupted programs left."""
    place = home()
    try:
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=place) as stream:
            stream.write(b"x")
    except OSError as fault:
        yield _unwritable(fault)
        return
    yield Finding("home", "ok", f"{place}, {shutil.disk_usage(place).free / 1e9:,.1f} GB free")
    parts = sorted((place / "downloads").glob("*.part"))
    if parts:
        size = sum(path.stat().st_size for path in parts)
        detail = f"{len(parts)} unfinished, {size / 1e6:,.1f} MB; `facerec models pull` goes on with them"
        yield Finding("downloads", "note", detail)
    yield from _cached_embeddings()


def _unwritable(fault: OSError) -> Finding:
    from facerec_cli.packs.folders import readable, user_packs

    place = home()
    if link := dangling(place):
        return Finding("home", "broken", link, "Make that folder, or set FACEREC_HOME to another one")
    if place.is_dir() and readable(user_packs()):
        detail = f"{place} may be read but not written: its models can be used, none added"
        return Finding("home", "note", detail, "To add models, set FACEREC_HOME to a folder of your own")
    detail = f"{place} cannot be written: {fault.strerror}"
    return Finding("home", "broken", detail, "Set FACEREC_HOME to a folder that you may write to")


def _cached_embeddings() -> Iterator[Finding]:
    """Where embeddings of earlier verifications lie: biometric data that somebody may want to delete."""
    from facerec_cli.embeddings.cache import cache_path

    place = cache_path()
    with contextlib.suppress(OSError):  # none is kept
        size = place.stat().st_size
        yield Finding("cache", "ok", f"{place}, {size / 1e6:,.1f} MB of embeddings; it may be deleted")


def telemetry(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Whether anything here reports to others, which happens only where the user has asked for it."""
    on = reporting(environment)
    for switch in on:
        detail = f"{switch.variable}={environment[switch.variable]} is set here: {switch.otherwise}"
        yield Finding("telemetry", "note", detail, f"unset {switch.variable}")
    if not on:
        settings = ", ".join(f"{switch.variable}={environment.get(switch.variable)}" for switch in SWITCHES)
        yield Finding("telemetry", "ok", f"off ({settings})")
    if left := device_id(environment):
        detail = f"{left} was written by an ONNX Runtime whose telemetry was on"
        yield Finding("device id", "note", detail, f"rm -r {shlex.quote(str(left.parent))}")


def variables(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Variables that change what facerec does; the password in a proxy's address is not shown."""
    for name, value in sorted(environment.items()):
        if name.upper() in _VARIABLES and value:
            netloc = urlsplit(value).netloc
            shown = value.replace(netloc, f"***@{netloc.rpartition('@')[2]}") if "@" in netloc else value
            yield Finding(name, "ok", shown)
