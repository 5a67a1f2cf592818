"""What was measured with a pack: documents of ``facerec verify --json`` in ``evaluations/`` of its folder."""

from __future__ import annotations

import json
import logging
from typing import Any

from facerec_cli.errors import ModelError
from facerec_cli.packs.foreign import inside
from facerec_cli.packs.manifest import ModelPack
from facerec_cli.packs.manifest_toml import EVALUATIONS
from facerec_cli.packs.resolve import pack_hash

log = logging.getLogger("facerec")


def read_evaluations(pack: ModelPack) -> list[tuple[str, dict[str, Any]]]:
    """The evaluations stored beside the pack, by file name.

    Unreadable ones, and those that were made with another model, are left out and named in the log.
    """
    found = []
    identity = pack_hash(pack)
    for path in sorted((pack.folder / EVALUATIONS).glob("*.json")):
        try:
            inside(pack.folder, path)
            document = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError, ModelError) as fault:
            log.warning("%s is left out: %s", path, fault)
            continue
        if not isinstance(document, dict):
            log.warning("%s is left out: it is not what `facerec verify --json` prints.", path)
            continue
        measured = (document.get("model") or {}).get("sha256")
        if measured and measured != identity:
            log.warning("%s is left out: it was measured with another model.", path)
            continue
        found.append((path.stem, document))
    return found
