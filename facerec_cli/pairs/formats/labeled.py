"""Lists of two paths and a label a line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from facerec_cli.pairs.known import explain_known
from facerec_cli.pairs.names import has_suffix
from facerec_cli.pairs.pair_format import ListHead, PairFormat
from facerec_cli.pairs.pairlist import PairList
from facerec_cli.pairs.people_by_name import people_by_name
from facerec_cli.pairs.text_rows import broken, read_list, without_heading
from facerec_cli.tables.rows import word

#: What people write for the two labels.
LABELS = {
    **dict.fromkeys(("1", "1.0", "same", "true", "yes", "genuine", "match", "positive"), True),
    **dict.fromkeys(("0", "0.0", "-1", "different", "diff", "false", "no", "impostor", "mismatch"), False),
    **dict.fromkeys(("negative", "non-match"), False),
}

_LABEL_WORDS = ("label", "same", "is_same", "issame", "match", "target", "genuine", "y")


class Labeled(PairFormat):
    """``path path label``, or a table with these three columns, with or without a heading."""

    description = "`path path label` with blanks, tabs, commas or semicolons, with or without a heading"

    def recognizes(self, head: ListHead) -> bool:
        """Whether there are three columns and the third is a label, or two name photos and one is a label."""
        rows = [fields for _, fields in without_heading(head.rows)]
        labels_third = {len(fields) for fields in rows} == {3} and any(
            label_of(fields[2]) is not None for fields in rows[:2]
        )
        return (labels_third or _columns(rows) is not None) and explain_known(head) is None

    def read(self, path: Path) -> PairList:
        """Read it. A first line without paths, or whose label is not like the others, is a heading."""
        sides: list[str] = []
        same: list[bool] = []
        rows = read_list(path)
        first = [fields for _, fields in rows[:200]]
        columns = _columns(first)
        a, b, at = columns or (0, 1, 2)
        if rows and (columns is not None or _is_heading(first)):
            top = first[0] if len(first[0]) == len(first[-1]) else []
            is_heading = columns is None or not top or label_of(top[at]) is None or not has_suffix(top[a])
            del rows[: int(is_heading)]
        for line, fields in rows:
            width = 3 if columns is None else len(first[-1])
            label = label_of(fields[at]) if len(fields) == width else None
            if label is None:
                raise broken(
                    path, line, fields, "`path path label` with a label such as 0, 1, same, different"
                )
            sides += [fields[a], fields[b]]
            same.append(label)
        pairs = PairList.from_names(sides, same)
        return replace(pairs, identity=people_by_name(pairs.names, pairs.first, pairs.second, pairs.same))


def label_of(text: str) -> bool | None:
    """What a label says; numbers may be written as 1.000000."""
    label = text.strip().strip("\"'").lower()
    return LABELS.get(re.sub(r"^(-?[01])\.0*$", r"\1", label))


def _columns(rows: Sequence[Sequence[str]]) -> tuple[int, int, int] | None:
    """Which columns are the two paths and the label, where these are not the three that there are, in order.

    Two columns must name photos by their suffixes; if several could be the label, the heading has to name it.
    """
    body = rows[1:] or rows
    width = len(body[0]) if body else 0
    if width < 3 or any(len(fields) != width for fields in body):
        return None
    paths = [at for at in range(width) if all(has_suffix(fields[at]) for fields in body)]
    labels = [at for at in range(width) if all(label_of(fields[at]) is not None for fields in body)]
    if len(labels) > 1:
        labels = [at for at in labels if at < len(rows[0]) and word(rows[0][at]) in _LABEL_WORDS]
    if len(paths) != 2 or len(labels) != 1 or (width == 3 and labels == [2]):
        return None
    return paths[0], paths[1], labels[0]


def _is_heading(rows: Sequence[Sequence[str]]) -> bool:
    """``first,second,label``; and ``first,second,same`` above numbers, though "same" is a label elsewhere."""
    first = rows[0]
    if len(first) != 3 or any(Path(field).suffix for field in first[:2]):
        return False
    if first[2].lower() not in LABELS:
        return True
    words = [len(fields) == 3 and fields[2].isalpha() for fields in rows]
    return words[0] and len(rows) > 1 and not any(words[1:])
