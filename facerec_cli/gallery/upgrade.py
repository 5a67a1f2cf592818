"""A gallery for another model: all faces embedded anew, in a new folder that takes the old one's place.

Vectors of two models cannot be compared, and are never mapped onto each other. People and faces keep their
numbers, names, notes and dates. The old gallery is whole until the new one is, and at every moment between
(see ``leftovers.py``); its files are overwritten when it goes. Thresholds that were measured with the old
model are dropped.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from facerec_cli.embeddings.table import ModelInfo
from facerec_cli.errors import UsageError
from facerec_cli.files import beside, make_folder, write_file, writing
from facerec_cli.gallery import erase, info
from facerec_cli.gallery.damage import find_damage
from facerec_cli.gallery.facts import FILE as FACTS
from facerec_cli.gallery.facts import let_go
from facerec_cli.gallery.folder import LOCK, GalleryFolder
from facerec_cli.gallery.gallery import Gallery, open_gallery
from facerec_cli.gallery.leftovers import erase_folder, move_in
from facerec_cli.gallery.person import GalleryFace
from facerec_cli.gallery.reembed import ReembeddedFace, reembed, why_gone
from facerec_cli.gallery.traces import foreign_paths
from facerec_cli.gallery.upgraded import LostFace, UpgradedGallery
from facerec_cli.gallery.vectors import SEGMENT
from facerec_cli.locks import exclusive
from facerec_cli.packs.manifest import ModelPack
from facerec_cli.packs.resolve import open_pack, pack_hash
from facerec_cli.verify.settings import Steps, no_steps
from facerec_cli.workshop import workshop

if TYPE_CHECKING:
    from facerec_cli.faces import FaceModel

_AT_ONCE = 1024  # faces that are written together


def upgrade_gallery(
    gallery: Gallery | str | Path,
    model: str | Path | ModelPack,
    *,
    drop_missing: bool = False,
    device: str = "auto",
    threads: int | None = None,
    steps: Steps = no_steps,
) -> UpgradedGallery:
    """Embed all faces of a gallery anew with another model; with the same one those that are damaged.

    Args:
        gallery: Its name, or opened for writing; where the upgrade was done it is closed: open it again.
        model: What to embed with.
        drop_missing: Faces whose photo is gone, without a crop, are dropped; else nothing is changed.
        device: Where the model runs.
        threads: CPU threads; None takes one for each core.
        steps: Watches the work.

    Raises:
        UsageError: The gallery was opened to read, has embeddings of this model of which none is damaged, or
            has files of others in its folder.
        ModelError: The model cannot be used.
        OutputError: There is no room for a second gallery. The old one is as it was.
    """
    if not isinstance(gallery, Gallery):
        with open_gallery(gallery, write=True) as opened:
            return upgrade_gallery(
                opened, model, drop_missing=drop_missing, device=device, threads=threads, steps=steps
            )
    from facerec_cli.faces import open_model

    old = gallery._open()
    foreign = foreign_paths(old)
    if foreign:  # the old folder is overwritten when it goes
        raise UsageError(
            f"{gallery.path} has files that facerec has not put there, such as {foreign[0]}.",
            hint="Move them out first: an upgrade erases the old folder.",
        )
    pack = model if isinstance(model, ModelPack) else open_pack(model)
    faces, names = gallery.faces(), {person.id: person.name for person in gallery.people()}
    same = pack_hash(pack) == gallery.info.model_sha256
    anew = _damaged(gallery, old, pack) if same else faces
    gone = [(face, reason) for face in anew if (reason := why_gone(gallery, face))]
    if gone and not drop_missing:
        return _refused(gallery, pack, names, gone)
    aligned = bool(gallery.info.settings.get("aligned", False))
    network = open_model(pack, device=device, threads=threads, detector=not aligned)
    with workshop(gallery.path) as place:
        made = place / gallery.path.name
        with steps("Embedding anew", "faces") as progress, writing(made):
            folder = _copy(old, made, ModelInfo(pack.name, network.hash), network)
            try:
                sources, lost = _fill(folder, gallery, anew, network, progress)
                if lost and not drop_missing:
                    return _refused(gallery, pack, names, lost)
                if same:
                    sources += Counter(vector=_keep(folder, gallery, {face.id for face in anew}))
                without = _drop(folder, [face for face, _ in lost])
                cards = 0 if same else folder.facts.one("SELECT count(*) FROM card")
                _settle(folder, keep_cards=same)
            finally:
                folder.close()
        _swap(gallery, made)
        erase_folder(beside(gallery.path, "old"))
    return UpgradedGallery(
        str(gallery.path),
        gallery.info.model,
        pack.name,
        True,
        len(faces) - len(lost),
        dict(sources),
        tuple(LostFace(face.id, names[face.person], face.path, reason) for face, reason in lost),
        tuple(names[person] for person in without),
        cards,
    )


def _damaged(gallery: Gallery, old: GalleryFolder, pack: ModelPack) -> tuple[GalleryFace, ...]:
    """The faces whose vectors are damaged, of a gallery that has embeddings of this model.

    Raises:
        UsageError: Nothing is damaged.
    """
    found, bad = find_damage(old)
    if not found:
        raise UsageError(
            f"{gallery.path} has embeddings of {pack.name} already, and none is damaged.",
            hint="Name another model.",
        )
    return tuple(face for face in gallery.faces() if face.row in bad)


def _refused(
    gallery: Gallery, pack: ModelPack, names: dict[int, str], lost: Sequence[tuple[GalleryFace, str]]
) -> UpgradedGallery:
    kept = Counter(face.person for face in gallery.faces()) - Counter(face.person for face, _ in lost)
    without = {names[face.person]: None for face, _ in lost if not kept[face.person]}
    told = tuple(LostFace(face.id, names[face.person], face.path, reason) for face, reason in lost)
    return UpgradedGallery(
        str(gallery.path), gallery.info.model, pack.name, False, 0, lost=told, without=tuple(without)
    )


def _copy(old: GalleryFolder, made: Path, model: ModelInfo, opened: FaceModel) -> GalleryFolder:
    """A gallery with the facts of the old one, and no vectors yet."""
    make_folder(made / "vectors")
    if old.info.crops:
        make_folder(made / "crops")
    old.facts.all("VACUUM INTO ?", (str(made / FACTS),))
    about = replace(old.info, model=model.name, model_sha256=model.sha256, dimensions=opened.embedding_size)
    write_file(made / info.FILE, info.info_toml(about))
    folder = GalleryFolder(made, write=True)
    for rows in (folder.faces, folder.templates):
        firsts = range(0, folder.facts.state(rows.kind), SEGMENT)
        rows.write(firsts, np.zeros((len(firsts), rows.dimensions), np.float32))  # which makes all files
    return folder


def _fill(
    folder: GalleryFolder, gallery: Gallery, faces: Sequence[GalleryFace], model: FaceModel, progress: Any
) -> tuple[Counter[str], list[tuple[GalleryFace, str]]]:
    """Write the vectors, crops and facts of all faces; gives where they came from, and those without any."""
    sources: Counter[str] = Counter()
    lost: list[tuple[GalleryFace, str]] = []
    waiting: list[ReembeddedFace] = []
    for one in reembed(gallery, faces, model, progress):
        if not one.source:
            lost.append((one.face, one.reason))
            continue
        sources[one.source] += 1
        waiting.append(one)
        if len(waiting) == _AT_ONCE:
            _write(folder, gallery, waiting)
            waiting.clear()
    if waiting:
        _write(folder, gallery, waiting)
    return sources, lost


def _write(folder: GalleryFolder, gallery: Gallery, made: Sequence[ReembeddedFace]) -> None:
    vectors = np.stack([one.vector for one in made if one.vector is not None])
    folder.faces.write([one.face.row for one in made], vectors)
    rows = []
    for one in made:
        crop = one.face.crop
        kept = gallery.crop(one.face)
        if one.crop:
            crop = crop or f"{one.face.row:09d}.png"
            write_file(folder.crops / crop, one.crop)
        elif kept is not None and kept.is_file():
            shutil.copyfile(kept, folder.crops / crop)
        else:
            crop = ""
        blobs = (
            None if part is None else np.array(part, "<f4").tobytes() for part in (one.box, one.landmarks)
        )
        rows.append((*blobs, one.score, one.norm, crop, one.face.id))
    with folder.facts.change() as base:
        base.executemany(
            "UPDATE face SET box = ?, landmarks = ?, score = ?, norm = ?, crop = ? WHERE id = ?", rows
        )


def _keep(folder: GalleryFolder, gallery: Gallery, anew: set[int]) -> int:
    """Take over the vectors and crops of all other faces, which are sound; gives how many."""
    faces = [face for face in gallery.faces() if face.id not in anew]
    for start in range(0, len(faces), _AT_ONCE):
        some = faces[start : start + _AT_ONCE]
        _write(
            folder,
            gallery,
            [
                ReembeddedFace(
                    face,
                    vector=vector,
                    norm=face.norm,
                    box=face.box,
                    landmarks=face.landmarks,
                    score=face.score,
                )
                for face, vector in zip(some, gallery.vectors(some), strict=True)
            ],
        )
    return len(faces)


def _drop(folder: GalleryFolder, lost: Sequence[GalleryFace]) -> list[int]:
    """Forget faces without a vector, and people who have no other; gives their numbers."""
    with folder.facts.change() as base:
        base.executemany("DELETE FROM face WHERE id = ?", [(face.id,) for face in lost])
        let_go(base, "faces", [face.row for face in lost])
        query = "SELECT id FROM person WHERE id NOT IN (SELECT person FROM face) ORDER BY id"
        without = [row[0] for row in base.execute(query).fetchall()]
        erase.forget_people(base, without)
    return without


def _settle(folder: GalleryFolder, *, keep_cards: bool) -> None:
    """Drop the thresholds, make all templates, and write the facts without what was deleted."""
    with folder.facts.change() as base:
        if not keep_cards:
            base.execute("DELETE FROM card")
        base.execute("UPDATE person SET stale = 1")
        base.execute("UPDATE state SET value = 1 WHERE key = 'vacuum'")
    erase.sweep(folder)


def _swap(gallery: Gallery, made: Path) -> None:
    """Move the old gallery out of its place, and the new one in.

    Both are locked meanwhile, but on Windows, where a folder with open files cannot be moved.
    """
    gallery._folder.close()
    with contextlib.ExitStack() as stack:
        if sys.platform == "win32":
            gallery.close()
        else:
            stack.enter_context(exclusive(made / LOCK))
        with writing(gallery.path):
            gallery.path.replace(beside(gallery.path, "old"))
            move_in(made, gallery.path)
        gallery.close()
