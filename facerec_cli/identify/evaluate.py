"""``facerec identify --evaluate`` as a library: how good a search is, on labeled photos or a protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import InputError, UsageError
from facerec_cli.gallery.kinds import gallery_folder, is_embeddings
from facerec_cli.identify.evaluation import ProtocolEvaluation, TrialEvaluation
from facerec_cli.identify.labeled_vectors import read_stored
from facerec_cli.identify.people import SearchedGallery
from facerec_cli.identify.settings import EVALUATED_FPIRS, IdentifySettings
from facerec_cli.identify.transfer import AppliedThreshold, apply_thresholds, gallery_of_trial
from facerec_cli.metrics.all_pairs import evaluate_against, evaluate_all_pairs
from facerec_cli.metrics.evaluate import Evaluation
from facerec_cli.metrics.identification import evaluate_identification, evaluate_leave_one_out
from facerec_cli.metrics.identification_figures import IdentificationEvaluation
from facerec_cli.metrics.lookalikes import alike_people
from facerec_cli.metrics.published_searches import Ijb2018Point, evaluate_ijb_2018
from facerec_cli.metrics.scores import Vectors
from facerec_cli.progress import Progress
from facerec_cli.protocols.protocol import SearchProtocol, SearchTrial
from facerec_cli.protocols.read import read_protocol
from facerec_cli.verify.photo_vectors import PhotoVectors, embeddings_are_kept, open_embeddings
from facerec_cli.verify.pooling import pool_templates
from facerec_cli.verify.settings import Steps, no_steps

MOST_COMPARED = 20_000
"""People up to whom each is compared with each other to find two who look like one."""

_ALIKE_TOLD = 200


def evaluate(
    inputs: Sequence[str | Path],
    settings: IdentifySettings | None = None,
    *,
    format: str | None = None,
    root: str | Path | None = None,
    steps: Steps = no_steps,
) -> ProtocolEvaluation:
    """Measure a model on a protocol, or on a gallery and probes of which is known who is on them.

    Args:
        inputs: A protocol; or a gallery and probes: lists of ``path,person``, folders of people, files of
            embeddings, the first also an enrolled gallery.
        settings: How.
        format: The protocol's format; recognized when None.
        root: Folder that the lists' paths start from.
        steps: Watches the work.

    Raises:
        InputError: The protocol, its photos or the embeddings cannot be used.
        ModelError: The model cannot be used, or is not the one that made the embeddings.
        UsageError: Inputs and settings that do not fit together.
    """
    settings = settings or IdentifySettings()
    if settings.mode == "investigate":
        raise UsageError("--evaluate measures claims and candidates alike.", hint="Leave --mode out.")
    searched = None
    if any(gallery_folder(name) or is_embeddings(name) for name in inputs):
        pool = None if settings.pool == "mean" else settings.pool
        given = {"--format": format, "--root": root, "--embeddings": settings.embeddings, "--pool": pool}
        for flag, value in given.items():
            if value is not None:
                raise UsageError(f"{flag} is for protocols and lists of photos.")
        protocol, embeddings, searched = read_stored(inputs, settings, steps)
    else:
        photos = settings.embeddings is None or root is not None  # a report shows those that are there
        protocol = read_protocol([Path(name) for name in inputs], format, root, images=photos)
        if settings.pool != "mean" and protocol.templates is None:
            raise UsageError("--pool is for protocols of templates, such as IJB's.", hint="Leave it out.")
        with steps("Embedding", "photos") as progress:
            embeddings = open_embeddings(protocol, settings.embedding(settings.photo_face), progress)
    with embeddings_are_kept(settings.embedding()):
        source = " and ".join(map(str, inputs))
        return measure(source, protocol, embeddings, settings, steps, searched=searched)


def measure(
    source: str,
    protocol: SearchProtocol,
    embeddings: PhotoVectors,
    settings: IdentifySettings,
    steps: Steps = no_steps,
    *,
    searched: SearchedGallery | None = None,
) -> ProtocolEvaluation:
    """Measure a protocol whose photos' vectors are there.

    ``searched`` is the gallery of its one trial, where it is more than these vectors: it may have a card.

    Raises:
        InputError: No search of a trial can be made.
    """
    vectors, failed = vectors_of_items(protocol, embeddings, settings.pool)
    if protocol.templates is not None:
        embeddings = replace(embeddings, settings={**embeddings.settings, "pool": settings.pool})
    refuse_empty(source, protocol, embeddings, failed)
    identity = protocol.identity
    trials = []
    for number, trial in enumerate(protocol.trials, 1):
        of = f", trial {number} of {len(protocol.trials)}" if len(protocol.trials) > 1 else ""
        with steps(f"Searching{of}", "searches") as progress:
            search = search_trial(vectors, failed, identity, trial, protocol.rank, settings, progress)
        verification = None
        if np.count_nonzero(~failed[trial.verification]) > 1 or trial.leave_one_out:
            with steps(f"Comparing{of}", "pairs") as progress:
                verification = _verification(vectors, failed, identity, trial, progress)
        applied: tuple[AppliedThreshold, ...] = ()
        if not trial.leave_one_out and protocol.rank == "people":
            there = replace(
                embeddings, vectors=vectors, reasons=dict.fromkeys(np.flatnonzero(failed).tolist(), "")
            )
            enrolled = searched or gallery_of_trial(source, trial, _people(identity, trial), there)
            applied = apply_thresholds(search, enrolled, settings)
        trials.append(TrialEvaluation(trial, search, verification, applied))
    with steps("Looking for people who look like one", "people") as progress:
        pairs = _alike(vectors[~failed], identity[~failed], progress)
    alike = tuple((protocol.people[a], protocol.people[b], score) for a, b, score in pairs)
    without: tuple[IdentificationEvaluation, ...] = ()
    if pairs:
        doubted = np.array([person for pair in pairs for person in pair[:2]])
        fewer = [_without(trial, identity, doubted) for trial in protocol.trials]
        if all(trial.probes.size and not failed[trial.gallery].all() for trial in fewer):
            once = replace(settings, bootstrap=0)
            with steps("Searching without them", "searches") as progress:
                without = tuple(
                    search_trial(vectors, failed, identity, trial, protocol.rank, once, progress)
                    for trial in fewer
                )
    published = _published(vectors, failed, protocol, settings, steps) if settings.published else ()
    return ProtocolEvaluation(source, protocol, embeddings, tuple(trials), alike, without, published)


def vectors_of_items(
    protocol: SearchProtocol, embeddings: PhotoVectors, pool: str
) -> tuple[Vectors, NDArray[np.bool_]]:
    """One vector for each item of a protocol, photo or template, and which items have none."""
    if protocol.templates is None:
        return embeddings.vectors, embeddings.failed
    vectors = pool_templates(embeddings, protocol, pool)
    return vectors, np.asarray(~vectors.any(axis=1))


def _verification(
    vectors: Vectors,
    failed: NDArray[np.bool_],
    identity: NDArray[np.int64],
    trial: SearchTrial,
    progress: Progress,
) -> Evaluation:
    """The 1:1 comparisons of a trial: all pairs of a set, or of its probes and these with all distractors."""
    if not trial.leave_one_out:
        items = trial.verification
        return evaluate_all_pairs(vectors[items], identity[items], failed=failed[items], progress=progress)
    return evaluate_against(
        vectors[trial.probes],
        identity[trial.probes],
        vectors[trial.gallery],
        failed=failed[trial.probes],
        failed_distractors=failed[trial.gallery],
        progress=progress,
    )


def _without(trial: SearchTrial, identity: NDArray[np.int64], people: NDArray[np.int64]) -> SearchTrial:
    """The trial without anything of these people."""
    kept = [items[~np.isin(identity[items], people)] for items in (trial.gallery, trial.probes)]
    return replace(trial, gallery=kept[0], probes=kept[1])


def refuse_empty(
    source: str, protocol: SearchProtocol, embeddings: PhotoVectors, failed: NDArray[np.bool_]
) -> None:
    """Say whose photos have no embedding, and why, where nothing can be searched for or in."""
    hint = "`facerec embed` on these photos tells more of each."
    if failed.all():
        i, why = next(iter(embeddings.reasons.items()), (0, "it weighs nothing"))
        name = protocol.names[i]
        raise InputError(f"None of the photos of {source} has an embedding; of {name}: {why}.", hint=hint)
    empty = next((trial for trial in protocol.trials if failed[trial.gallery].all()), None)
    if empty is not None:
        why = next(iter(embeddings.reasons.values()), "it weighs nothing")
        raise InputError(
            f"No photo of the gallery of {source} ({empty.name}) has an embedding; the first: {why}.",
            hint=hint,
        )


def search_trial(
    vectors: Vectors,
    failed: NDArray[np.bool_],
    identity: NDArray[np.int64],
    trial: SearchTrial,
    rank: str,
    settings: IdentifySettings,
    progress: Progress,
) -> IdentificationEvaluation:
    """The figures of one gallery and its probes; a distractor is a person of their own."""
    if trial.leave_one_out:
        return evaluate_leave_one_out(
            vectors[trial.gallery],
            vectors[trial.probes],
            identity[trial.probes],
            failed_distractors=failed[trial.gallery],
            failed_probes=failed[trial.probes],
            progress=progress,
        )
    return evaluate_identification(
        vectors[trial.gallery],
        _people(identity, trial),
        vectors[trial.probes],
        identity[trial.probes],
        failed_gallery=failed[trial.gallery],
        failed_probes=failed[trial.probes],
        fpirs=settings.fpir or EVALUATED_FPIRS,
        template="images" if rank == "images" else "mean",
        rounds=settings.bootstrap,
        progress=progress,
    )


def _people(identity: NDArray[np.int64], trial: SearchTrial) -> NDArray[np.int64]:
    """(G,) who each row of the gallery shows; a distractor is a person of their own."""
    own = identity.max(initial=-1) + 1 + np.arange(len(trial.gallery))
    return np.where(identity[trial.gallery] < 0, own, identity[trial.gallery])


def _alike(
    vectors: Vectors, identity: NDArray[np.int64], progress: Progress
) -> tuple[tuple[int, int, float], ...]:
    """The people of a protocol, by all their photos, of whom two look like one."""
    named = identity >= 0
    people, person = np.unique(identity[named], return_inverse=True)
    if len(people) > MOST_COMPARED:
        return ()
    sums = np.zeros((len(people), vectors.shape[1]), np.float64)
    np.add.at(sums, person, vectors[named])
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    templates = (sums / np.maximum(lengths, 1e-12)).astype(np.float32)
    found = alike_people(templates, limit=_ALIKE_TOLD, progress=progress)
    return tuple((int(people[pair.first]), int(people[pair.second]), pair.score) for pair in found)


def _published(
    vectors: Vectors,
    failed: NDArray[np.bool_],
    protocol: SearchProtocol,
    settings: IdentifySettings,
    steps: Steps,
) -> tuple[Ijb2018Point, ...]:
    """The figures by the rule of older tables, for which all galleries are joined."""
    gallery = np.unique(np.concatenate([trial.gallery for trial in protocol.trials]))
    probes = np.unique(np.concatenate([trial.probes for trial in protocol.trials]))
    with steps("Searching by the published rule", "searches") as progress:
        return evaluate_ijb_2018(
            vectors[gallery],
            protocol.identity[gallery],
            vectors[probes],
            protocol.identity[probes],
            failed_gallery=failed[gallery],
            failed_probes=failed[probes],
            fars=settings.fpir or EVALUATED_FPIRS,
            progress=progress,
        )
