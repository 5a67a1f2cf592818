"""The results of a study as tables of text; Markdown and HTML show the same ones."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from facerec_cli.metrics.bootstrap import MIN_PEOPLE
from facerec_cli.study.finding import finding
from facerec_cli.study.intervals import MIN_SEEDS
from facerec_cli.study.protocol import BEFORE
from facerec_cli.wording import counted

_UNKNOWN = "not measurable"
_BOLD = re.compile(r"\*\*(.+?)\*\*")
_GAP = 3  # between two columns of a terminal's table
_WORDS = {
    "clean": "clean",
    "px16": "16 px",
    "px24": "24 px",
    "motion": "motion blur",
    "mask": "mask",
    "sunglasses": "sunglasses",
    "dark": "low light",
}


@dataclass(frozen=True, slots=True)
class Table:
    """A table.

    Attributes:
        title: What it shows.
        head: Titles of the columns.
        rows: Cells, as many as ``head`` in each row.
        note: How to read it.
    """

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""

    def markdown(self) -> str:
        """The table in Markdown, without title and note."""
        lines = [self.head, tuple("---" for _ in self.head), *self.rows]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)

    def turned(self, width: int) -> Iterator[Table]:
        """Rows as columns, in as many tables as it takes for each to fit in ``width`` characters.

        For a terminal, which has no bold in plain text: a star stands for it.
        """
        labels = self.head[1:]
        start: list[tuple[str, ...]] = [("", *labels)]
        room = width - max(map(len, labels), default=0)
        columns, left = list(start), room
        for row in self.rows:
            column = tuple(_BOLD.sub(r"\1*", cell) for cell in row)
            needed = max(map(len, column)) + _GAP
            if needed > left and len(columns) > 1:
                yield self._of(columns)
                columns, left = list(start), room
            columns.append(column)
            left -= needed
        yield self._of(columns)

    def _of(self, columns: Sequence[tuple[str, ...]]) -> Table:
        head, *rows = zip(*columns, strict=True)
        return Table(self.title, head, tuple(rows), self.note.replace("bold", "a star"))


def subset_words(name: str) -> str:
    """``clean px16`` as a heading: "clean, 16 px"."""
    if name in ("natural", "hard"):
        return "natural" if name == "natural" else "mean of the hard ones"
    one, two = name.split(" ")
    return _WORDS[one] if one == two == "clean" else f"{_WORDS[one]}, {_WORDS[two]}"


def tables(results: Mapping[str, Any]) -> list[Table]:
    """All tables of a study's results (see ``compare.compare``)."""
    protocol = results["protocol"]
    far = f"{protocol['test']['far']:g}"
    fars = [f"{f:g}" for f in protocol["test"]["fars"]]
    found = [_rates(results, far)]
    found += [
        _differences(results, reference, far)
        for reference in results["differences"]
        if results["differences"][reference]
    ]
    found += [_rates(results, other) for other in fars if other != far]
    found += [_errors(results), _runs(results), _subsets(results)]
    return found


def _columns(results: Mapping[str, Any]) -> list[str]:
    """The mean of the hard subsets, which decides, and the subsets."""
    return [*(["hard"] if results["hard"] else []), *results["subsets"]]


def _rates(results: Mapping[str, Any], far: str) -> Table:
    names = _columns(results)
    rows = [
        (arm_words(arm), *(_rate(own["subsets"][name]["tar"].get(far, {})) for name in names))
        for arm, own in results["arms"].items()
    ]
    return Table(
        f"TAR at FAR {far}, %",
        ("", *map(subset_words, names)),
        tuple(rows),
        "Mean over the seeds, with its 95 % interval over people and seeds"
        f"{_lonely(results, 'it is over people only')}.{_lacking(results)}",
    )


def _differences(results: Mapping[str, Any], reference: str, far: str) -> Table:
    names = _columns(results)
    rows = [
        (arm_words(arm), *(_difference(own[name].get(far, {})) for name in names))
        for arm, own in results["differences"][reference].items()
    ]
    other = "the network before training" if reference == BEFORE else reference
    return Table(
        f"TAR at FAR {far}, points more than {other}",
        ("", *map(subset_words, names)),
        tuple(rows),
        "Difference of the means, and its 95 % interval over people and seeds; bold: the interval does not "
        f"hold 0{_lonely(results, 'it is over people only, and never bold')}.{_lacking(results)}",
    )


def _errors(results: Mapping[str, Any]) -> Table:
    names = _columns(results)
    rows, kind = [], results["pairs"].get("accuracy", "accuracy")
    for arm, own in results["arms"].items():
        accuracy = "–" if own["accuracy"] is None else _mean(own["accuracy"], 2)
        rows.append((arm_words(arm), accuracy, *(_mean(own["subsets"][name]["eer"]) for name in names)))
    pairs = results["pairs"]
    return Table(
        f"{kind.capitalize()} and equal error rates, %",
        ("", f"{kind}, clean pairs", *(f"EER {subset_words(name)}" for name in names)),
        tuple(rows),
        f"{kind.capitalize()}: ten-fold, {pairs['same']:,} same and {pairs['different']:,} different clean "
        "pairs. ± is half of Student's 95 % interval over the seeds"
        + (f"; it takes {MIN_SEEDS} seeds" if min(_seeds(results)) < MIN_SEEDS else "")
        + f".{_lacking(results)}",
    )


