"""A training run's settings: one TOML document in seven tables, typed, and checked without importing torch.

::

    [data]       what to train on, sampling, augmentation
    [backbone]   the network, where its weights start, what stays frozen; other keys are its own settings
    [loss]       name and sample_rate; every other key is a setting of that loss (``k`` of npt)
    [optimizer]  sgd or adamw, learning rates, decay, clipping
    [schedule]   how long, and how the learning rate moves
    [run]        folder, batch, device, precision, checkpoints
    [evaluate]   pairs to watch and the metric that names the best checkpoint

A setting that is left out is decided by :mod:`facerec_cli.training.defaults` from the data and the device;
``recipe.toml`` in the run's folder holds what was decided.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from facerec_cli.errors import InputError, UsageError
from facerec_cli.spelling import american
from facerec_cli.suggest import guess, nearest
from facerec_cli.untrusted import parse_toml


@dataclass(frozen=True, slots=True)
class DataSettings:
    """What to train on. Probabilities are per photo; see ``docs/data.md`` for the augmentations."""

    path: str = ""
    hard: tuple[str, ...] = ()
    degradations: tuple[str, ...] = ("lowres",)
    identity_share: float = 0.5
    photos_per_identity: int = 4
    singles: float = 1 / 3
    degraded: float | None = None
    flip: float = 0.5
    crop: float = 0.0
    lowres: float = 0.0
    photometric: float = 0.0
    occlusion: float = 0.0
    workers: int | None = None
    max_broken: float = 0.01


@dataclass(frozen=True, slots=True)
class BackboneSettings:
    """The network. ``init``: a checkpoint of ours, ``sface``, or another project's (``adaface:FILE``)."""

    name: str | None = None
    embedding_size: int | None = None
    init: str = ""
    freeze: tuple[str, ...] = ()
    freeze_bn: bool | None = None
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LossSettings:
    """The loss; ``settings`` go to its constructor.

    ``class_weights``: ``random``, ``means`` of what the network of ``--init`` makes of each person, or a
    ``.npy`` of such means, (people, D), that several runs share.
    ``distill``: weight of the distill term beside the loss.
    """

    name: str = "arcface"
    sample_rate: float = 1.0
    class_weights: str | None = None
    distill: float = 0.0
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OptimizerSettings:
    """``head_lr`` and ``backbone_lr`` are factors on ``lr``; ``clip`` 0 is off; ``ema`` 0 is off."""

    name: str = "sgd"
    lr: float | None = None
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 5e-4
    head_lr: float = 1.0
    backbone_lr: float = 1.0
    clip: float = 5.0
    accumulate: int = 1
    ema: float = 0.0


@dataclass(frozen=True, slots=True)
class ScheduleSettings:
    """``warmup`` and ``milestones`` in epochs; ``steps`` overrules ``epochs`` when it is not 0."""

    name: str = "polynomial"
    epochs: int | None = None
    steps: int = 0
    warmup: float | None = None
    milestones: tuple[float, ...] = ()
    gamma: float = 0.1
    power: float = 2.0


@dataclass(frozen=True, slots=True)
class RunSettings:
    """``batch_size`` counts all processes' rows; ``checkpoint_every`` (steps) adds to each epoch's end."""

    out: str = ""
    batch_size: int | None = None
    device: str = "auto"
    precision: str = "auto"
    channels_last: bool = True
    compile: bool = False
    deterministic: bool = False
    sync_bn: bool = False
    seed: int = 0
    log_every: int | None = None
    checkpoint_every: int = 1000
    on_nan: str = "stop"
    tensorboard: bool = False


@dataclass(frozen=True, slots=True)
class EvaluateSettings:
    """``every`` is in epochs; ``best`` is accuracy or tar@FAR, taken on the first of ``sets``."""

    sets: tuple[str, ...] = ()
    every: int = 1
    flip: bool = False
    best: str = "accuracy"


@dataclass(frozen=True, slots=True)
class Recipe:
    """All settings of a run; see the module's description."""

    data: DataSettings = field(default_factory=DataSettings)
    backbone: BackboneSettings = field(default_factory=BackboneSettings)
    loss: LossSettings = field(default_factory=LossSettings)
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    schedule: ScheduleSettings = field(default_factory=ScheduleSettings)
    run: RunSettings = field(default_factory=RunSettings)
    evaluate: EvaluateSettings = field(default_factory=EvaluateSettings)


CHOICES: Mapping[str, tuple[str, ...]] = {
    "optimizer.name": ("sgd", "adamw"),
    "schedule.name": ("constant", "step", "polynomial", "cosine"),
    "run.precision": ("auto", "fp32", "bf16", "fp16"),
    "run.on_nan": ("stop", "rollback"),
}
_OPEN = ("loss", "backbone")  # tables whose other keys are settings of what they name
_LEAST: Mapping[str, float] = {
    "run.batch_size": 2, "run.log_every": 1, "run.checkpoint_every": 0, "schedule.epochs": 1,
    "schedule.steps": 0,
    "schedule.warmup": 0, "optimizer.accumulate": 1, "optimizer.clip": 0, "optimizer.weight_decay": 0,
    "backbone.embedding_size": 1, "evaluate.every": 1, "run.seed": 0, "data.workers": 0, "optimizer.ema": 0,
    "data.max_broken": 0, "data.degraded": 0, "loss.distill": 0,
}  # fmt: skip


