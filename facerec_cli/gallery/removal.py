"""Who is to be removed: named one by one, in a list, or by their date; ``erase.py`` has what is done."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from facerec_cli.errors import InputError, OutputError, UsageError
from facerec_cli.gallery.erase import RemovalProof, find_name
from facerec_cli.gallery.gallery import Gallery
from facerec_cli.gallery.info import SUFFIX
from facerec_cli.gallery.person import Person, person_name
from facerec_cli.tables.text import decode, read_text, split_lines

STDIN = "-"


def remove_people(
    gallery: Gallery, names: Sequence[str] = (), *, source: str = "", expired: bool = False
) -> list[RemovalProof]:
    """Remove people; nobody is, where one of the names is misspelt.

    Args:
        gallery: Open for writing.
        names: Whom; ``-`` stands for a list on standard input.
        source: A list, a name a line: a file, or ``-`` for standard input; "" for none.
        expired: Also everybody whose date has passed.

    Raises:
        UsageError: Nobody is named.
        InputError: Somebody is not in the gallery, or the list cannot be read; nobody was removed.
        OutputError: Something cannot be overwritten, or is left of somebody who was removed before.
    """
    if not names and not source and not expired:
        raise UsageError("Nobody is named.", hint="Name people, or give --from FILE or --expired.")
    wanted = [name for name in names if name != STDIN]
    if STDIN in names or source == STDIN:
        wanted += _names(decode(sys.stdin.buffer.read(), "standard input", "list of names"))
    if source and source != STDIN:
        wanted += _names(read_text(Path(source), "list of names"))
    chosen = {one.id: one for name in wanted for one in [_find(gallery, name)]}
    chosen |= {one.id: one for one in gallery.people() if expired and one.expired}
    return [gallery.remove(person) for person in chosen.values()]


def what_to_do(gallery: Gallery, people: Sequence[str], by_hand: Sequence[str]) -> str:
    """What ends a removal of which something is left.

    Args:
        gallery: The gallery.
        people: Who was removed.
        by_hand: From their proofs.
    """
    again = shlex.join(["facerec", "gallery", "remove", str(gallery.path).removesuffix(SUFFIX), *people])
    files = shlex.join(by_hand)
    if by_hand:
        return f"These are not the gallery's, so delete them by hand: {files}. Then look again: {again}"
    return f"The next change of the gallery tries again. Look again: {again}"


def _names(text: str) -> list[str]:
    return [line.strip() for line in split_lines(text) if line.strip()]


def _find(gallery: Gallery, name: str) -> Person:
    """A person; of one who is gone already, whether their name is."""
    try:
        return gallery.person(name)
    except InputError as fault:
        found = find_name(gallery._folder, person_name(name))
        if found.left:
            raise OutputError(
                f"{name!r} is not in the gallery any more, but something is left: {'; '.join(found.left)}.",
                hint=what_to_do(gallery, [name], found.by_hand),
            ) from fault
        raise InputError(
            f"{fault.message} No file of it has that name. Nobody was removed.", hint=fault.hint
        ) from fault
