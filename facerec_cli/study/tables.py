"""The results of a study as tables of text; Markdown and HTML show the same ones."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from facerec_cli.metrics.bootstrap import MIN_PEOPLE
from facerec_cli.study.comparison import CLEAN, HARD, MIN_SEEDS, Comparison, Difference, MeanOverSeeds
from facerec_cli.study.finding import finding
from facerec_cli.study.protocol import BEFORE
from facerec_cli.study.searches import SEARCH_FPIR
from facerec_cli.study.subsets import NATURAL
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
    CLEAN: "clean",
    NATURAL: "natural",
    HARD: "mean of the hard ones",
}


@dataclass(frozen=True, slots=True)
class ResultTable:
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

    def turned(self, width: int) -> Iterator[ResultTable]:
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

    def _of(self, columns: Sequence[tuple[str, ...]]) -> ResultTable:
        head, *rows = zip(*columns, strict=True)
        return ResultTable(self.title, head, tuple(rows), self.note.replace("bold", "a star"))


def subset_words(name: str) -> str:
    """``clean px16`` as a heading: "clean, 16 px"."""
    if name in _WORDS:
        return _WORDS[name]
    first, second = name.split(" ")
    return f"{_WORDS[first]}, {_WORDS[second]}"


def tables(results: Comparison) -> list[ResultTable]:
    """All tables of a study's results: the rates, the differences to each reference, then the others."""
    return [
        _rates(results, results.far),
        *(_differences(results, reference) for reference, arms in results.differences.items() if arms),
        *([_tpir(results)] if results.tpir_differences else []),
        *(_rates(results, f"{far:g}") for far in results.protocol.test.fars if f"{far:g}" != results.far),
        _errors(results),
        _runs(results),
        _subsets(results),
    ]


def _tpir(results: Comparison) -> ResultTable:
    arms = results.arms.items()
    names = [name for name in _columns(results) if any(own.subsets[name].tpir for _, own in arms)]
    return ResultTable(
        f"TPIR at FPIR {SEARCH_FPIR:g}, %",
        ("", *map(subset_words, names)),
        tuple((arm_words(arm), *(_rate(own.subsets[name].tpir) for name in names)) for arm, own in arms),
        "Half of the judged people are enrolled with a photo each; their other photos, and all of the other "
        "half's, are searched for; and the other way round. Mean of both, with its 95 % interval over people "
        f"searched for and seeds{_few_seeds(results, 'it is over people only')}.",
    )


def _searched(results: Comparison) -> str | None:
    """The subset whose TPIR stands beside the rates: the deciding one, if people were searched for in it."""
    found = [own.subsets[results.deciding].tpir for own in results.arms.values()]
    return results.deciding if any(found) else None


def _columns(results: Comparison) -> list[str]:
    """The mean of the hard subsets, which decides, and the subsets."""
    return [*([HARD] if results.hard else []), *results.subsets]


def _rates(results: Comparison, far: str) -> ResultTable:
    names = _columns(results)
    searched = _searched(results) if far == results.far else None
    rows = [
        (
            arm_words(name),
            *([_rate(arm.subsets[searched].tpir)] if searched else []),
            *(_rate(arm.subsets[subset].tar.get(far)) for subset in names),
        )
        for name, arm in results.arms.items()
    ]
    return ResultTable(
        f"TAR at FAR {far}, %",
        ("", *([_tpir_words(searched)] if searched else []), *map(subset_words, names)),
        tuple(rows),
        "Mean over the seeds, with its 95 % interval over people and seeds"
        f"{_few_seeds(results, 'it is over people only')}.{_not_measurable(results)}",
    )


def _differences(results: Comparison, reference: str) -> ResultTable:
    names, searched = _columns(results), _searched(results)
    found = (results.tpir_differences or {}).get(reference, {})
    rows = [
        (
            arm_words(arm),
            *([_difference(found.get(arm, {}).get(searched))] if searched else []),
            *(_difference(by_subset[name].get(results.far)) for name in names),
        )
        for arm, by_subset in results.differences[reference].items()
    ]
    other = "the network before training" if reference == BEFORE else reference
    return ResultTable(
        f"TAR at FAR {results.far}, points more than {other}",
        ("", *([_tpir_words(searched)] if searched else []), *map(subset_words, names)),
        tuple(rows),
        "Difference of the means, and its 95 % interval over people and seeds; bold: the interval does not "
        f"hold 0{_few_seeds(results, 'it is over people only, and never bold')}.{_not_measurable(results)}",
    )


def _tpir_words(subset: str) -> str:
    return f"TPIR at FPIR {SEARCH_FPIR:g}, {subset_words(subset)}"