def parse_recipe(document: Mapping[str, Any], where: str, base: Recipe | None = None) -> Recipe:
    """Lay the tables of ``document`` over ``base``.

    Args:
        document: What a TOML file says.
        where: Its file, for messages.
        base: Settings to start from; all left open where None.

    Raises:
        InputError: A key is not known (the message has the nearest one) or a value has the wrong type.
    """
    recipe = base or Recipe()
    for table, values in document.items():
        if not isinstance(values, Mapping):
            raise InputError(
                f"{where}: {table} is not a table.",
                hint=_in_a_table(table),
            )
        for key, value in values.items():
            try:
                recipe = changed(recipe, f"{table}.{key}", value)
            except UsageError as fault:
                raise InputError(f"{where}: {fault.message}", hint=fault.hint) from fault
    return recipe


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
    try:
        document = parse_toml(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as fault:
        raise InputError(
            f"{path} cannot be read as TOML: {fault}.", hint="Correct it; examples/recipes/ has whole ones."
        ) from fault
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


def changed(recipe: Recipe, key: str, value: Any) -> Recipe:
    """A recipe with ``key`` (``optimizer.lr``, or ``lr`` where that is clear) set to ``value``.

    Raises:
        UsageError: The key is not known, or the value does not fit it.
    """
    key = _full_key(american(key))
    table, _, name = key.partition(".")
    section = getattr(recipe, table)
    kinds = get_type_hints(type(section))
    if name in kinds and name != "settings":
        section = replace(section, **{name: checked(key, kinds[name], value)})
    else:  # a setting of the loss or backbone; its signature checks it once that is imported
        section = replace(section, settings={**section.settings, name: value})
    return replace(recipe, **{table: section})


def keys() -> Iterator[str]:
    """Every key with its table, ``data.path`` to ``evaluate.best``."""
    for table in fields(Recipe):
        for item in fields(table.default_factory):  # type: ignore[arg-type]
            if item.name != "settings":
                yield f"{table.name}.{item.name}"


def to_document(recipe: Recipe) -> dict[str, dict[str, Any]]:
    """The recipe as tables for TOML; what is still open is left out."""
    document: dict[str, dict[str, Any]] = {}
    for table in fields(Recipe):
        section = getattr(recipe, table.name)
        values = {f.name: getattr(section, f.name) for f in fields(section) if f.name != "settings"}
        values |= getattr(section, "settings", {})
        document[table.name] = {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in values.items()
            if value is not None
        }
    return document


def _full_key(key: str) -> str:
    known = list(keys())
    table, dot, name = key.partition(".")
    if key in known or (dot and table in _OPEN and name.isidentifier()):
        return key
    matches = [full for full in known if full.partition(".")[2] == key]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise UsageError(f"{key!r} could be {' or '.join(matches)}.", hint="Write it with its table.")
    tables = [item.name for item in fields(Recipe)]
    listed = [full.partition(".")[2] for full in known if full.startswith(f"{table}.")]
    rest = f"Known in [{table}]: {', '.join(listed)}." if listed else f"The tables are {', '.join(tables)}."
    raise UsageError(f"There is no setting {key!r}.", hint=guess(key, _guessed()) + rest)


def _guessed() -> list[str]:
    """What a key may have meant: every setting, and those that most losses have."""
    return [*keys(), "loss.margin", "loss.scale"]


def _in_a_table(name: str) -> str:
    """What to do about a setting that stands outside of the tables."""
    table, _, key = (nearest(name, _guessed()) or "").partition(".")
    advice = f"write {key} below [{table}]" if key else "write [optimizer], [loss] or another above it"
    return f"Settings are grouped in tables; {advice}."


def checked(key: str, kind: Any, value: Any) -> Any:
    """``value`` as the type ``kind`` of a setting: int becomes float, one value a tuple of it.

    Raises:
        UsageError: It does not fit; ``key`` names the setting.
    """
    if get_origin(kind) is UnionType:
        kind = get_args(kind)[0]
    if get_origin(kind) is tuple:
        item = get_args(kind)[0]
        values = value if isinstance(value, list | tuple) else [value]
        return tuple(checked(key, item, one) for one in values)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not kind:
        words = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
        raise UsageError(f"{key} = {value!r} does not fit.", hint=f"It must be {words[kind]}.")
    if key in CHOICES and value not in CHOICES[key]:
        raise UsageError(
            f"{key} cannot be {value!r}.",
            hint=f"{guess(value, CHOICES[key])}Known: {', '.join(CHOICES[key])}.",
        )
    if key in _LEAST and not value >= _LEAST[key]:
        raise UsageError(f"{key} = {value} does not fit.", hint=f"It must be at least {_LEAST[key]:g}.")
    return value


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
        flags: Key to value; None and empty lists are flags that were not given.
        assignments: ``key=value`` each.
        resume: Start from ``recipe.toml`` in the run's folder, if it is there.

    Raises:
        InputError: A recipe cannot be read or has an unknown key.
        UsageError: A flag or an assignment does not fit; there is neither a run to resume nor data for one.
    """

    def laid_over(base: Recipe) -> Recipe:
        chosen = base if recipe is None else read_recipe(recipe, base)
        for key, value in (flags or {}).items():
            if value is not None and value != []:
                chosen = changed(chosen, key, value)
        for assignment in assignments:
            chosen = assigned(chosen, assignment)
        return chosen

    chosen = laid_over(Recipe())
    saved = Path(chosen.run.out) / "recipe.toml"
    if resume and chosen.run.out and saved.is_file():
        chosen = laid_over(read_recipe(str(saved)))
    elif resume and not chosen.data.path:  # with data, what there is not yet is begun
        raise UsageError(
            f"{chosen.run.out} holds no run to go on with." if chosen.run.out else "No run is named.",
            hint="Name the folder of a run with --out, or begin one with --data.",
        )
    return chosen
