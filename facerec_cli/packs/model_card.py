"""A model card in Markdown: what the manifest says, and what was measured.

A card never states a figure that no program measured.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from facerec_cli.errors import UsageError
from facerec_cli.files import write_file
from facerec_cli.outputs import refuse_foreign
from facerec_cli.packs.evaluations import StoredAccuracy, StoredEvaluation, read_evaluations
from facerec_cli.packs.kinds_section import kinds_section
from facerec_cli.packs.manifest import ModelPack
from facerec_cli.packs.manifest_toml import EVALUATIONS
from facerec_cli.packs.resolve import pack_hash
from facerec_cli.wording import one_in, people

T = TypeVar("T")

NOT_MEASURED = "not measured"
TOO_FEW = "not measurable with so few pairs"


def model_card(pack: ModelPack) -> str:
    """The card of ``pack`` as Markdown text."""
    parts = [
        f"# {pack.name}",
        pack.description,
        _facts(pack),
        _terms(pack),
        _evaluations(pack),
        _kinds(pack),
        _worth(pack),
        _LIMITS,
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def write_card(text: str, output: Path, *, overwrite: bool = False) -> None:
    """Write a card; of what is there, another card of ours is replaced without a word.

    Raises:
        UsageError: A folder, or something else, is there.
        OutputError: The system refuses it.
    """
    if output.is_dir():
        raise UsageError(f"{output} is a folder; a file is to be written there.", hint="Add the file's name.")
    refuse_foreign("model card", output, overwrite=overwrite)
    write_file(output, text.encode())


def _facts(pack: ModelPack) -> str:
    encoder, detector = pack.encoder, pack.detector
    rows = [
        ("Embedding", f"{encoder.embedding_size} numbers" + (", unit length" if encoder.normalized else "")),
        ("Input", f"{encoder.input_size[0]} x {encoder.input_size[1]}, {encoder.color.upper()}"),
        ("Scale", f"(pixel - {_triple(encoder.mean)}) / {_triple(encoder.std)}, pixels 0..255"),
        ("Alignment", f"five points, template {encoder.template}"),
        ("Detector", detector.kind if detector else "the default pack's"),
        ("Network", f"`{encoder.file}`, {_size(pack.encoder_path)}, sha256 `{encoder.sha256}`"),
    ]
    if detector and pack.detector_path:
        rows.append(
            (
                "Detector file",
                f"`{detector.file}`, {_size(pack.detector_path)}, sha256 `{detector.sha256}`",
            )
        )
    rows.append(("Identity", f"`{pack_hash(pack)}`"))
    rows += [(key.replace("_", " ").capitalize(), value) for key, value in sorted(pack.training.items())]
    return "## What it is\n\n" + _table(("", ""), rows)


def _terms(pack: ModelPack) -> str:
    license, origin = pack.license, pack.provenance
    rows = [
        ("License of the weights", license.weights),
        ("Commercial use", license.commercial_use),
        ("License of the code", license.code),
        ("Training data", origin.training_data),
        ("Source", origin.source),
    ]
    rows += [("Paper", origin.paper)] if origin.paper else []
    rows += [
        (f"Evidence: {of}", "; ".join(said)) for of, said in (pack.evidence.items() if pack.evidence else ())
    ]
    text = "## Terms and origin\n\n" + _table(("", ""), rows)
    return text + (f"\n\n{license.notice}" if license.notice else "")


def _evaluations(pack: ModelPack) -> str:
    evaluations = read_evaluations(pack)
    if not evaluations:
        threshold = _threshold(pack)
        return (
            f"## Measured error rates\n\nAccuracy: {NOT_MEASURED}. TAR at FAR: {NOT_MEASURED}.\n\n"
            f"Measure it on pairs of your own: `facerec verify PAIRS --model {pack.name} --json`, and "
            f"save what it prints as `{EVALUATIONS}/NAME.json` in the pack's folder.{threshold}"
        )
    sections = [f"### {name}\n\n{_evaluation(evaluation)}" for name, evaluation in evaluations]
    return "\n\n".join(["## Measured error rates", *sections]) + _threshold(pack)


def _evaluation(evaluation: StoredEvaluation) -> str:
    accuracy = evaluation.accuracy or StoredAccuracy()
    shown = _or_not_measured(accuracy.mean, _percent)
    if accuracy.mean is not None and accuracy.standard_error is not None:
        shown += f" ± {_percent(accuracy.standard_error)} (standard error of the mean over folds)"
    rows = [("Data", evaluation.source)] if evaluation.source else []
    if evaluation.settings:
        rows.append(("Settings", _settings(evaluation.settings)))
    rows += [
        ((accuracy.kind or "accuracy").capitalize(), shown),
        ("Equal error rate", _or_not_measured(evaluation.eer, _percent)),
        ("Area under the ROC curve", _or_not_measured(evaluation.auc, "{:.5f}".format)),
        ("Pairs", _or_not_measured(evaluation.pairs, _count)),
        ("of different people", _or_not_measured(evaluation.different_pairs, _count)),
        ("Pairs without a score", _or_not_measured(evaluation.failures, _count)),
    ]
    text = _table(("", ""), rows)
    rates = evaluation.tar_at_far or ()
    measured = [
        (
            one_in(rate.far),
            _percent(rate.tar),
            "" if rate.low is None or rate.high is None else f"{_percent(rate.low)} to {_percent(rate.high)}",
            "" if rate.threshold is None else f"{rate.threshold:.4f}",
        )
        for rate in rates
        if rate.tar is not None
    ]
    missing = [one_in(rate.far) for rate in rates if rate.tar is None]
    text += "\n\n" + _table(("FAR", "TAR", "interval", "threshold"), measured) if measured else ""
    return text + (f"\n\nAt FAR {', '.join(missing)}: {TOO_FEW}." if missing else "")


def _or_not_measured(value: T | None, form: Callable[[T], str]) -> str:
    return NOT_MEASURED if value is None else form(value)


def _settings(settings: dict[str, Any]) -> str:
    shown = {key: json.dumps(value).strip('"') for key, value in settings.items() if value is not None}
    return ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in shown.items())


def _threshold(pack: ModelPack) -> str:
    t = pack.threshold
    if t is None or t.far is None:
        return f"\n\nDefault threshold: {NOT_MEASURED}."
    return (
        f"\n\nDefault threshold: cosine {t.value:.4f}, for FAR {one_in(t.far)} on {t.data} "
        f"({t.impostor_pairs:,} different-person pairs)."
    )


def _kinds(pack: ModelPack) -> str:
    lead, head, rows, warnings = kinds_section(pack)
    return "\n\n".join(part for part in (lead, _table(head, rows) if rows else "", warnings) if part)


def _worth(pack: ModelPack) -> str:
    """What the pack's likelihood ratios rest on; nothing where it has none."""
    lines = [
        f"* {'with' if one.flip else 'without'} flip: ratios from 1/{math.exp(-one.low):,.0f} to "
        f"{math.exp(one.high):,.0f}, Cllr {one.cllr:.4f} bits; {one.data}; {people(one.people)} with several "
        f"photos, {one.person_pairs:,} pairs of two people"
        for one in pack.likelihoods
    ]
    lead = "## What a similarity is worth\n\nHow many times more likely for one person than for two:\n\n"
    return lead + "\n".join(lines) if lines else ""


_LIMITS = """## Limits

Error rates hold for data like that which they were measured on; they differ between groups of people, ages,
cameras and poses. Choose a threshold on pairs like yours, check each group (`facerec verify --by`), and do
not decide about a person on a score alone. Process faces only with the consent or on the legal ground that
your law asks for."""


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in lines)


def _triple(values: tuple[float, float, float]) -> str:
    return f"{values[0]:g}" if len(set(values)) == 1 else "(" + ", ".join(f"{v:g}" for v in values) + ")"


def _size(path: Path) -> str:
    return f"{path.stat().st_size / 1e6:.1f} MB"


def _percent(value: float) -> str:
    return f"{100 * value:.2f} %"


def _count(value: int) -> str:
    return f"{value:,}"
