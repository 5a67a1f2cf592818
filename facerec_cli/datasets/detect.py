"""Which format a data set has, by its name and content."""

from __future__ import annotations

from pathlib import Path

from facerec_cli.errors import InputError


def detect(spec: str) -> str:
    """Key of ``registry.DATASETS`` for what ``spec`` names; see ``datasets.detect_format``."""
    if spec.startswith("synthetic:"):
        return "synthetic"
    if "://" in spec:
        return "stream"
    if spec.endswith(".tar") or (".tar" in spec and any(sign in spec for sign in "{*?")):
        return "tar"
    path = Path(spec)
    if not path.exists():
        raise InputError(
            f"There is no data set at {spec}.",
            hint="Give a folder with a folder per person, a .rec, a list file, tar shards, "
            "or synthetic:CLASSES.",
        )
    if path.is_file():
        return "rec" if path.suffix in (".rec", ".idx") else "list"
    if any(path.glob("*.rec")):
        return "rec"
    return "tar" if any(path.glob("*.tar")) else "folder"
