"""What a verification looks like on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facerec_cli.cli import console
from facerec_cli.cli.groups_view import show_groups
from facerec_cli.threshold import data_name
from facerec_cli.wording import counted, fraction

if TYPE_CHECKING:
    from facerec_cli.metrics.doubtful_labels import DoubtfulLabels
    from facerec_cli.metrics.roc import OperatingPoint
    from facerec_cli.verify.photos import Verdict
    from facerec_cli.verify.result import Verification

_DOUBTFUL = 10  # pairs of doubtful labels that are named


def show_verdict(verdict: Verdict) -> None:
    """Two photos: the answer, the similarity, what the threshold stands for, and what a card says."""
    _show_threshold(verdict)
    if verdict.likelihood is not None:
        console.result(verdict.likelihood.sentence())
    for caution in verdict.cautions:
        console.warn(caution)
    console.note(f"model {verdict.model} on {verdict.provider}")


def _show_threshold(verdict: Verdict) -> None:
    used = verdict.threshold
    for face in verdict.photos:
        if face.faces > 1:
            box = ", ".join(f"{value:.0f}" for value in face.box or ())
            console.note(f"{face.photo} has {face.faces} faces; the one at {box} is compared (--faces)")
    if used is None:
        console.result(f"similarity {verdict.similarity:.4f}; no verdict: this model has no threshold")
        console.note(
            f"Measure one on labeled pairs: {verdict.how}\nThen add --threshold card.toml; a cosine does as "
            "well, e.g. --threshold 0.35."
        )
        return
    answer = "same person" if verdict.same else "different people"
    doubted = ", doubtful" if any(face.doubt for face in verdict.photos) else ""
    console.result(f"{answer}{doubted}: similarity {verdict.similarity:.4f}, threshold {used.value:.4f}")
    for face in verdict.photos:
        if face.doubt:
            console.result(f"doubtful: the face of {face.photo}: {face.doubt}")
    stands = "; nobody measured what it stands for"
    if used.far is not None:
        on = data_name(used.data)
        stands = f", which accepts {fraction(used.far)} pairs of different people" + (
            f" ({on})" if on else ""
        )
        pairs = (
            f" ({counted(used.impostor_pairs, 'pair')} of different people)" if used.impostor_pairs else ""
        )
        console.detail(f"that was measured on: {used.data}{pairs}")
    console.result(f"threshold: {used.source}{stands}")


def show(outcome: Verification, *, likelihood: bool = False, quality: bool = False) -> None:
    """A list: the figures, line by line.

    Args:
        outcome: What was measured.
        likelihood: Whether to say how good a calibration of the scores is.
        quality: Whether to say which quality foretells false rejects.
    """
    evaluation, embeddings = outcome.evaluation, outcome.embeddings
    counts = evaluation.pairs
    console.result(
        f"{counted(counts.total, 'pair')} ({counts.genuine:,} same, {counts.impostor:,} different), "
        f"{counted(len(outcome.names), 'photo')}, model {embeddings.model.name or 'unknown'}"
    )
    failures = f"{counted(len(embeddings.reasons), 'photo')} without an embedding"
    console.result(f"failures to enrol: {failures}, {counted(counts.failed, 'pair')} left out")
    if embeddings.doubts:
        first = min(embeddings.doubts)
        console.warn(
            f"{counted(len(embeddings.doubts), 'photo')} with a doubtful face, compared all the same: "
            f"{outcome.names[first]}: {embeddings.doubts[first]}"
        )
    if outcome.doubtful_labels is not None and outcome.doubtful_labels.pairs:
        _show_doubtful(outcome.doubtful_labels)
    accuracy = evaluation.accuracy
    rows: list[tuple[str, str]] = []
    if accuracy is not None:
        text = f"{accuracy.mean:.2%} ± {accuracy.standard_error:.2%} ({len(accuracy.folds)} folds)"
        if counts.failed:
            text += f"; {accuracy.mean_with_failures:.2%} with failures as errors"
        rows.append((accuracy.kind, text))
    figures = (
        ("EER", evaluation.eer, ".3%"),
        ("AUC", evaluation.auc, ".6f"),
        ("d'", evaluation.d_prime, ".3f"),
    )
    rows += [(name, format(value, style)) for name, value, style in figures if value is not None]
    for name, text in rows:
        console.result(f"{name}: {text}")
    columns = ["FAR", "TAR", "95 % interval", "threshold", "measured FAR"]
    if counts.failed_genuine:
        columns.append("TAR, failures as errors")
    points = evaluation.measured_points
    if points:
        console.result_table(
            [_point_row(point)[: len(columns)] for point in points],
            columns=columns,
            right=["FAR", "TAR", "threshold", "measured FAR", "TAR, failures as errors"],
        )
    for sentence in evaluation.reasons():
        console.result(sentence)
    if outcome.model_threshold is not None:
        console.result(outcome.model_threshold.sentence)
    if outcome.bootstrap:
        console.result_table(
            [
                (_rate(b.far), b.reason if b.low is None else f"{b.low:.2%} – {b.high:.2%}")
                for b in outcome.bootstrap
            ],
            columns=["FAR", "95 % interval of TAR over people (bootstrap)"],
            right=["FAR"],
        )
    if likelihood:
        _show_likelihood(outcome)
    if quality and not isinstance(outcome.discard, str):
        console.result(outcome.discard.sentence())
    if outcome.groups is not None:
        show_groups(outcome.groups)


def _show_likelihood(outcome: Verification) -> None:
    from facerec_cli.verify.likelihood_plots import bounds_words

    found = outcome.likelihood
    if isinstance(found, str):  # which is an error, as a card was asked for
        return
    methods = sorted(found.cllr_of, key=lambda method: method != found.method)
    costs = ", ".join(f"{found.cllr_of[method]:.4f} ({method})" for method in methods)
    console.result(
        f"likelihood ratio: Cllr {costs} bits, at best {found.min_cllr:.4f}. {bounds_words(found)}"
    )


def _show_doubtful(doubtful: DoubtfulLabels) -> None:
    console.result(doubtful.sentence())
    for pair, (first, second) in list(zip(doubtful.pairs, doubtful.names, strict=True))[:_DOUBTFUL]:
        console.result(f"  {pair.score:.4f}  {first}  {second}")
    more = len(doubtful.pairs) - _DOUBTFUL
    if more > 0:
        console.result(f"  and {counted(more, 'pair')} more, which --json and --report name")


def _point_row(point: OperatingPoint) -> tuple[str, ...]:
    return (
        _rate(point.far),
        f"{point.tar:.2%}",
        f"{point.low:.2%} – {point.high:.2%}",
        f"{point.threshold:.4f}",
        f"{point.measured_far:.3g}",
        f"{point.tar_with_failures:.2%}",
    )


def _rate(far: float) -> str:
    return f"{far:g}" if far >= 1e-4 else f"{far:.0e}".replace("e-0", "e-")
