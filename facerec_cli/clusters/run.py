"""``facerec cluster`` as a library: whose faces on these photos are of one person?"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facerec_cli.clusters.clustering import Clustering
from facerec_cli.clusters.decide import apply_decisions
from facerec_cli.clusters.earlier import EarlierGroups, find_earlier, nothing_earlier
from facerec_cli.clusters.grouping import Constraints, Pairs, group_faces, no_pairs
from facerec_cli.clusters.inputs import open_faces
from facerec_cli.clusters.known import KnownFaces, name_faces
from facerec_cli.clusters.links import Links, read_links
from facerec_cli.clusters.neighbors import NeighborSearch
from facerec_cli.clusters.settings import FALSE_LINKS, ClusterSettings
from facerec_cli.clusters.threshold import LinkThreshold, link_threshold
from facerec_cli.clusters.truth import measure
from facerec_cli.embed.settings import EmbedOptions
from facerec_cli.embeddings.table import EmbeddingTable
from facerec_cli.errors import FacerecError
from facerec_cli.gallery.enrolled import EnrolledPeople
from facerec_cli.gallery.kinds import is_embeddings
from facerec_cli.gallery.search_engines.engine import open_search_engine
from facerec_cli.gallery.search_engines.settings import SearchEngineOptions
from facerec_cli.identify.people import SearchedGallery, open_searched, require_pack
from facerec_cli.identify.settings import IdentifySettings
from facerec_cli.metrics.impostor_tail import tail_of
from facerec_cli.metrics.scores import Vectors
from facerec_cli.metrics.search import top_k
from facerec_cli.packs.resolve import open_pack, pack_hash
from facerec_cli.progress import Progress, silent
from facerec_cli.review.decisions import read_decisions
from facerec_cli.threshold import ImpostorTail
from facerec_cli.verify.settings import Steps, no_steps

log = logging.getLogger("facerec")


def cluster_faces(
    inputs: Sequence[str | Path],
    settings: ClusterSettings | None = None,
    options: EmbedOptions | None = None,
    *,
    engine: SearchEngineOptions | None = None,
    exclude: Sequence[Path] = (),
    steps: Steps = no_steps,
) -> Clustering:
    """Put the faces of photos together by person.

    Args:
        inputs: Photos, folders, lists, URLs, or embeddings; see ``inputs.open_faces``.
        settings: How.
        options: Which faces of a photo, and how they are embedded.
        engine: What finds neighbors; this process by default.
        exclude: Folders that no photo is taken from.
        steps: Watches the work.

    Raises:
        InputError: The inputs, links or an earlier result cannot be used, or there is no threshold.
        ModelError: Embeddings, gallery and model do not fit together.
        UsageError: Settings do not fit together.
    """
    settings = settings or ClusterSettings()
    engine = engine or SearchEngineOptions()
    engine.require_exact("A graph of neighbors")
    options = options or EmbedOptions()
    decisions = None if settings.apply is None else read_decisions(settings.apply)
    if decisions is not None:
        decisions.refuse_page("clusters")  # before the work
    gallery = None
    if settings.gallery is not None:
        gallery = open_searched(settings.gallery, _asked(settings), steps=steps)
        if not any(map(is_embeddings, inputs)):  # photos are embedded as the gallery's were
            made = gallery.people.settings
            settings = replace(settings, model=require_pack(gallery.people, _asked(settings)))
            aligned = options.aligned or bool(made.get("aligned", False))
            options = replace(options, flip=bool(made.get("flip", False)), aligned=aligned)
    faces = open_faces(inputs, settings, options, exclude=exclude, steps=steps)
    found = cluster_table(faces, settings, gallery=gallery, engine=engine, steps=steps)
    if decisions is not None:
        found = apply_decisions(found, decisions)
    if settings.truth is None:
        return found
    return replace(found, quality=measure(found.labels, faces, settings.truth, rounds=settings.bootstrap))


def cluster_table(
    faces: EmbeddingTable,
    settings: ClusterSettings | None = None,
    *,
    gallery: SearchedGallery | None = None,
    links: Links | None = None,
    engine: SearchEngineOptions | None = None,
    steps: Steps = no_steps,
) -> Clustering:
    """Put faces together whose vectors are there; see :func:`cluster_faces`.

    Args:
        faces: The faces.
        settings: How; its ``gallery`` is not opened, nothing of ``apply`` carried out, ``truth`` not read.
        gallery: People who are named first.
        links: What is known of pairs of faces, besides the file that ``settings`` names.
        engine: What finds neighbors.
        steps: Watches the work.
    """
    settings = settings or ClusterSettings()
    earlier = nothing_earlier(len(faces.vectors))
    if settings.update is not None:
        earlier = find_earlier(settings.update, faces)
    new = np.array([not status for status in earlier.status], bool)
    named = None
    if gallery is not None:
        named = name_faces(
            faces, gallery, _asked(settings), asked=new, same_photo=settings.same_photo, steps=steps
        )
    status = [
        earlier.status[face] or ("known" if named and named.names[face] else "") for face in range(len(new))
    ]
    grouped = np.flatnonzero([one not in ("known", "junk") for one in status])
    threshold = _threshold(faces, settings, len(grouped), named)
    given = _links(faces, settings, links)
    constraints = _constraints(faces, settings, grouped, earlier, given)
    with ExitStack() as stack:
        compared = _search_with(engine or SearchEngineOptions(), stack)
        found = group_faces(
            faces.vectors[grouped],
            threshold.value,
            constraints,
            neighbors=settings.neighbors,
            first_number=earlier.next_number,
            search=compared,
            work=settings.work,
            steps=steps,
        )
    labels, margins = earlier.labels.copy(), earlier.margins.copy()
    labels[grouped], margins[grouped] = found.labels, found.margins
    person = _name_groups(labels, grouped, earlier, named)
    if named is not None:
        _number_known(labels, named, earlier)
        margins = np.where(np.isfinite(named.margins), named.margins, margins)
    sizes = Counter(labels[grouped].tolist())
    for face in grouped.tolist():
        status[face] = "grouped" if sizes[int(labels[face])] > 1 else "single"
    return Clustering(
        faces=faces,
        labels=labels,
        status=tuple(status),
        person=person,
        margin=margins,
        threshold=threshold,
        known_from=named.threshold if named else None,
        kept=earlier.rest,
        provider=str(faces.description.get("provider", "")),
    )


def _asked(settings: ClusterSettings) -> IdentifySettings:
    """How a gallery is searched."""
    given = settings.gallery_threshold
    return IdentifySettings(
        model=settings.model,
        device=settings.device,
        threads=settings.threads,
        threshold=None if given is None else str(given),
        fpir=(settings.fpir,) if given is None else (),
    )


def _threshold(
    faces: EmbeddingTable, settings: ClusterSettings, count: int, named: KnownFaces | None
) -> LinkThreshold:
    tail = model_tail(faces, settings)
    if tail is None and named is not None:
        tail = named.threshold.tail
    found = link_threshold(
        count,
        threshold=settings.threshold,
        false_links=FALSE_LINKS if settings.false_links is None else settings.false_links,
        tail=tail,
        model=faces.model.name,
    )
    if found.source != "given" and not found.measured:
        log.warning("the threshold %.4f is extrapolated: the model's tail ends before it", found.value)
    return found


def model_tail(faces: EmbeddingTable, settings: ClusterSettings) -> ImpostorTail | None:
    """How high scores of two people come with the model of some faces; None where nobody knows."""
    pack = settings.model
    if not faces.model.sha256:
        return None
    if pack is None or isinstance(pack, str):
        with suppress(FacerecError):  # a model that is not here any more
            pack = open_pack(pack or faces.model.name)
    if pack is None or isinstance(pack, str) or pack_hash(pack) != faces.model.sha256:
        return None
    return tail_of(pack, flip=bool(faces.settings.get("flip", False)))


def _links(faces: EmbeddingTable, settings: ClusterSettings, links: Links | None) -> Links:
    must, cannot = links or Links(no_pairs(), no_pairs())
    if settings.links is not None:
        more = read_links(settings.links, faces)
        must, cannot = np.concatenate([must, more.must]), np.concatenate([cannot, more.cannot])
    return Links(must, cannot)


def _constraints(
    faces: EmbeddingTable,
    settings: ClusterSettings,
    grouped: NDArray[np.int64],
    earlier: EarlierGroups,
    links: Links,
) -> Constraints:
    """What is known of the faces that are grouped; links of others say nothing of them."""
    place = np.full(len(faces.vectors), -1, np.int64)
    place[grouped] = np.arange(len(grouped))

    def among(pairs: Pairs) -> Pairs:
        moved = place[pairs]
        return moved[(moved >= 0).all(axis=1)] if len(moved) else no_pairs()

    photos = None
    if faces.paths is not None and not settings.same_photo:
        photos = tuple(faces.paths[face] for face in grouped.tolist())
    return Constraints(
        photos=photos,
        numbers=faces.numbers[grouped],
        must_link=among(links.must),
        cannot_link=among(links.cannot),
        earlier=earlier.labels[grouped] if settings.update is not None else None,
    )


def _search_with(engine: SearchEngineOptions, stack: ExitStack) -> NeighborSearch:
    """What finds neighbors: an engine of the gallery's, for which every face is a person."""
    if engine.engine == "exact":
        return top_k
    compared = stack.enter_context(closing(open_search_engine(engine)))

    def search(
        vectors: Vectors, probes: Vectors, k: int, *, progress: Progress = silent
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        count = len(vectors)
        people = EnrolledPeople(
            "faces", tuple(map(str, range(count))), (vectors,), np.arange(count), np.ones(count, np.int64)
        )
        return compared.search(people, probes, k, progress=progress)

    return search


def _name_groups(
    labels: NDArray[np.int64], grouped: NDArray[np.int64], earlier: EarlierGroups, named: KnownFaces | None
) -> tuple[str, ...]:
    """F names: of the gallery, or those that groups had before."""
    person = list(earlier.person)
    for face in grouped.tolist():
        person[face] = earlier.named.get(int(labels[face]), person[face])
    if named is not None:
        person = [name or old for name, old in zip(named.names, person, strict=True)]
    return tuple(person)


def _number_known(labels: NDArray[np.int64], named: KnownFaces, earlier: EarlierGroups) -> None:
    """Give the faces of each known person one number, after those of the groups; old ones stay."""
    number = {name: label for label, name in earlier.named.items()}
    counts = Counter(filter(None, named.names))
    following = max(int(labels.max(initial=-1)) + 1, earlier.next_number)
    for name, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        if name not in number:
            number[name] = following
            following += 1
    for face, name in enumerate(named.names):
        if name:
            labels[face] = number[name]
