"""What a model looks like on the terminal and as JSON."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from facerec_cli.packs.manifest import ModelPack


def facts(pack: ModelPack, status: str) -> list[tuple[str, str]]:
    """The rows of `facerec models show`."""
    identity, agreed, agreed_by = _here(pack, status)
    encoder, detector, license = pack.encoder, pack.detector, pack.license
    width, height = encoder.input_size
    rows = [
        ("what it is", pack.description),
        ("where", status if status == "to pull" else f"{status}, {pack.folder}"),
        ("embedding", f"{encoder.embedding_size} numbers" + (", unit length" if encoder.normalized else "")),
        ("input", f"{width} x {height} {encoder.color.upper()}, template {encoder.template}"),
        ("scale", f"(pixel - {_triple(encoder.mean)}) / {_triple(encoder.std)}"),
        ("network", encoder.file),
        ("sha256", encoder.sha256 or "not published"),
        ("detector", f"{detector.kind}, {detector.file}" if detector else "the default model's"),
    ]
    rows += [("sha256", detector.sha256 or "not published")] if detector else []
    rows += [("identity", identity)] if identity else []
    threshold = pack.threshold
    rows += [
        (
            "threshold",
            f"{threshold.value:.4f} at FAR {threshold.far:g}, {threshold.data}"
            if threshold
            else "not measured here",
        ),
        ("weights", f"license {license.weights}"),
        ("code", f"license {license.code}"),
        ("trained on", pack.provenance.training_data),
        ("commercial", license.commercial_use),
    ]
    rows += [("agreed to", " by ".join(filter(None, (agreed, agreed_by))))] if agreed else []
    rows += [("terms", license.notice)] if license.notice else []
    rows += [("source", pack.provenance.source)]
    rows += [("address", url) for url in (*pack.urls, *(url for item in pack.downloads for url in item.urls))]
    rows += [("evidence", "docs/catalogue.md, or --json here")] if pack.evidence else []
    rows += [("paper", pack.provenance.paper)] if pack.provenance.paper else []
    return rows + [(key.replace("_", " "), value) for key, value in sorted(pack.training.items())]


def _here(pack: ModelPack, status: str) -> tuple[str, str, str]:
    """What this machine knows of a model: its hash, and when and by whom its terms were agreed to."""
    from facerec_cli.packs.resolve import pack_hash
    from facerec_cli.store.licenses import accepted_by, accepted_on

    agreed = accepted_on(pack)
    return "" if status == "to pull" else pack_hash(pack), agreed, accepted_by(pack) if agreed else ""


def _triple(values: tuple[float, float, float]) -> str:
    return f"{values[0]:g}" if len(set(values)) == 1 else "(" + ", ".join(f"{v:g}" for v in values) + ")"


def pack_document(pack: ModelPack, status: str) -> dict[str, Any]:
    """A model with its manifest, for ``--json``."""
    from facerec_cli.packs.manifest_toml import to_document

    identity, agreed, agreed_by = _here(pack, status)
    return {
        **to_document(pack),
        "status": status,
        "folder": None if status == "to pull" else str(pack.folder),
        "pack_hash": identity or None,
        "license_accepted": agreed or None,
        "license_accepted_by": agreed_by or None,
    }


def entry_row(entry: Any) -> tuple[str, ...]:
    """A line of the catalog: name, where it is, licenses of weights and code, data or what is wrong."""
    pack = entry.pack
    if pack is None:
        return entry.name, entry.status, "unknown", entry.detail or "unknown"
    data = re.split("[;:(]|, ", pack.provenance.training_data)[0].strip()  # what follows are its terms
    return entry.name, entry.status, f"{pack.license.weights} / {pack.license.code}", data


def entry_document(entry: Any) -> dict[str, Any]:
    """A line of the catalog, for ``--json``."""
    from facerec_cli.packs.manifest_toml import to_document

    return {
        "name": entry.name,
        "status": entry.status,
        "folder": str(entry.folder) if entry.folder else None,
        "commercial": entry.commercial,
        "detail": entry.detail,
        "manifest": to_document(entry.pack) if entry.pack else None,
    }
