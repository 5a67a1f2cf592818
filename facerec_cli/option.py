"""What is declared of a setting beside its type and default, and whether a value fits that."""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import MISSING, dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

Names = Iterable[str] | Callable[[], Iterable[str]]


@dataclass(frozen=True, slots=True)
class Option:
    """What is declared of a setting beside its type and default, as ``Annotated[type, Option(...)]``.

    Attributes:
        help: One sentence for ``--help`` and the docs.
        panel: Heading of the group of flags that it is shown in.
        flag: The flag, ``--faces`` or ``--freeze-bn/--train-bn``; None makes it of the field's name, "" is
            for a setting that only files and ``--set`` can give.
        short: A flag of one letter, ``-b``.
        metavar: What stands for the value in ``--help``.
        choices: The values that there are: names, a table of ``registry``, or a callable that gives names. A
            ``Literal`` has its choices in its type.
        offers: Values to offer where others are taken too.
        ge, gt, le, lt: The range of a number, or of each number of a list.
        unit: Of the number, in the plural.
        hidden: Not shown in ``--help``.
        rule: Takes a value of the right type and gives it back, or another way to write it; raises ValueError
            with what it must be ("an http(s) address").
        parse: Makes the value of the text of the flag, where a value is more than one text or number; raises
            ValueError with what the text must be.
        keys: Of a table: the only keys that the document has of it, each of which has to be there.
        others: A dictionary that takes the keys of its table that no other field has.

    In ``help``, ``{choices}`` stands for the values that there are ("main, center or largest"), and
    ``{default}`` for the default of what is decided later, which the program does not show of itself.
    """

    help: str = ""
    _: dataclasses.KW_ONLY
    panel: str | None = None
    flag: str | None = None
    short: str | None = None
    metavar: str | None = None
    choices: Names = ()
    offers: Names = ()
    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None
    unit: str = ""
    hidden: bool = False
    rule: Callable[[Any], Any] | None = None
    parse: Callable[[str], Any] | None = None
    keys: tuple[str, ...] = ()
    others: bool = False


@dataclass(frozen=True, slots=True)
class Field:
    """One setting.

    Attributes:
        name: Of the dataclass's field.
        kind: Its type, without ``Annotated``.
        default: Its value where it is not given; ``dataclasses.MISSING`` where it has to be.
        option: What is declared of it.
    """

    name: str
    kind: Any
    default: Any
    option: Option

    @property
    def flag(self) -> str:
        """Its flag with two dashes, "" where it has none."""
        flag = self.option.flag
        return "--" + self.name.replace("_", "-") if flag is None else flag.partition("/")[0]

    @property
    def choices(self) -> tuple[str, ...]:
        """The values that there are; empty where it is no choice."""
        return choices_of(item_type(self.kind), self.option)

    @property
    def offers(self) -> tuple[str, ...]:
        """Values to offer when one is typed."""
        return self.choices or listed(self.option.offers)


def options(kind: Any) -> tuple[Field, ...]:
    """The settings of a dataclass, or of a function: its arguments that have a default."""
    if kind not in _read:
        types = get_type_hints(kind, include_extras=True)
        defaults = _defaults(kind)
        _read[kind] = tuple(_field(name, types[name], default) for name, default in defaults.items())
    return _read[kind]


_read: dict[Any, tuple[Field, ...]] = {}  # by class: annotations are texts, which take time to evaluate


def _defaults(kind: Any) -> dict[str, Any]:
    if dataclasses.is_dataclass(kind):
        return {
            field.name: field.default if field.default_factory is MISSING else field.default_factory()
            for field in dataclasses.fields(kind)
        }
    arguments = inspect.signature(kind).parameters.values()
    return {one.name: one.default for one in arguments if one.default is not one.empty}


def _field(name: str, kind: Any, default: Any) -> Field:
    option = Option()
    if get_origin(kind) is Annotated:
        kind, *marks = get_args(kind)
        option = next((mark for mark in marks if isinstance(mark, Option)), option)
    return Field(name, kind, default, option)


def keys(kind: Any) -> Iterator[str]:
    """Every key that a document of ``kind`` can have, with its table: ``data.path``, ``optimizer.lr``."""
    for field in options(kind):
        if dataclasses.is_dataclass(inner := plain(field.kind)):
            yield from (f"{field.name}.{key}" for key in field.option.keys or keys(inner))
        elif not field.option.others:
            yield field.name


class Unfit(Exception):  # noqa: N818 - says what a value must be
    """A value that does not fit; its text, where there is one, overrules what :func:`must_be` says.

    Of a list, ``item`` is the first that does not fit, and ``inner`` says what it must be.
    """

    def __init__(self, must: str = "", *, item: Any = None, inner: Unfit | None = None) -> None:
        super().__init__(must)
        self.item, self.inner = item, inner


