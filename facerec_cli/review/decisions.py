"""What a person has decided about groups of faces, as the file ``decisions.json`` that the page saves.

Decisions name faces and never groups, whose numbers are another thing tomorrow. A face that stands for its
group is any face of it. So a file can be applied again, to an earlier result or to a later one, and what is
so already stays as it is. The order of the decisions does not matter; those that contradict each other are
found when they are put together (:mod:`facerec_cli.review.regroup`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, Literal, cast, get_args

from facerec_cli.errors import InputError
from facerec_cli.files import write_file
from facerec_cli.gallery.person import person_name
from facerec_cli.review.face_key import KEY, same_key
from facerec_cli.untrusted import parse_json

FORMAT, VERSION = "facerec decisions", 1
MOST_BYTES = 1 << 27
Kind = Literal["junk", "split", "not_this_person", "merge", "same", "not_same", "name"]
KINDS: tuple[Kind, ...] = get_args(Kind)
PageKind = Literal["clusters", "gallery"]

_APART = ("split", "not_this_person")  # kinds that say whose group the faces leave
_LEAST = {"merge": 2, "same": 2, "not_same": 2}
_ONE = {"same": 2, "not_same": 2, "name": 1}  # kinds with exactly so many faces
_LONGEST = 8192  # signs of a path
_AGAIN = "Save the decisions again from the page."


@dataclass(frozen=True, slots=True)
class DecidedFace:
    """A face that a decision names: its photo, its number there from 0, and its key (``face_key.py``)."""

    path: str
    face: int
    key: str = ""

    def __str__(self) -> str:
        return f"{self.path} face {self.face}" if self.face else self.path


@dataclass(frozen=True, slots=True)
class Decision:
    """One thing that was decided.

    Attributes:
        kind: ``merge`` the groups of these faces, ``split`` these faces off as a group of their own, faces
            are ``not_this_person`` and each for itself, ``name`` the group of a face, ``junk`` faces that are
            to be in no group; ``same`` and ``not_same`` are answers about the groups of two faces.
        faces: The faces; of a group one stands for all.
        apart: Of ``split`` and ``not_this_person``: a face of the group that they leave.
        name: Of ``name``; empty takes a name away.
    """

    kind: Kind
    faces: tuple[DecidedFace, ...]
    apart: DecidedFace | None = None
    name: str = ""

    def named(self) -> Iterator[DecidedFace]:
        """All faces that it names."""
        yield from self.faces
        if self.apart is not None:
            yield self.apart

    def document(self) -> dict[str, Any]:
        """As it is in the file."""
        made: dict[str, Any] = {"kind": self.kind, "faces": [_face_document(face) for face in self.faces]}
        if self.apart is not None:
            made["from"] = _face_document(self.apart)
        if self.kind == "name":
            made["name"] = self.name
        return made


@dataclass(frozen=True, slots=True)
class Decisions:
    """All that was decided on one page.

    Attributes:
        items: The decisions.
        page: What the page was made of.
        source: What that is called, for messages.
        model: sha256 of the model, or its beginning; "" where nobody knows.
        saved: When, as the browser told it.
        path: The file; "" where it is none.
    """

    items: tuple[Decision, ...]
    page: PageKind = "clusters"
    source: str = ""
    model: str = ""
    saved: str = ""
    path: str = ""

    def __len__(self) -> int:
        return len(self.items)

    def faces(self) -> tuple[DecidedFace, ...]:
        """Every face that is named, once."""
        return tuple(dict.fromkeys(face for one in self.items for face in one.named()))

    def document(self) -> dict[str, Any]:
        """As it is in the file."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "page": self.page,
            "source": self.source,
            "model": self.model,
            "saved": self.saved,
            "decisions": [one.document() for one in self.items],
        }

    def write(self, path: Path) -> None:
        """Write the file, which appears at once.

        Raises:
            OutputError: It cannot be written.
        """
        text = json.dumps(self.document(), indent=1, ensure_ascii=True)
        write_file(path, f"{text}\n".encode(), what="file of decisions")

    def refuse_page(self, page: PageKind) -> None:
        """Refuse decisions about something else.

        Raises:
            InputError: They were made on another kind of page.
        """
        if self.page != page:
            about = {"clusters": "groups of photos", "gallery": "a gallery"}
            raise InputError(
                f"{self.path or 'The file'} has decisions about {about[self.page]}, not about {about[page]}.",
                hint="Give it to the command that the page names.",
            )

    def locate(
        self, paths: Sequence[str], numbers: Sequence[int], keys: Sequence[str], *, model: str = ""
    ) -> dict[DecidedFace, int]:
        """Where the faces are that are decided about.

        A face is found by its photo's path and its number; where the folder has another place now, by the
        photo's name. In both cases the key has to fit.

        Args:
            paths: F, the photo of each face that there is.
            numbers: F, the number of each face on its photo.
            keys: F, from :func:`face_keys`.
            model: sha256 of the model that made the vectors of the keys.

        Returns:
            Each face that is named -> 0 to F - 1.

        Raises:
            InputError: The decisions are about other photos, or another model's.
        """
        if model and self.model and not (model.startswith(self.model) or self.model.startswith(model)):
            raise InputError(
                f"{self.path or 'The file'} was decided with the model {self.model[:12]}, and this is "
                f"{model[:12]}, whose groups and keys are others.",
                hint="Give the model with which the page was made, or make the page again.",
            )
        wanted = self.faces()
        names = {PurePath(face.path).name for face in wanted}
        at: dict[tuple[str, int], list[int]] = {}
        by_name: dict[tuple[str, int], list[int]] = {}
        for index, place in enumerate(zip(paths, numbers, strict=True)):
            at.setdefault(place, []).append(index)
            if (name := PurePath(place[0]).name) in names:
                by_name.setdefault((name, place[1]), []).append(index)
        found: dict[DecidedFace, int] = {}
        missing: list[str] = []
        for face in wanted:
            here = at.get((face.path, face.face))
            fits = [one for one in here or () if same_key(face.key, keys[one])]
            if here is None:
                moved = by_name.get((PurePath(face.path).name, face.face), ())
                fits = [one for one in moved if face.key and same_key(face.key, keys[one])]
                fits = fits if len(fits) == 1 else []
            if fits:
                found[face] = fits[0]
            else:
                missing.append(f"{face} ({'another face is there' if here else 'not there'})")
        if missing:
            more = f" and {len(missing) - 3:,} more" if len(missing) > 3 else ""
            raise InputError(
                f"{self.path or 'The file'} is about other photos: of {len(wanted):,} faces that it names, "
                f"these are not here: {'; '.join(missing[:3])}{more}. Nothing was changed.",
                hint="Give the photos that the page was made of, or make the page again.",
            )
        return found


