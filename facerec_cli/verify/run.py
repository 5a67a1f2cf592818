"""``facerec verify`` as a library: a list of pairs, all pairs of a folder, or two photos, measured."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from facerec_cli.errors import InputError, UsageError
from facerec_cli.images import IMAGE_SUFFIXES, find_images
from facerec_cli.metrics.all_pairs import evaluate_all_pairs
from facerec_cli.metrics.bootstrap import BootstrapInterval, bootstrap_tar, people_in
from facerec_cli.metrics.evaluate import evaluate
from facerec_cli.metrics.folds import stratified_folds
from facerec_cli.metrics.scores import score_pairs
from facerec_cli.metrics.thresholds import chosen_point
from facerec_cli.pairs.names import is_folder
from facerec_cli.pairs.pairlist import PairList, distinct
from facerec_cli.pairs.people_by_name import person_of_agedb
from facerec_cli.pairs.read import read_pairs
from facerec_cli.verify.group_errors import measure_groups
from facerec_cli.verify.model_level import level_of
from facerec_cli.verify.photo_vectors import PhotoVectors, embeddings_are_kept, open_embeddings
from facerec_cli.verify.photos import Verdict, verify_photos
from facerec_cli.verify.pooling import pool_templates
from facerec_cli.verify.result import Verification
from facerec_cli.verify.settings import Steps, VerifySettings, no_steps
from facerec_cli.wording import counted

#: Up to this many pairs of a folder are listed one by one, which scores files, groups and pictures need.
MAX_LISTED = 2_000_000


def verify(
    inputs: Sequence[str | Path],
    settings: VerifySettings | None = None,
    *,
    format: str | None = None,
    root: str | Path | None = None,
    all_pairs: bool = False,
    threshold: str | float | None = None,
    likelihood: str | Path | None = None,
    steps: Steps = no_steps,
) -> Verification | Verdict:
    """Do what the inputs ask for: two photos, all pairs of a folder, or a list.

    Raises:
        UsageError: Inputs and settings that do not fit together, or settings that would be of no use.
    """
    if len(inputs) == 2 and not all_pairs:
        _refuse_flags(settings, format, root)
        return verify_photos(inputs[0], inputs[1], settings, threshold=threshold, likelihood=likelihood)
    if len(inputs) != 1:
        raise UsageError(
            f"verify takes one list, one folder or two photos, not {len(inputs)} inputs.",
            hint="Name one list, one folder (--all-pairs), or two photos.",
        )
    if threshold is not None:
        raise UsageError(
            "--threshold is for two photos; a list measures its own.",
            hint="Leave it out, or name two photos.",
        )
    if likelihood is not None:
        raise UsageError(
            "--likelihood is for two photos; a list writes its own with --save-likelihood.",
            hint="Leave it out, or name two photos.",
        )
    path = Path(inputs[0])
    if all_pairs:
        for flag, value in (("--format", format), ("--root", root)):
            if value is not None:
                raise UsageError(
                    f"{flag} is for lists of pairs; --all-pairs reads a folder of photos.",
                    hint=f"Leave {flag} out.",
                )
        return verify_folder(path, settings, steps=steps)
    if path.suffix.lower() in IMAGE_SUFFIXES:
        raise UsageError(
            f"{str(path)!r} is one photo; verify compares two, or takes a list of pairs.",
            hint=f"Name another photo beside it: facerec verify {shlex.quote(str(path))} OTHER",
        )
    return verify_list(path, settings, format=format, root=root, steps=steps)


def _refuse_flags(settings: VerifySettings | None, format: str | None, root: str | Path | None) -> None:
    """Two photos have no use for what measures a list."""
    settings = settings or VerifySettings()
    given = {
        "--embeddings": settings.embeddings is not None,
        "--format": format is not None,
        "--root": root is not None,
        "--by": settings.groups is not None,
        "--bootstrap": settings.bootstrap > 0,
        "--pool": settings.pool != "mean",
        "--far": settings.far is not None,
        "--calibration": settings.calibration != "logistic",
        "--discard": settings.discard != 0.1,
    }
    flags = [flag for flag, is_given in given.items() if is_given]
    if flags:
        raise UsageError(
            f"Two photos are compared without {', '.join(flags)}, which lists of pairs take.",
            hint="Leave it out, or name one list.",
        )


def _refuse_pool(settings: VerifySettings) -> None:
    """Photos that make no templates have nothing to pool."""
    if settings.pool != "mean":
        raise UsageError("--pool is for lists of templates, such as IJB's.", hint="Leave it out.")


def verify_list(
    path: str | Path,
    settings: VerifySettings | None = None,
    *,
    format: str | None = None,
    root: str | Path | None = None,
    steps: Steps = no_steps,
) -> Verification:
    """Measure a model on a list of pairs.

    Args:
        path: The list; see ``pairs.read_pairs``.
        settings: How.
        format: The list's format; recognized when None.
        root: Folder that the list's paths start from.
        steps: Watches the work.

    Raises:
        InputError: The list, its photos or the embeddings cannot be used.
        ModelError: The model cannot be used, or is not the one that made the embeddings.
    """
    settings = settings or VerifySettings()
    pairs = read_pairs(path, format, root, images=settings.embeddings is None)
    return _verify_pairs(str(path), pairs, settings, steps)


def verify_folder(
    folder: str | Path, settings: VerifySettings | None = None, *, steps: Steps = no_steps
) -> Verification:
    """Compare each photo of a folder with each other; its subfolder, or an AgeDB name, says who it shows.

    Raises:
        InputError: No photos, or photos outside subfolders.
        ModelError: The model cannot be used.
    """
    settings = settings or VerifySettings()
    _refuse_pool(settings)
    pairs = _pairs_of_folder(Path(folder))
    if len(pairs):
        return _verify_pairs(str(folder), pairs, settings, steps)
    if settings.groups or settings.bootstrap:
        raise UsageError(f"--by and --bootstrap take at most {MAX_LISTED:,} pairs; this folder has more.")
    assert pairs.identity is not None
    with steps("Embedding", "photos") as progress:
        embeddings = open_embeddings(pairs, settings, progress)
    level = level_of(embeddings, settings)
    with embeddings_are_kept(settings), steps("Comparing", "pairs") as progress:
        evaluation = evaluate_all_pairs(
            embeddings.vectors,
            pairs.identity,
            failed=embeddings.failed,
            fars=settings.all_fars,
            thresholds=level.thresholds,
            progress=progress,
        )
    with embeddings_are_kept(settings), steps("Looking at the model's threshold", "photos") as progress:
        model_threshold = level.transfer_in(evaluation, pairs.identity, embeddings, progress)
    with embeddings_are_kept(settings), steps("Looking for doubtful labels", "photos") as progress:
        doubtful = level.doubtful_in(evaluation, pairs, embeddings, progress)
    return Verification(
        str(folder),
        pairs,
        embeddings,
        evaluation,
        chosen_point(evaluation, settings.far),
        model_threshold=model_threshold,
        doubtful_labels=doubtful,
        calibration=settings.calibration,
        discarded=settings.discard,
    )


def _pairs_of_folder(folder: Path) -> PairList:
    """All pairs of the photos below a folder; none, but all photos, where they are too many to list."""
    if not is_folder(folder):
        raise InputError(f"There is no folder {str(folder)!r} to compare all pairs of.")
    images = tuple(Path(path) for path in find_images([folder]))
    names = tuple(str(PurePosixPath(image.relative_to(folder).as_posix())) for image in images)
    if len(names) < 2:
        raise InputError(
            f"The folder {str(folder)!r} has {counted(len(names), 'photo')}; comparing takes two.",
            hint="--all-pairs takes a folder with one subfolder per person.",
        )
    people = [person_of_agedb(name) if "/" not in name else name.rpartition("/")[0] for name in names]
    known = [person for person in people if person is not None]
    if len(known) < len(people):
        raise InputError(
            f"{names[people.index(None)]!r} lies directly in {str(folder)!r}, so nobody knows whom it shows.",
            hint="--all-pairs takes a folder with one subfolder per person, or with photos that are named as "
            "AgeDB's, `number_name_age_gender`.",
        )
    identity = distinct(known)[1]
    is_listed = len(names) * (len(names) - 1) // 2 <= MAX_LISTED
    first, second = (side.astype(np.int64) for side in np.triu_indices(len(names) if is_listed else 0, 1))
    same = identity[first] == identity[second]
    return PairList(first, second, same, images, names, identity=identity, format="all-pairs")


def _verify_pairs(source: str, pairs: PairList, settings: VerifySettings, steps: Steps) -> Verification:
    """Embed the photos, score the pairs, measure the scores."""
    if settings.groups is not None and pairs.templates is not None:
        raise UsageError("--by takes lists of photos, not of templates.")
    if pairs.templates is None:
        _refuse_pool(settings)
    with steps("Embedding", "photos") as progress:
        embeddings = open_embeddings(pairs, settings, progress)
    vectors, unusable = embeddings.vectors, embeddings.failed
    if pairs.templates is not None:
        vectors = pool_templates(embeddings, pairs, settings.pool)
        embeddings = replace(embeddings, settings={**embeddings.settings, "pool": settings.pool})
        unusable = np.asarray(~vectors.any(axis=1))
    failed = unusable[pairs.first] | unusable[pairs.second]
    if failed.all():
        raise _nothing_to_score(pairs, embeddings)
    with embeddings_are_kept(settings), steps("Scoring", "pairs") as progress:
        scores = score_pairs(vectors, pairs, progress=progress)
    fold = stratified_folds(pairs.same) if pairs.fold is None else pairs.fold
    level = level_of(embeddings, settings)
    evaluation = evaluate(
        scores,
        pairs.same,
        failed=failed,
        folds=fold,
        fars=settings.all_fars,
        thresholds=level.thresholds,
    )
    table, far, model = settings.groups, settings.far, level.threshold
    groups = None
    if table is not None:
        groups = measure_groups(table, evaluation, far, pairs, scores, failed, model=model, steps=steps)
    intervals: tuple[BootstrapInterval, ...] = ()
    scored, who = ~failed, people_in(pairs)
    people = who[pairs.first[scored]], who[pairs.second[scored]]
    if settings.bootstrap:
        with embeddings_are_kept(settings), steps("Bootstrap", "rounds") as progress:
            intervals = bootstrap_tar(
                scores[scored],
                pairs.same[scored],
                people,
                fars=[point.far for point in evaluation.measured_points],
                rounds=settings.bootstrap,
                progress=progress,
            )
    return Verification(
        source,
        pairs,
        embeddings,
        evaluation,
        chosen_point(evaluation, settings.far),
        scores,
        failed,
        fold,
        groups,
        intervals,
        level.transfer(evaluation, scores[scored], pairs.same[scored], people),
        level.doubtful(evaluation, pairs, scores, failed),
        settings.calibration,
        settings.discard,
    )


def _nothing_to_score(pairs: PairList, embeddings: PhotoVectors) -> InputError:
    photo, reason = next(iter(embeddings.reasons.items()))
    return InputError(
        f"None of the {len(pairs):,} pairs can be scored. Without an embedding: "
        f"{counted(len(embeddings.reasons), 'photo')}, the first ({pairs.names[photo]}) because: {reason}.",
        hint="`facerec embed` on these photos tells more of each.",
    )