def fit(kind: Any, option: Option, value: Any) -> Any:
    """``value`` as the type ``kind``, which is not optional any more.

    Raises:
        Unfit: It has the wrong type, is no choice or is out of its range.
    """
    if get_origin(kind) is tuple:
        parts = get_args(kind)
        fixed = None if parts[-1] is Ellipsis else len(parts)
        items = value if isinstance(value, list | tuple) or fixed else [value]
        if not isinstance(items, list | tuple) or fixed not in (None, len(items)):
            raise Unfit
        done: list[Any] = []
        try:
            for item in items:
                done.append(fit(parts[0], option, item))
        except Unfit as unfit:
            must = f"a list, each {unfit}" if str(unfit) else ""
            raise Unfit(must, item=items[len(done)], inner=unfit) from None
        return tuple(done)
    if get_origin(kind) is dict:
        wanted = get_args(kind)[1]
        if not isinstance(value, dict) or not all(wanted is Any or type(v) is wanted for v in value.values()):
            raise Unfit
        return dict(value)
    if kind is float and type(value) is int:
        value = float(value) if abs(value) < 1 << 64 else math.inf
    if type(value) is not (str if get_origin(kind) is Literal else kind):
        raise Unfit
    return in_bounds(option, choices_of(kind, option), value)


def in_bounds(option: Option, choices: tuple[str, ...], value: Any) -> Any:
    """``value``, as its rule writes it.

    Raises:
        Unfit: It is no choice, not finite or out of its range.
    """
    bounds = (option.ge, option.gt, option.le, option.lt)
    if isinstance(value, float) and not math.isfinite(value) and not any(b is not None for b in bounds):
        raise Unfit("a finite number")
    try:
        fits = (
            (not choices or value in choices)
            and (not isinstance(value, float) or math.isfinite(value))
            and (option.ge is None or value >= option.ge)
            and (option.gt is None or value > option.gt)
            and (option.le is None or value <= option.le)
            and (option.lt is None or value < option.lt)
        )
    except TypeError:  # no number at all
        fits = False
    if not fits:
        raise Unfit
    try:
        return value if option.rule is None else option.rule(value)
    except ValueError as fault:
        raise Unfit(str(fault)) from None


def rate(text: str) -> float:
    """A way to parse a flag: a share, also as a percentage, ``0.01`` or ``1%``.

    Raises:
        ValueError: With what the text must be.
    """
    number = text.strip()
    try:
        share = float(number.removesuffix("%")) / (100 if number.endswith("%") else 1)
    except ValueError:
        share = math.nan
    if not 0 < share < 1:
        raise ValueError("a rate between 0 and 1, such as 0.01 or 1%")
    return share


def filled(value: str) -> str:
    """A rule: text that is not blank."""
    if not value.strip():
        raise ValueError("text that is not empty")
    return value


def plain(kind: Any) -> Any:
    """``kind`` without ``| None``."""
    if get_origin(kind) in (Union, UnionType):
        kinds = [one for one in get_args(kind) if one is not NoneType]
        return kinds[0] if len(kinds) == 1 else kind
    return kind


def item_type(kind: Any) -> Any:
    """The type of one value of ``kind``, which may be a tuple of them."""
    kind = plain(kind)
    return get_args(kind)[0] if get_origin(kind) is tuple else kind


def listed(names: Names) -> tuple[str, ...]:
    """``names`` as a tuple, called if it is a function."""
    return tuple(names() if callable(names) else names)


def choices_of(kind: Any, option: Option) -> tuple[str, ...]:
    """The values of the type ``kind`` that there are; empty where it is no choice."""
    return get_args(kind) if get_origin(kind) is Literal else listed(option.choices)


def must_be(kind: Any, option: Option) -> str:
    """What a value must be: "a whole number from 1 to 1,024", "one of rgb, bgr"."""
    kind = plain(kind)
    if get_origin(kind) is tuple:
        parts = get_args(kind)
        count = "" if parts[-1] is Ellipsis else f" of {len(parts)}"
        return f"a list{count}, each {must_be(parts[0], option)}"
    if choices := choices_of(kind, option):
        return f"one of {', '.join(choices)}"
    if get_origin(kind) is dict:
        return "a table of texts" if get_args(kind)[1] is str else "a table"
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    return words.get(kind, "a value of its kind") + _range(option)


def _range(option: Option) -> str:
    unit = f" {option.unit}" if option.unit else ""
    if option.ge is not None and option.le is not None:
        return f" from {option.ge:,g} to {option.le:,g}{unit}"
    if option.gt is not None and option.lt is not None:
        return f" between {option.gt:,g} and {option.lt:,g}{unit}"
    bounds = [("of at least", option.ge), ("above", option.gt), ("at most", option.le), ("below", option.lt)]
    said = [f"{word} {bound:,g}" for word, bound in bounds if bound is not None]
    return f" {' and '.join(said)}{unit}" if said else ""
