"""``gallery.toml``: what a gallery is bound to."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tomli_w

from facerec_cli.embeddings.table import ModelInfo
from facerec_cli.errors import InputError, ModelError, UsageError
from facerec_cli.gallery.person import plain
from facerec_cli.settings import Option, convert
from facerec_cli.untrusted import read_toml

SCHEMA = 1
TEMPLATE_RULE = "mean of unit vectors"
FILE = "gallery.toml"
SUFFIX = ".gallery"
_PLAIN = (str, int, float)  # what a file of embeddings may say of its settings, and TOML can
_BACKUP = "Put the gallery back from a copy."


@dataclass(frozen=True, slots=True)
class GalleryInfo:
    """What a gallery says of itself, and does not change.

    Attributes:
        schema: Of the files; those of a newer one are refused.
        model: Name of the model that its embeddings are of; "" where nobody knows.
        model_sha256: What identifies it.
        dimensions: D, how many numbers an embedding has.
        created: When it was made, UTC.
        crops: Whether the aligned crop of each face is kept.
        template: The rule by which a person's faces become one vector.
        settings: What decided the embeddings besides the model, as ``embed.EmbedOptions`` has it.
    """

    schema: Annotated[int, Option(ge=1)]
    model: str
    model_sha256: str
    dimensions: Annotated[int, Option(ge=1, le=65536)]
    created: str
    crops: bool = False
    template: str = TEMPLATE_RULE
    settings: Annotated[dict[str, Any], Option(others=True)] = field(default_factory=dict)

    @property
    def flip(self) -> bool:
        """Whether the embedding of the mirrored crop was added."""
        return bool(self.settings.get("flip", False))

    def model_info(self) -> ModelInfo:
        """The model, as other stored embeddings name theirs."""
        return ModelInfo(self.model, self.model_sha256)

    def require_model(self, model: ModelInfo, gallery: Path) -> None:
        """Refuse embeddings of another model.

        Raises:
            ModelError: They were made by another model, or one of both is not known.
        """
        if model.sha256 == self.model_sha256:
            return
        own, named = (
            f"{name!r} ({sha256[:12] or 'unknown'})"
            for name, sha256 in ((self.model, self.model_sha256), (model.name, model.sha256))
        )
        raise ModelError(
            f"The gallery {gallery} has embeddings of {own}, which cannot be compared with those of {named}.",
            hint=f"Leave --model out, or embed the gallery's photos anew: facerec gallery upgrade {gallery} "
            f"--model {model.name or 'NAME'}",
        )


def gallery_path(name: str | Path) -> Path:
    """The folder of a gallery: ``NAME`` and ``NAME.gallery`` are one.

    Raises:
        UsageError: It is no name.
    """
    path = Path(name)
    if not path.name or path.name == "..":
        raise UsageError(f"{str(name)!r} is no name of a gallery.", hint="Name it as a folder: staff")
    if path.suffix == SUFFIX or (path / FILE).is_file():
        return path
    return path.with_name(path.name + SUFFIX)


def new_info(
    model: ModelInfo, dimensions: int, settings: Mapping[str, Any], *, crops: bool = False
) -> GalleryInfo:
    """What a gallery that is made now says of itself."""
    known = {plain(key): _plain(value) for key, value in settings.items() if isinstance(value, _PLAIN)}
    return GalleryInfo(
        SCHEMA, plain(model.name), plain(model.sha256), dimensions, now(), crops, TEMPLATE_RULE, known
    )


def _plain(value: Any) -> Any:
    return plain(value) if isinstance(value, str) else value


def info_toml(info: GalleryInfo) -> bytes:
    """The file's content."""
    document = {
        "schema": info.schema,
        "model": info.model,
        "model_sha256": info.model_sha256,
        "dimensions": info.dimensions,
        "created": info.created,
        "crops": info.crops,
        "template": info.template,
        "settings": dict(info.settings),
    }
    return tomli_w.dumps(document).encode()


def read_info(folder: Path) -> GalleryInfo:
    """Read ``gallery.toml``.

    Raises:
        InputError: The folder is not there, is no gallery, is one of a newer facerec, or the file is damaged.
    """
    path = folder / FILE
    if not path.is_file():
        raise InputError(
            f"There is no gallery {folder}." if not folder.exists() else f"{folder} is no gallery.",
            hint=f"It has no {FILE}. Make one: facerec gallery enroll {folder.name.removesuffix(SUFFIX)} "
            "PHOTOS",
        )
    tables = read_toml(path, advice=_BACKUP)
    schema = tables.get("schema")
    if isinstance(schema, int) and schema > SCHEMA:
        raise InputError(
            f"{folder} was made by a newer facerec (its schema is {schema}, this one knows {SCHEMA}).",
            hint="Update facerec: pip install -U facerec-cli. Nothing was changed.",
        )
    settings = tables.pop("settings", {})
    info = convert(tables, GalleryInfo, source=str(path), advice=_BACKUP, given={"settings": settings})
    if not isinstance(settings, dict):
        raise InputError(f"{path}: settings is not a table.", hint=_BACKUP)
    if info.template != TEMPLATE_RULE:
        raise InputError(f"{path} has a template rule that is not known: {info.template!r}.", hint=_BACKUP)
    return info


def now() -> str:
    """The time, UTC, to the second, as it is stored."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
