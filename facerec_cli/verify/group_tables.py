"""The groups in the report of a verification."""

from __future__ import annotations

from dataclasses import dataclass

from facerec_cli.metrics.group_report import GroupReport
from facerec_cli.report.pages import Row, Table, percentage
from facerec_cli.wording import one_in


@dataclass(frozen=True, slots=True)
class GroupSection:
    """The groups at one threshold, for the template.

    Attributes:
        lead: Which threshold.
        rates: Of each group and between groups.
        ratios: Of the groups' rates; None where there are none.
        sentences: What has no ratio, and why.
    """

    lead: str
    rates: Table
    ratios: Table | None
    sentences: tuple[str, ...]


def group_sections(report: GroupReport) -> list[GroupSection]:
    """At the list's threshold, and at the model's where it is known."""
    stands = f"FAR {one_in(report.far)} over all pairs"
    sections = [_section(report, f"At one threshold for everybody, {report.threshold:.4f} ({stands}).")]
    model = report.at_model_threshold
    if model is not None:
        stands = f"FAR {one_in(model.far)} where it was measured"
        sections.append(_section(model, f"At the model's own threshold, {model.threshold:.4f} ({stands})."))
    return sections


def _section(report: GroupReport, lead: str) -> GroupSection:
    kinds = [] if report.ratios is None else [("FNMR", report.ratios.fnmr), ("FMR", report.ratios.fmr)]
    rows = [
        Row([ratio.label, kind, "–" if ratio.value is None else f"{ratio.value:.2f}", ratio.interval])
        for kind, ratios in kinds
        for ratio in ratios.all_ratios
    ]
    head = ["groups", "rate", "ratio", "95 % interval over people"]
    sentences = tuple(f"{kind}: {sentence}." for kind, ratios in kinds for sentence in ratios.sentences())
    ratios = Table(head, rows, "Ratios of error rates") if rows else None
    return GroupSection(lead, _rates(report), ratios, sentences)


def _rates(report: GroupReport) -> Table:
    rows = [
        Row(
            [
                rate.label,
                kind,
                percentage(rate.rate, 3),
                "–" if rate.rate is None else f"{percentage(rate.low, 3)} – {percentage(rate.high, 3)}",
                f"{rate.pairs:,}",
                "" if rate.enough else "too few pairs to compare",
            ],
            muted=not rate.enough,
        )
        for kind, rates in (("false non-match", report.fnmr), ("false match", report.fmr))
        for rate in rates
    ]
    return Table(["group", "rate", "value", "95 % interval", "pairs", ""], rows, "Error rates of each group")