def _runs(results: Mapping[str, Any]) -> Table:
    fixed = len(results["protocol"]["validation"]["interpolate"]) == 1
    rule = "the same for all" if fixed else "chosen on the validation people"
    rows = []
    for run in results["runs"]:
        trained = run.get("seconds_training")
        rows.append(
            (
                arm_words(run["arm"]),
                str(run["seed"]) if trained is not None else "–",
                f"{run['steps']:,}" if "steps" in run else "–",
                f"{run['interpolate']:g}" if "interpolate" in run else "–",
                "–" if trained is None else f"{trained / 60:.1f}",
            )
        )
    return Table(
        "Runs",
        ("", "seed", "steps", "a", "minutes of training"),
        tuple(rows),
        f"a: how far from the first weights to the trained ones, {rule}.",
    )


def _subsets(results: Mapping[str, Any]) -> Table:
    rows = tuple(
        (
            subset_words(name),
            f"{own['photos']:,}",
            f"{own['people']:,}",
            f"{own['same']:,}",
            f"{own['different']:,}",
        )
        for name, own in results["subsets"].items()
    )
    return Table("What was compared", ("subset", "photos", "people", "same pairs", "different pairs"), rows)


def arm_words(name: str) -> str:
    """An arm's name as a heading."""
    return "before training" if name == BEFORE else name


def _mean(value: Mapping[str, Any] | None, digits: int = 1) -> str:
    """A mean and its interval over the seeds, which is left out where it holds what no rate can be."""
    if value is None:
        return _UNKNOWN
    half = value.get("half")
    inside = half is not None and value["mean"] - half >= 0 and value["mean"] + half <= 1
    return f"{100 * value['mean']:.{digits}f}" + (f" ± {100 * half:.{digits}f}" if half and inside else "")


def _lonely(results: Mapping[str, Any], words: str) -> str:
    """What to add to a note where an arm has too few seeds to say what another one would give."""
    few = min(_seeds(results), default=MIN_SEEDS)
    return f"; where an arm has fewer than {MIN_SEEDS} seeds {words}" if few < MIN_SEEDS else ""


def _lacking(results: Mapping[str, Any]) -> str:
    """Sentences for the subsets without figures or without intervals."""
    sentences = [
        f" {subset_words(name).capitalize()}: not measurable: {own['reason']}."
        for name, own in results["subsets"].items()
        if "reason" in own
    ]
    shown = [own for own in results["subsets"].values() if "reason" not in own]
    few = {own["few_people"] for own in shown if "few_people" in own}
    if few:
        sentences.append(
            f" No interval where only {min(few)} people have a same pair; it takes {MIN_PEOPLE}."
        )
    return "".join(sentences)


def _seeds(results: Mapping[str, Any]) -> set[int]:
    """How many seeds an arm has, of all arms."""
    return set(Counter(run["arm"] for run in results["runs"] if run["arm"] != BEFORE).values())


def _rate(value: Mapping[str, Any]) -> str:
    if not value:
        return _UNKNOWN
    mean = f"{100 * value['mean']:.1f}"
    if "low" not in value:
        return mean
    return f"{mean} ({100 * max(value['low'], 0.0):.1f} to {100 * min(value['high'], 1.0):.1f})"


def _difference(value: Mapping[str, float]) -> str:
    if not value:
        return _UNKNOWN
    text = f"{100 * value['mean']:+.1f}"
    if "low" not in value:
        return text
    sure = value["seeds"] >= MIN_SEEDS and (value["low"] > 0 or value["high"] < 0)
    text = f"**{text}**" if sure else text
    return f"{text} ({100 * value['low']:+.1f} to {100 * value['high']:+.1f})"


def markdown(results: Mapping[str, Any]) -> str:
    """The report in Markdown."""
    parts = [f"# {results['protocol']['study']['name']}", *finding(results), *facts(results)]
    for table in tables(results):
        parts += [f"## {table.title}", table.markdown(), *([table.note] if table.note else [])]
    return "\n\n".join(parts) + "\n"


def facts(results: Mapping[str, Any]) -> Sequence[str]:
    """What was done, in sentences."""
    protocol, counts = results["protocol"], results["parts"]
    judge = protocol["study"]["judge"]
    train, judged = counts["train"], counts[judge]
    least, most = min(_seeds(results)), max(_seeds(results))
    times = counted(most, "seed", "seeds") if least == most else f"{least} to {most} seeds"
    return [
        f"Trained on {train['photos']:,} photos of {train['people_trained']:,} people; judged by "
        f"{judged['photos']:,} photos of {judged['people_compared']:,} other people ({judge} part). "
        f"{times} an arm. Nobody is in two parts; split.json names all.",
    ]
