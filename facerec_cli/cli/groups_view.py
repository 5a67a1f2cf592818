"""What error rates of groups look like on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facerec_cli.cli import console
from facerec_cli.wording import one_in

if TYPE_CHECKING:
    from facerec_cli.metrics.group_report import GroupRatio, GroupReport


def show_groups(report: GroupReport) -> None:
    """The rates of each group and their ratios, at the list's threshold and at the model's."""
    console.result(
        f"groups at the threshold {report.threshold:.4f} (FAR {one_in(report.far)} over all pairs)"
    )
    _show_rates(report)
    model = report.at_model_threshold
    if model is not None:
        stands = f"FAR {one_in(model.far)} where it was measured"
        console.result(f"groups at the model's own threshold {model.threshold:.4f} ({stands})")
        _show_rates(model)


def _show_rates(report: GroupReport) -> None:
    rows = []
    for kind, rates in (("FNMR", report.fnmr), ("FMR", report.fmr)):
        for rate in rates:
            value = "–" if rate.rate is None else f"{rate.rate:.3%}"
            note = "" if rate.enough else "too few pairs"
            rows.append(
                (kind, rate.label, value, f"{rate.low:.3%} – {rate.high:.3%}", f"{rate.pairs:,}", note)
            )
    columns = ["rate", "group", "value", "95 % interval", "pairs", "note"]
    console.result_table(rows, columns=columns, right=["value", "pairs"])
    if report.ratios is None:
        return
    ratios = []
    for kind, of in (("FNMR", report.ratios.fnmr), ("FMR", report.ratios.fmr)):
        ratios += [_ratio_row(kind, ratio) for ratio in of.all_ratios]
    if ratios:
        console.result_table(
            ratios, columns=["rate", "ratio", "value", "95 % interval over people"], right=["value"]
        )
    for kind, of in (("FNMR", report.ratios.fnmr), ("FMR", report.ratios.fmr)):
        for sentence in of.sentences():
            console.result(f"{kind}: {sentence}")


def _ratio_row(kind: str, ratio: GroupRatio) -> tuple[str, str, str, str]:
    value = "–" if ratio.value is None else f"{ratio.value:.2f}"
    return kind, ratio.label, value, ratio.interval
