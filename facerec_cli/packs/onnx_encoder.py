"""Which ONNX files can be recognition networks: one batch of crops in, one vector for each out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from facerec_cli.errors import ModelError
from facerec_cli.packs.manifest import MAX_SIZE, MIN_SIZE, EncoderSpec
from facerec_cli.packs.onnx_file import FLOATS, WHOLE, OnnxFile, Port, Shape
from facerec_cli.wording import counted

ChannelLayout = Literal["nchw", "nhwc"]


def layout_of(shape: Shape) -> ChannelLayout:
    """Channels first, unless only the last dimension can be the three colors."""
    return "nhwc" if len(shape) == 4 and shape[3] == 3 and shape[1] != 3 else "nchw"


def embeddings(outputs: Sequence[Port], size: int | None = None) -> list[Port]:
    """Those of ``outputs`` that can be the embedding.

    A vector of floats for each crop. Where several networks' ends are outputs, feature maps and single
    numbers (AdaFace's norm, a quality) are none; nor is a vector of another length than ``size``.
    """
    vectors = [
        port for port in outputs if port.dtype in (*FLOATS, "unknown") and port.vector_size is not None
    ]
    if len(outputs) > 1:
        vectors = [port for port in vectors if port.vector_size != 1]
        if size:
            vectors = [p for p in vectors if p.vector_size in (size, 0)]
        vectors = [port for port in vectors if port.vector_size] or vectors
        vectors = [port for port in vectors if len(port.shape) == 2] or vectors  # before (N, D, ?, ?)
    return vectors


def embedding_size(file: OnnxFile) -> int | None:
    """D of the output that can only be the embedding, where it is fixed."""
    possible = embeddings(file.output_ports)
    return (possible[0].vector_size or None) if len(possible) == 1 else None


def whole_shift(spec: EncoderSpec, dtype: Any, *, strict: bool = False) -> tuple[int, ...]:
    """What is subtracted from the pixels of a network that takes whole numbers.

    (0, 0, 0) for uint8, whose preprocessing is in the graph. Types with a sign can take pixel - mean.

    Args:
        spec: Mean and std.
        dtype: Of the network's input, as NumPy calls it.
        strict: Also refuse what a manifest may leave at its default because it never counted.

    Raises:
        ModelError: ``spec`` asks for more than whole numbers of this type can hold.
    """
    number = np.dtype(dtype)
    raw = spec.mean == (0.0, 0.0, 0.0) and spec.std == (1.0, 1.0, 1.0)
    if raw and number != np.int8:
        return (0, 0, 0)
    if (
        not strict
        and spec.layout == "nhwc"
        and number == np.uint8
        and spec.mean == spec.std == (127.5, 127.5, 127.5)
    ):
        return (0, 0, 0)
    limits = np.iinfo(number)
    fits = all(
        mean == int(mean) and std == 1 and limits.min <= -mean and 255 - mean <= limits.max
        for mean, std in zip(spec.mean, spec.std, strict=True)
    )
    if not fits:
        usual = "--mean 128 --std 1" if number == np.int8 else "--mean 0 --std 1"
        raise ModelError(
            f"{spec.file} takes whole numbers ({number.name}), so pixels cannot be scaled before it by "
            f"mean {spec.mean[0]:g} and std {spec.std[0]:g}.",
            hint=f"Such a network scales its input itself; add it with: facerec models add FILE {usual}",
        )
    return tuple(int(mean) for mean in spec.mean)


def check_encoder(
    file: OnnxFile,
    *,
    layout: str,
    embedding_size: int | None,
    input_size: tuple[int, int] | None,
    output: str | None = None,
) -> Port:
    """Refuse a network that cannot be the recognition network that a manifest or flags describe.

    Sizes that are None are not compared.

    Returns:
        The output that is the embedding.

    Raises:
        ModelError: Wrong number, type, rank or size of inputs or outputs; the message gives both sides.
    """
    path = file.path
    if len(file.inputs) != 1 or len(file.inputs[0]) != 4:
        raise not_a_face_network(file)
    (port,) = file.input_ports
    shape = port.shape
    height, width, channels = (shape[2], shape[3], shape[1]) if layout == "nchw" else shape[1:]
    if channels not in (3, None):
        raise not_a_face_network(file)
    if port.dtype not in (*FLOATS, *WHOLE):
        raise ModelError(
            f"{path} takes {port.dtype} numbers, which cannot be made of a photo here.",
            hint="Export it again with a float32 input.",
        )
    if input_size and (width or input_size[0], height or input_size[1]) != tuple(input_size):
        raise ModelError(
            f"{path} takes crops of {width or '?'} x {height or '?'}, not {input_size[0]} x {input_size[1]}.",
            hint="Correct --size, or input_size in pack.toml.",
        )
    embedding = choose_output(file, output, embedding_size)
    size = embedding.vector_size
    if size is not None and size != 0 and not MIN_SIZE <= size <= MAX_SIZE:
        raise ModelError(
            f"{path} gives embeddings of {counted(size, 'dimension')}; they have {MIN_SIZE} to {MAX_SIZE:,}.",
            hint="Export the layer before its classifier." if size > MAX_SIZE else "It is no face network.",
        )
    if embedding_size and size not in (0, embedding_size):
        raise ModelError(
            f"{path} gives embeddings of {size} dimensions, not {embedding_size}.",
            hint="Correct --embedding-size, or embedding_size in pack.toml.",
        )
    return embedding


def choose_output(file: OnnxFile, name: str | None, size: int | None = None) -> Port:
    """The output that is the embedding: the one called ``name``, or the only one that can be it.

    Raises:
        ModelError: There is none, or there are several; the message lists them.
    """
    path, ports = file.path, file.output_ports
    listed = ", ".join(map(str, ports))
    if name:
        named = next((port for port in ports if port.name == name), None)
        if named is None:
            raise ModelError(f"{path} has no output {name!r}.", hint=f"It has {listed}.")
        if not embeddings([named]):
            raise ModelError(
                f"{path}: its output {named} is not one vector of floats a face.",
                hint=f"Its outputs are {listed}.",
            )
        return named
    possible = embeddings(ports, size)
    if not possible:
        raise not_a_face_network(file)
    if len(possible) > 1:
        raise ModelError(
            f"{path} has {len(possible)} outputs that can be the embedding: {', '.join(map(str, possible))}.",
            hint=f"Say which when it is added: facerec models add {path} --output-name {possible[0].name}",
        )
    return possible[0]


def not_a_face_network(file: OnnxFile) -> ModelError:
    """The refusal of a network whose inputs and outputs are not a recognition network's."""
    inputs = ", ".join(map(str, file.input_ports)) or "nothing"
    outputs = ", ".join(map(str, file.output_ports)) or "nothing"
    hint = "One input (N, 3, height, width) and one output (N, size of the embedding) are needed."
    if len(file.inputs) > 1:
        hint += " Export it again in evaluation mode, with the crops as its only input."
    return ModelError(
        f"{file.path} is not a face recognition network: it takes {inputs} and gives {outputs}.", hint=hint
    )
