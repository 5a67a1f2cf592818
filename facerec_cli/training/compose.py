"""Where a run's settings come from: recipes, flags and ``--set``, each laid over the one before."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from facerec_cli.errors import InputError, UsageError
from facerec_cli.settings import convert
from facerec_cli.spelling import american
from facerec_cli.suggest import guess
from facerec_cli.training.config import Recipe, recipe_settings
from facerec_cli.untrusted import parse_toml, read_toml

_LONGEST = 100  # letters of the data in the name of a folder
_LOSS_KEYS = ("loss.margin", "loss.scale")  # settings of most losses, which an unknown key may have meant


def parse_recipe(document: Mapping[str, Any], where: str, base: Recipe | None = None) -> Recipe:
    """Lay the tables of ``document`` over ``base``.

    Args:
        document: What a TOML file says.
        where: Its file, for messages.
        base: Settings to start from; all left open where None.

    Raises:
        InputError: A key is not known (the message has the nearest one) or a value has the wrong type.
    """
    return convert(document, Recipe, source=where, base=base, also=_LOSS_KEYS)


def read_recipe(reference: str, base: Recipe | None = None) -> Recipe:
    """Read a recipe file, or one that ships with facerec, by its name.

    Raises:
        InputError: It does not exist or is not a recipe.
    """
    path = Path(reference)
    if not path.is_file():
        shipped = shipped_recipes()
        if reference not in shipped:
            raise InputError(
                f"There is no recipe {reference!r}.",
                hint=f"{guess(reference, shipped)}Give a .toml file or one of: "
                f"{', '.join(shipped) or 'none is installed'}.",
            )
        path = shipped[reference]
    document = read_toml(path, advice="Correct it; examples/recipes/ has whole ones.")
    return parse_recipe(document, str(path), base)


def shipped_recipes() -> dict[str, Path]:
    """The recipes that come with facerec: inside the package, or in ``examples/`` of a checkout."""
    here = Path(__file__).resolve()
    folders = (here.parent / "recipes", here.parents[2] / "examples" / "recipes")
    return {
        p.stem: p for folder in reversed(folders) if folder.is_dir() for p in sorted(folder.glob("*.toml"))
    }


def assigned(recipe: Recipe, assignment: str) -> Recipe:
    """Apply one ``--set key=value``; the value is TOML, or text where it is not.

    Raises:
        UsageError: The key is not known, or the value does not fit it.
    """
    return changed(recipe, *parse_assignment(assignment, "loss.k=6"))


def parse_assignment(assignment: str, example: str) -> tuple[str, Any]:
    """Key and value of one ``--set key=value``; the value is TOML, or text where it is not.

    Raises:
        UsageError: There is no ``=``.
    """
    key, equals, text = assignment.partition("=")
    if not equals:
        raise UsageError(
            f"--set {assignment} has no value.", hint=f"Write --set key=value, e.g. --set {example}."
        )
    try:
        value = parse_toml(f"value = {text.strip()}")["value"]
    except ValueError:
        value = text.strip()
    return key.strip(), value


def changed(recipe: Recipe, key: str, value: Any, *, typed: str = "") -> Recipe:
    """A recipe with ``key`` (``optimizer.lr``, or ``lr`` where that is clear) set to ``value``.

    Args:
        recipe: The settings so far; they stay as they are.
        key: Which one.
        value: What it becomes.
        typed: What the user calls it in place of ``key``: the flag.

    Raises:
        UsageError: The key is not known, or the value does not fit it.
    """
    table, dot, name = american(key).partition(".")
    if not dot:
        known = list(recipe_settings())
        matches = [full for full in known if full.partition(".")[2] == table]
        if len(matches) > 1:
            raise UsageError(f"{key!r} could be {' or '.join(matches)}.", hint="Write it with its table.")
        if not matches:
            tables = dict.fromkeys(full.partition(".")[0] for full in known)
            hint = f"{guess(key, [*known, *_LOSS_KEYS])}The tables are {', '.join(tables)}."
            raise UsageError(f"There is no setting {key!r}.", hint=hint)
        table, _, name = matches[0].partition(".")
    return convert(
        {table: {name: value}}, Recipe, base=recipe, typed=typed or key, error=UsageError, also=_LOSS_KEYS
    )


def compose(
    *,
    recipe: str | None = None,
    flags: Mapping[str, Any] | None = None,
    assignments: Sequence[str] = (),
    resume: bool = False,
) -> Recipe:
    """The settings of a run: a resumed run's own, then a recipe, then flags, then ``--set``.

    Args:
        recipe: File, or name of one that ships with facerec.
        flags: Key to value, settings of the loss and the backbone too (``loss.k``); None and empty lists are
            flags that were not given.
        assignments: ``key=value`` each.
        resume: Start from ``recipe.toml`` in the run's folder, if it is there.

    Raises:
        InputError: A recipe cannot be read or has an unknown key.
        UsageError: A flag or an assignment is not known or does not fit; there is neither a run to resume nor
            data for one.
    """
    out = (flags or {}).get("run.out")
    if isinstance(out, str) and not out.strip():
        raise UsageError("--out names no folder.", hint="Name one, or leave --out out for runs/LOSS-DATA.")

    def laid_over(base: Recipe) -> Recipe:
        result = base if recipe is None else read_recipe(recipe, base)
        for key, value in (flags or {}).items():
            if value is not None and value != []:
                result = changed(result, key, value, typed=flag_of.get(key, ""))
        for assignment in assignments:
            result = assigned(result, assignment)
        return result

    flag_of = {key: field.flag for key, field in recipe_settings().items()}
    result = laid_over(Recipe())
    saved = Path(result.run.out) / "recipe.toml"
    if resume and result.run.out and saved.is_file():
        result = laid_over(read_recipe(str(saved)))
    elif resume and not result.data.path:  # with data, what there is not yet is begun
        raise UsageError(
            f"{result.run.out} holds no run to go on with." if result.run.out else "No run is named.",
            hint="Name the folder of a run with --out, or begin one with --data.",
        )
    if result.data.path and not result.run.out:
        result = changed(result, "run.out", default_folder(result))
    return result


def default_folder(recipe: Recipe) -> str:
    """The folder of a run that nobody has named: ``runs/npt-hard`` for the loss npt and ``hard.txt``.

    Several data sets are all named: ``runs/npt-ms1m+glint``.
    """
    stems = "+".join(Path(path).stem for path in recipe.data.path)
    data = re.sub(r"[^\w.+-]+", "-", stems)[:_LONGEST].strip("-.") or "data"
    return f"runs/{recipe.loss.name}-{data}"