def _errors(results: Comparison) -> ResultTable:
    names, pairs = _columns(results), results.pairs
    rows = [
        (
            arm_words(name),
            "–" if arm.accuracy is None else _mean(arm.accuracy, 2),
            *(_mean(arm.subsets[subset].eer) for subset in names),
        )
        for name, arm in results.arms.items()
    ]
    return ResultTable(
        f"{pairs.accuracy.capitalize()} and equal error rates, %",
        ("", f"{pairs.accuracy}, clean pairs", *(f"EER {subset_words(name)}" for name in names)),
        tuple(rows),
        f"{pairs.accuracy.capitalize()}: ten-fold, {pairs.same:,} same and {pairs.different:,} different "
        "clean pairs. ± is half of Student's 95 % interval over the seeds"
        + (f"; it takes {MIN_SEEDS} seeds" if min(_seeds(results)) < MIN_SEEDS else "")
        + f".{_not_measurable(results)}",
    )


def _runs(results: Comparison) -> ResultTable:
    fixed = len(results.protocol.validation.interpolate) == 1
    rule = "the same for all" if fixed else "chosen on the validation people"
    rows = [
        (
            arm_words(run.arm),
            "–" if run.seconds_training is None else str(run.seed),
            "–" if run.steps is None else f"{run.steps:,}",
            "–" if run.interpolate is None else f"{run.interpolate:g}",
            "–" if run.seconds_training is None else f"{run.seconds_training / 60:.1f}",
        )
        for run in results.runs
    ]
    return ResultTable(
        "Runs",
        ("", "seed", "steps", "a", "minutes of training"),
        tuple(rows),
        f"a: how far from the first weights to the trained ones, {rule}.",
    )


def _subsets(results: Comparison) -> ResultTable:
    rows = [
        (subset_words(name), *(f"{n:,}" for n in (own.photos, own.people, own.same, own.different)))
        for name, own in results.subsets.items()
    ]
    head = ("subset", "photos", "people", "same pairs", "different pairs")
    return ResultTable("What was compared", head, tuple(rows))


def arm_words(name: str) -> str:
    """An arm's name as a heading."""
    return "before training" if name == BEFORE else name


def _mean(value: MeanOverSeeds | None, digits: int = 1) -> str:
    """A mean and its interval over the seeds, which is left out where it holds what no rate can be."""
    if value is None:
        return _UNKNOWN
    mean, half = value.mean, value.half
    inside = half and mean - half >= 0 and mean + half <= 1
    return f"{100 * mean:.{digits}f}" + (f" ± {100 * half:.{digits}f}" if half and inside else "")


def _few_seeds(results: Comparison, words: str) -> str:
    """What to add to a note where an arm has too few seeds to say what another one would give."""
    few = min(_seeds(results), default=MIN_SEEDS)
    return f"; where an arm has fewer than {MIN_SEEDS} seeds {words}" if few < MIN_SEEDS else ""


def _not_measurable(results: Comparison) -> str:
    """Sentences for the subsets without figures or without intervals."""
    sentences = [
        f" {subset_words(name).capitalize()}: not measurable: {own.reason}."
        for name, own in results.subsets.items()
        if own.reason is not None
    ]
    few = [results.subsets[name].few_people for name in results.measured]
    least = min((number for number in few if number is not None), default=None)
    if results.no_searches:
        sentences.append(f" TPIR at FPIR {SEARCH_FPIR:g}: not measurable: {results.no_searches}.")
    if least is not None:
        sentences.append(f" No interval where only {least} people have a same pair; it takes {MIN_PEOPLE}.")
    return "".join(sentences)


def _seeds(results: Comparison) -> set[int]:
    """How many seeds an arm has, of all arms."""
    return set(Counter(run.arm for run in results.runs if run.arm != BEFORE).values())


def _rate(value: MeanOverSeeds | None) -> str:
    if value is None:
        return _UNKNOWN
    mean = f"{100 * value.mean:.1f}"
    if value.low is None or value.high is None:
        return mean
    return f"{mean} ({100 * max(value.low, 0.0):.1f} to {100 * min(value.high, 1.0):.1f})"


def _difference(value: Difference | None) -> str:
    if value is None:
        return _UNKNOWN
    text = f"{100 * value.mean:+.1f}"
    if value.low is None or value.high is None:
        return text
    sure = value.interval and (value.low > 0 or value.high < 0)
    return f"{f'**{text}**' if sure else text} ({100 * value.low:+.1f} to {100 * value.high:+.1f})"


def markdown(results: Comparison) -> str:
    """The report in Markdown."""
    parts = [f"# {results.protocol.study.name}", *finding(results), *facts(results)]
    for table in tables(results):
        parts += [f"## {table.title}", table.markdown(), *([table.note] if table.note else [])]
    return "\n\n".join(parts) + "\n"


def facts(results: Comparison) -> list[str]:
    """What was done, in sentences."""
    judge = results.protocol.study.judge
    train, judged = results.parts["train"], results.parts[judge]
    least, most = min(_seeds(results)), max(_seeds(results))
    times = counted(most, "seed", "seeds") if least == most else f"{least} to {most} seeds"
    return [
        f"Trained on {train['photos']:,} photos of {train['people_trained']:,} people; judged by "
        f"{judged['photos']:,} photos of {judged['people_compared']:,} other people ({judge} part). "
        f"{times} an arm. Nobody is in two parts; split.json names all.",
    ]
