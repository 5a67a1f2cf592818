"""The files that a verification of a list leaves, and what they may not be put in the place of."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from facerec_cli.errors import UsageError
from facerec_cli.faces.settings import RESULTS
from facerec_cli.option import Option
from facerec_cli.outputs import check_writable, named_paths, refuse_foreign
from facerec_cli.verify.settings import VerifySettings

if TYPE_CHECKING:
    from facerec_cli.verify.result import Verification

_KINDS = {
    "scores": "file of scores",
    "report": "report",
    "save_threshold": "threshold card",
    "save_likelihood": "likelihood card",
    "save_quality": "quality card",
    "calibrate": "calibration card",
}


@dataclass(frozen=True, slots=True)
class VerifyOutputs:
    """Where to, each only where it is named."""

    scores: Annotated[Path | None, Option("Write every pair's score: .csv or .npz.", panel=RESULTS)] = None
    report: Annotated[
        Path | None, Option("Write curves, table and hardest pairs to one HTML file.", panel=RESULTS)
    ] = None
    save_threshold: Annotated[
        Path | None, Option("Write a threshold card (TOML) bound to the model.", panel=RESULTS)
    ] = None
    save_likelihood: Annotated[
        Path | None,
        Option(
            "Write what scores are worth to a card (TOML) bound to the model, for --likelihood.",
            panel=RESULTS,
        ),
    ] = None
    save_quality: Annotated[
        Path | None,
        Option(
            "Write a limit on the measure that best foretells false rejects to a card (TOML) bound to the "
            "model, for --min-quality.",
            panel=RESULTS,
        ),
    ] = None
    calibrate: Annotated[
        Path | None,
        Option(
            "Write threshold, likelihood ratio and (--all-pairs) impostor tail to one card (TOML), for "
            "--threshold, --likelihood and `facerec models add --card`.",
            panel=RESULTS,
        ),
    ] = None

    def named(self) -> dict[str, tuple[str, Path]]:
        """Those that are wanted, by field: flag and path."""
        return named_paths(self)

    def refuse_faults(
        self,
        inputs: Sequence[Path],
        settings: VerifySettings,
        *,
        model: str | None,
        all_pairs: bool,
        overwrite: bool,
    ) -> None:
        """Refuse what cannot be written, or would replace what it should not, before any work is done.

        Args:
            inputs: Of the run.
            settings: Of the run.
            model: What the model was called, which may be a file.
            all_pairs: Whether a folder's photos are all compared.
            overwrite: Replace files that are not of facerec.

        Raises:
            UsageError: With the flag.
        """
        from facerec_cli.pairs.names import is_folder

        outputs = self.named()
        _refuse_inputs(dict(outputs.values()), _files_read(inputs, settings, model, all_pairs=all_pairs))
        for flag, path in outputs.values():
            if len(inputs) == 2 and not all_pairs:
                raise UsageError(
                    f"{flag} is for lists of pairs; two photos give one similarity.",
                    hint="Leave it out, or name one list.",
                )
            if is_folder(path):
                raise UsageError(f"{flag} {path} is a folder.", hint="Name a file.")
            check_writable(flag, path, path.parent)
        if self.scores is not None and self.scores.suffix.lower() not in (".csv", ".npz"):
            raise UsageError(
                f"--scores {self.scores} does not end in .csv or .npz.", hint="Name a file that does."
            )
        if settings.discard != VerifySettings().discard and self.save_quality is None:
            raise UsageError("--discard is for --save-quality.", hint="Add --save-quality card.toml.")
        for name, (flag, path) in outputs.items():
            refuse_foreign(_KINDS[name], path, flag=flag, overwrite=overwrite)

    def write(self, outcome: Verification) -> None:
        """Write those that are wanted.

        Raises:
            InputError: The list has no measurable threshold, likelihood ratio or limit of quality for a card.
            OutputError: The system refuses one.
        """
        from facerec_cli.metrics.calibration_card import save_calibration
        from facerec_cli.metrics.likelihood_card import save_likelihood
        from facerec_cli.metrics.quality_card import save_quality
        from facerec_cli.metrics.thresholds import save_card
        from facerec_cli.verify.json_document import write_scores

        if self.scores is not None:
            write_scores(outcome, self.scores)
        if self.report is not None:
            from facerec_cli.verify.report import write_report

            write_report(outcome, self.report)
        if self.save_threshold is not None:
            save_card(outcome.threshold(), self.save_threshold)
        if self.save_likelihood is not None:
            save_likelihood(outcome.likelihood_card(), self.save_likelihood)
        if self.save_quality is not None:
            save_quality(outcome.quality_card(), self.save_quality)
        if self.calibrate is not None:
            save_calibration(outcome.calibration_card(), self.calibrate)


def _refuse_inputs(outputs: Mapping[str, Path], inputs: Sequence[Path]) -> None:
    """Refuse an output in the place of an input or of another output."""
    read = {os.path.realpath(path) for path in inputs}
    written: dict[str, str] = {}
    for flag, path in outputs.items():
        place = os.path.realpath(path)
        if place in read:
            raise UsageError(f"{flag} {path} would overwrite an input.", hint="Name another file.")
        if place in written:
            raise UsageError(f"{written[place]} and {flag} both write {path}.", hint="Name two files.")
        written[place] = flag


def _files_read(
    inputs: Sequence[Path], settings: VerifySettings, model: str | None, *, all_pairs: bool
) -> list[Path]:
    """The files that a run reads, besides photos."""
    from facerec_cli.embeddings.formats import format_to_read
    from facerec_cli.pairs.names import is_there
    from facerec_cli.pairs.read import files_of

    groups, embeddings = settings.groups, settings.embeddings
    read = [*([groups] if groups else []), *([Path(model)] if model else [])]
    if embeddings is not None and is_there(embeddings):  # with its table and description
        read += format_to_read(embeddings).files(embeddings)
    return [*read, *inputs] if all_pairs else read + [file for path in inputs for file in files_of(path)]
