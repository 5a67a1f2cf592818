"""``facerec identify --evaluate`` as a library: how good a search is, on labeled photos or a protocol."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facerec_cli.errors import InputError, UsageError
from facerec_cli.gallery.kinds import gallery_folder, is_embeddings
from facerec_cli.identify.evaluation import PeoplePoint, ProtocolEvaluation, TrialEvaluation
from facerec_cli.identify.labeled_vectors import read_stored
from facerec_cli.identify.settings import EVALUATED_FPIRS, IdentifySettings
from facerec_cli.metrics.all_pairs import evaluate_all_pairs
from facerec_cli.metrics.identification import evaluate_identification
from facerec_cli.metrics.identification_figures import IdentificationEvaluation
from facerec_cli.metrics.lookalikes import alike_people
from facerec_cli.metrics.scores import Vectors
from facerec_cli.pairs.formats.ijb import pool
from facerec_cli.progress import Progress
from facerec_cli.protocols.protocol import SearchProtocol, SearchTrial
from facerec_cli.protocols.read import read_protocol
from facerec_cli.verify.photo_vectors import PhotoVectors, embeddings_are_kept, open_embeddings
from facerec_cli.verify.settings import Steps, no_steps

MOST_COMPARED = 20_000
"""People up to whom each is compared with each other to find two who look like one."""

_ALIKE_TOLD = 200
_SIZES = (10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000)


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
    if settings.threshold is not None or settings.mode == "investigate":
        raise UsageError("--evaluate measures its own thresholds.", hint="Leave --threshold and --mode out.")
    if any(gallery_folder(name) or is_embeddings(name) for name in inputs):
        for flag, value in (("--format", format), ("--root", root), ("--embeddings", settings.embeddings)):
            if value is not None:
                raise UsageError(f"{flag} is for protocols and lists of photos.")
        protocol, embeddings = read_stored(inputs, settings, steps)
    else:
        protocol = read_protocol(
            [Path(name) for name in inputs], format, root, images=settings.embeddings is None
        )
        with steps("Embedding", "photos") as progress:
            embeddings = open_embeddings(protocol, settings.embedding(settings.photo_face), progress)
    with embeddings_are_kept(settings.embedding()):
        return measure(" and ".join(map(str, inputs)), protocol, embeddings, settings, steps)


def measure(
    source: str,
    protocol: SearchProtocol,
    embeddings: PhotoVectors,
    settings: IdentifySettings,
    steps: Steps = no_steps,
) -> ProtocolEvaluation:
    """Measure a protocol whose photos' vectors are there.

    Raises:
        InputError: No search of a trial can be made.
    """
    vectors, failed = embeddings.vectors, embeddings.failed
    if protocol.templates is not None:
        vectors = pool(vectors, failed, protocol.templates)
        failed = np.asarray(~vectors.any(axis=1))
    if failed.all():
        name, why = next((protocol.names[i], why) for i, why in embeddings.reasons.items())
        raise InputError(
            f"None of the photos of {source} has an embedding; of {name}: {why}.",
            hint="`facerec embed` on these photos tells more of each.",
        )
    identity = protocol.identity
    trials = []
    for number, trial in enumerate(protocol.trials, 1):
        label = (
            f"Searching, trial {number} of {len(protocol.trials)}"
            if len(protocol.trials) > 1
            else "Searching"
        )
        with steps(label, "searches") as progress:
            search = _search(vectors, failed, identity, trial, protocol.rank, settings, progress)
        verification = None
        if trial.verification.size:
            with steps(label.replace("Searching", "Comparing"), "pairs") as progress:
                items = trial.verification
                verification = evaluate_all_pairs(
                    vectors[items], identity[items], failed=failed[items], progress=progress
                )
        trials.append(TrialEvaluation(trial, search, verification))
    with steps("Looking for people who look like one", "people") as progress:
        alike = _alike(vectors[~failed], identity[~failed], protocol.people, progress)
    with steps("Searching among fewer people", "searches") as progress:
        over = _over_people(vectors, failed, identity, protocol.trials[0], protocol.rank, settings)
    return ProtocolEvaluation(source, protocol, embeddings, tuple(trials), alike, over)


def _search(
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
        raise InputError(
            f"{trial.name}: searches in which each probe joins the gallery are not measured yet."
        )
    own = identity.max(initial=-1) + 1 + np.arange(len(trial.gallery))
    people = np.where(identity[trial.gallery] < 0, own, identity[trial.gallery])
    return evaluate_identification(
        vectors[trial.gallery],
        people,
        vectors[trial.probes],
        identity[trial.probes],
        failed_gallery=failed[trial.gallery],
        failed_probes=failed[trial.probes],
        fpirs=settings.fpir or EVALUATED_FPIRS,
        template="images" if rank == "images" else "mean",
        rounds=settings.bootstrap,
        progress=progress,
    )


def _alike(
    vectors: Vectors, identity: NDArray[np.int64], names: Sequence[str], progress: Progress
) -> tuple[tuple[str, str, float], ...]:
    """The people of a protocol, by all their photos, of whom two look like one."""
    named = identity >= 0
    people, person = np.unique(identity[named], return_inverse=True)
    if len(people) > MOST_COMPARED:
        return ()
    sums = np.zeros((len(people), vectors.shape[1]), np.float64)
    np.add.at(sums, person, vectors[named])
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    found = alike_people((sums / np.maximum(lengths, 1e-12)).astype(np.float32), progress=progress)
    pairs = zip(found.pairs[:_ALIKE_TOLD], found.scores, strict=False)
    return tuple((names[people[a]], names[people[b]], float(score)) for (a, b), score in pairs)


def _over_people(
    vectors: Vectors,
    failed: NDArray[np.bool_],
    identity: NDArray[np.int64],
    trial: SearchTrial,
    rank: str,
    settings: IdentifySettings,
) -> tuple[PeoplePoint, ...]:
    """The same probes among some of the people, drawn at random; who is left out is a stranger there."""
    if trial.leave_one_out:
        return ()
    people = np.unique(identity[trial.gallery])
    people = np.random.default_rng(0).permutation(people[people >= 0])
    points = []
    for size in (*(size for size in _SIZES if size < len(people)), len(people)):
        some = trial.gallery[np.isin(identity[trial.gallery], people[:size])]
        if failed[some].all():
            continue
        fewer = SearchTrial(trial.name, some, trial.probes)
        plain = IdentifySettings(fpir=settings.fpir)
        search = _search(vectors, failed, identity, fewer, rank, plain, lambda done, total=None: None)
        points.append(
            PeoplePoint(
                size,
                search.cmc[0].rate,
                {point.fpir: point.tpir for point in search.tpir_at_fpir},
                {point.fpir: point.threshold for point in search.tpir_at_fpir},
            )
        )
    return tuple(points)