def read_decisions(path: Path) -> Decisions:
    """Read a file of decisions.

    Raises:
        InputError: It cannot be read, is none, or is of a newer facerec.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(MOST_BYTES + 1)
    except OSError as fault:
        raise InputError(
            f"{path} cannot be read: {fault.strerror or fault}.", hint="Give the file that the page saved."
        ) from fault
    return parse_decisions(data, str(path))


def parse_decisions(data: bytes, path: str) -> Decisions:
    """The decisions of a file's bytes; see :func:`read_decisions`."""
    if len(data) > MOST_BYTES:
        raise InputError(f"{path} has more than {MOST_BYTES:,} bytes.", hint=_AGAIN)
    try:
        document = parse_json(data)
    except ValueError as fault:
        raise InputError(f"{path} is no JSON: {fault}.", hint=_AGAIN) from fault
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise InputError(f"{path} is no file of decisions.", hint="Give the file that the review page saved.")
    if document.get("version") != VERSION:
        raise InputError(
            f"{path} has decisions of version {str(document.get('version'))[:20]}, and this facerec reads "
            f"version {VERSION}.",
            hint="Update facerec, or make the page again with this one.",
        )
    page, items = document.get("page"), document.get("decisions")
    if page not in get_args(PageKind) or not isinstance(items, list):
        raise InputError(f"{path} does not say what was decided, and about what.", hint=_AGAIN)
    try:
        made = tuple(_decision(at, item) for at, item in enumerate(items, start=1))
    except ValueError as fault:
        raise InputError(f"{path} cannot be used: {fault}.", hint=_AGAIN) from fault
    told = {key: str(document.get(key) or "")[:_LONGEST] for key in ("source", "model", "saved")}
    return Decisions(made, cast(PageKind, page), path=path, **told)


def _decision(at: int, item: Any) -> Decision:
    """One decision of a file.

    Raises:
        ValueError: With what is wrong with it.
    """
    where = f"decision {at:,}"
    if not isinstance(item, dict) or item.get("kind") not in KINDS or not isinstance(item.get("faces"), list):
        raise ValueError(f"{where} has no kind of {', '.join(KINDS)} with a list of faces")
    kind: Kind = item["kind"]
    faces = tuple(_face(where, one) for one in item["faces"])
    needed, exact = max(1, _LEAST.get(kind, 1)), _ONE.get(kind)
    if len(faces) < needed or (exact is not None and len(faces) != exact):
        raise ValueError(f"{where} ({kind}) names {len(faces)} faces")
    apart = None
    if kind in _APART:
        apart = _face(where, item.get("from"))
        if apart in faces:
            raise ValueError(f"{where} ({kind}) takes {apart} away from itself")
    name = item.get("name", "") if kind == "name" else ""
    if not isinstance(name, str):
        raise ValueError(f"{where} has a name that is no text")
    if name:
        try:
            name = person_name(name)
        except InputError as fault:
            raise ValueError(f"{where}: {fault.message.rstrip('.')}") from fault
    return Decision(kind, faces, apart, name)


def _face(where: str, item: Any) -> DecidedFace:
    if not isinstance(item, Mapping):
        raise ValueError(f"{where} names no face")
    path, face, key = item.get("path"), item.get("face"), item.get("key", "")
    if (
        not isinstance(path, str)
        or not 0 < len(path) <= _LONGEST
        or type(face) is not int
        or not 0 <= face < 1 << 31
        or not isinstance(key, str)
        or (key and not KEY.fullmatch(key))
    ):
        raise ValueError(f"{where} names a face without a path, a number or a key")
    return DecidedFace(path, face, key)


def _face_document(face: DecidedFace) -> dict[str, Any]:
    return {"path": face.path, "face": face.face, "key": face.key}
