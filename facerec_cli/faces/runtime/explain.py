"""What a fault of ONNX Runtime means for somebody who has a model file, and what would help."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from pathlib import Path

from facerec_cli.errors import FacerecError, ModelError
from facerec_cli.resources import resource_error

log = logging.getLogger("facerec")

_AGAIN = "Get or export the file again."
_STANDARD = "Export the model again with standard ONNX operators in float32."


@dataclass(frozen=True, slots=True)
class _Case:
    """A fault that is known by its text: what to say, with the pattern's groups by name, and what helps."""

    pattern: str
    message: str
    hint: str


_CASES = (
    _Case(
        r"[Uu]nsupported model IR version: (?P<found>\d+).*?version: (?P<most>\d+)",
        "is written in ONNX IR version {found}, newer than this ONNX Runtime reads (up to {most})",
        "Run: pip install --upgrade onnxruntime, or export the model again with an older version of onnx.",
    ),
    _Case(
        r"Opset (?P<found>\d+) is under development.*?till opset (?P<most>\d+)",
        "uses operator set {found}; this ONNX Runtime reads up to {most}",
        "Run: pip install --upgrade onnxruntime, or export the model with operator set {most} or lower.",
    ),
    _Case(
        r"of Optype \((?P<node>\w+)\) bound to different types \(tensor\((?P<one>\w+)\) and "
        r"tensor\((?P<two>\w+)\)",
        "is not valid ONNX: a {node} node mixes {one} and {two} numbers",
        "Its converter left a constant in another type. Convert again with every constant in float32.",
    ),
    _Case(
        r"Type '?tensor\((?P<one>\w+)\)'? of input parameter .*? of operator \((?P<node>\w+)\)",
        "is not valid ONNX: a {node} node gets {one} numbers, which it does not take",
        "Convert the model again in float32.",
    ),
    _Case(
        r"running BatchNormalization node.*?(NumDimensions\(\) != \d|Invalid input scale)",
        "has a BatchNormalization that does not fit its input, as old MXNet exports with spatial=0 have",
        "Set it to 1: python -c \"import onnx; m = onnx.load('{path}'); [setattr(a, 'i', 1) for n in "
        "m.graph.node for a in n.attribute if a.name == 'spatial']; onnx.save(m, 'FIXED.onnx')\"",
    ),
    _Case(
        r"Could not find an implementation for (?P<node>\w+)\((?P<set>\d+)\)",
        "uses {node} (operator set {set}) with a type of number that ONNX Runtime cannot compute here",
        "Export the model again in float32.",
    ),
    _Case(
        r"(?P<node>[\w.:]+)\(-?\d*\) is not a registered function/op|No [Oo]p registered for (?P<op>\w+)",
        "needs an operator that ONNX Runtime does not bring: {node}{op}",
        _STANDARD,
    ),
    _Case(
        r"[Ee]xternal data|external initializer|external file",
        "keeps its weights in a second file, which cannot be used",
        "Make it one file: python -c \"import onnx; onnx.save(onnx.load('{path}'), 'ONE.onnx')\"",
    ),
    _Case(
        r"Op \((?P<node>\w+)\) \[\w*InferenceError\]",
        "is damaged or not valid ONNX: what goes into a {node} node does not fit it",
        "Get or export the file again; onnx.checker.check_model(onnx.load(FILE), full_check=True) says more.",
    ),
    _Case(
        r"bad.?alloc|[Ff]ailed to allocate|[Oo]ut of memory|BFCArena|MemoryError",
        "does not fit into memory",
        "Take fewer crops at a time or fewer threads, or a machine with more memory.",
    ),
    _Case(
        r"[Pp]rotobuf parsing failed|No graph was found", "is not an ONNX file, or it is cut short", _AGAIN
    ),
    _Case(
        r"Got invalid dimensions for input|Invalid rank for input",
        "failed on an input of {shape}: it takes another shape than its manifest or flags say",
        "Compare its input_size and layout, in pack.toml or as they were given, with what its authors say.",
    ),
    _Case(
        r"Unexpected input data type",
        "does not take numbers of this type, though it says so",
        "Export the model again with a float32 input.",
    ),
)
_BATCH = (
    "The file promises any number of crops at once, but a {node} inside it was made for a fixed number. "
    "Export it again with a dynamic batch. To use it with one crop at a time, fix that with: "
    "python -m onnxruntime.tools.make_dynamic_shape_fixed --input_name {input} --input_shape {shape} "
    "{path} FIXED.onnx"
)


def explained(
    path: Path, fault: BaseException, *, shape: tuple[int, ...] = (), device: str = "cpu"
) -> FacerecError:
    """The refusal of a network that ONNX Runtime cannot load or run, in words that say what would help.

    Args:
        path: The ONNX file.
        fault: What ONNX Runtime raised; ``--verbose`` shows it as it is.
        shape: Of the input, where the network was run.
        device: Where it ran.
    """
    if shortage := resource_error(fault):
        return shortage
    text = f"{type(fault).__name__}: {fault}"
    log.info("ONNX Runtime on %s: %s", path, text)
    for case in _CASES:
        match = re.search(case.pattern, text, re.DOTALL)
        if match:
            groups = {key: value or "" for key, value in match.groupdict().items()}
            groups |= {"path": str(path), "shape": str(shape)}
            groups.setdefault("op", "")
            return ModelError(f"{path} {case.message.format(**groups)}.", hint=case.hint.format(**groups))
    node = re.search(r"while running (\w+) node", text)
    where = f" on an input of {shape}" if shape else ""
    if node and shape and shape[0] > 1:
        return _fixed_inside(path, shape, node[1])
    if node:
        return ModelError(
            f"{path} fails{where}: its {node[1]} node cannot compute what comes in ({_reason(text)}).",
            hint="The file is damaged, or its sizes and flags are not those that it was made for. " + _AGAIN,
        )
    memory = " Take fewer crops at a time if memory ran out." if device != "cpu" else ""
    return ModelError(f"{path} cannot be run{where}: {_reason(text)}.", hint=f"{_STANDARD}{memory}")


def _fixed_inside(path: Path, shape: tuple[int, ...], node: str) -> ModelError:
    single = ",".join(map(str, (1, *shape[1:])))
    return ModelError(
        f"{path} fails on {shape[0]} crops at once, in a {node} node.",
        hint=_BATCH.format(node=node, input=_input_name(path), shape=single, path=path),
    )


def _input_name(path: Path) -> str:
    from facerec_cli.packs.onnx_file import inspect_onnx

    try:
        return inspect_onnx(path).input_ports[0].name
    except (ModelError, IndexError):
        return "INPUT"


def _reason(text: str) -> str:
    """A fault's text without the codes, paths and function names of ONNX Runtime's sources."""
    text = text.partition("Status Message:")[2] or text
    text = re.sub(r"^\w+: \[ONNXRuntimeError\] : \d+ : \w+ : ", "", text.strip())
    text = re.sub(r"^Load model from .*? failed:\s*", "", text)
    text = re.sub(r"\S*onnxruntime\S*\.(?:cc|h|cu)\S*(?::\d+)?.*?\)\s*(?:const\s*)?", "", text)
    return (text.strip().partition("\n")[0].strip() or "no reason given")[:200].rstrip(" .")
