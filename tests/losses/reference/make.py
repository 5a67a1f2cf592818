"""Runs the authors' programs and writes what they gave: ``python make.py FOLDER [NAME ...]``.

FOLDER holds checkouts of the repositories that ``README.md`` names, at the commits it names. Nothing of them
is in this repository. Everything is computed in float64 on a CPU.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

B, D, C = 6, 6, 7
Case = dict[str, Any]
HERE = Path(__file__).parent


def inputs(kind: str, seed: int = 0, classes: int = C) -> tuple[Tensor, Tensor, Tensor]:
    """Embeddings (B, D), class weights (C, D) and labels (B,) of one kind of batch."""
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    labels = torch.randint(0, classes, (B,), generator=generator)
    if kind == "repeated":
        labels[:] = labels[0]
    weight, noise = random(classes, D), random(B, D)
    own = normalize(weight[labels])
    if kind == "trained":
        noise = 0.15 * noise + own
    elif kind == "wrong labels":  # half of the rows are very near to another class
        near = torch.where(torch.arange(B)[:, None] % 2 == 0, normalize(weight[(labels + 1) % classes]), own)
        noise = 0.1 * noise + near
    elif kind == "opposite":
        noise = 0.02 * noise - own
    return 5 * noise, weight, labels


KINDS = ("plain", "trained", "wrong labels", "opposite", "repeated")


def module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def case(loss: Callable[..., Tensor], kind: str, **more: Any) -> Case:
    """Loss and gradients on the inputs of a kind; ``more`` is ``settings`` of ours and further arrays."""
    embeddings, weight, labels = inputs(kind)
    leaves = embeddings.requires_grad_(), weight.requires_grad_()
    value = loss(*leaves, labels)
    value.backward()
    grads = [torch.zeros_like(x) if x.grad is None else x.grad for x in leaves]
    found = {"kind": kind, "loss": value.detach(), "embeddings_gradient": grads[0]}
    return found | {"weight_gradient": grads[1], **more}


def with_parameter(head: torch.nn.Module, name: str, value: Tensor) -> torch.nn.Module:
    """``head`` with the tensor ``value`` in the place of its parameter, so that gradients reach it."""
    del head._parameters[name]
    setattr(head, name, value)
    return head


def sface(folder: Path) -> Iterator[tuple[str, Case]]:
    head = module(folder / "SFace/SFace_torch/head/metrics.py").SFaceLoss
    recipes: dict[str, dict[str, float]] = {"": {}, ", webface": {"own_angle": 0.87, "other_angle": 1.2}}
    for kind in KINDS:
        for title, settings in recipes.items():
            given = {"a": settings["own_angle"], "b": settings["other_angle"]} if settings else {}

            def loss(e: Tensor, w: Tensor, y: Tensor, given: dict[str, float] = given) -> Tensor:
                value: Tensor = with_parameter(head(D, C, None, **given), "weight", w)(e, y)[1]
                return value

            yield kind + title, case(loss, kind, settings=settings)


def elasticface(folder: Path) -> Iterator[tuple[str, Case]]:
    losses = module(folder / "ElasticFace/utils/losses.py")
    kinds = {"arc": losses.ElasticArcFace, "cos": losses.ElasticCosFace}
    config = {("arc", False): 0.05, ("arc", True): 0.0175, ("cos", False): 0.05, ("cos", True): 0.02}
    for (variant, plus), std in config.items():
        for kind in KINDS:
            drawn = 0.5 if variant == "arc" else 0.35
            drawn = drawn + std * torch.randn(B, generator=torch.Generator().manual_seed(1)).double()

            def loss(
                e: Tensor, w: Tensor, y: Tensor, *, head: Any = kinds[variant], std: float = std,
                plus: bool = plus, drawn: Tensor = drawn,
            ) -> Tensor:  # fmt: skip
                program = with_parameter(head(D, C, std=std, plus=plus), "kernel", w.T)
                with mock.patch.object(torch, "normal", lambda **_: drawn[:, None].clone()):
                    return cross_entropy(program(e, y), y)

            settings = {"variant": variant, "plus": plus, "official_order": plus}
            title = f"{variant}{' plus' if plus else ''}, {kind}"
            yield title, case(loss, kind, settings=settings, drawn=drawn)


def unitsface(folder: Path) -> Iterator[tuple[str, Case]]:
    heads = module(folder / "UniTSFace/head.py")
    for kind in KINDS:
        for bias in (0.0, 12.5):
            generator = torch.Generator().manual_seed(2)
            memory = torch.randn(C, D, generator=generator).double()
            memory[2] = 0  # never seen
            between = heads.Unified_Threshold_Integrated_Sample_to_Sample_Loss(D, C).double()
            between.feat_mem.copy_(memory)
            between.bias.data.fill_(bias)

            def loss(e: Tensor, w: Tensor, y: Tensor, between: torch.nn.Module = between) -> Tensor:
                program = with_parameter(heads.Normalized_Softmax_Loss(D, C), "weight", w)
                value: Tensor = program(e, y) + between(e, y)
                return value

            found = case(loss, kind, settings={}, memory=memory, bias_before=np.float64(bias))
            more = {"bias": between.bias.detach()[0], "bias_gradient": between.bias.grad[0]}
            yield f"{kind}, threshold {'given' if bias else 'fresh'}", found | more


def boundaryface(folder: Path) -> Iterator[tuple[str, Case]]:
    head = folder / "BoundaryFace/head"
    full = module(head / "boundaryMargin.py").BoundaryMargin
    relabeling = module(head / "boundaryMargin1.py").BoundaryMargin1  # BoundaryF1
    for kind in KINDS:
        for title, epoch in ((kind, 8), (f"{kind}, too early", 7), (f"{kind}, F1", 8)):
            mended: list[Tensor] = []

            def loss(
                e: Tensor, w: Tensor, y: Tensor, *, epoch: int = epoch, only: bool = "F1" in title,
                mended: list[Tensor] = mended,
            ) -> Tensor:  # fmt: skip
                program = with_parameter((relabeling if only else full)(D, C), "weight", w)
                with mock.patch("builtins.open", lambda *_: io.StringIO()):  # it lists the photos it mended
                    output, *hard, label = program(e, y, epoch, ["photo"] * B)
                mended.append(label)
                return cross_entropy(output, label) + sum(hard)

            settings = {"official_mask": True} | ({"hard_weight": 0.0} if "F1" in title else {})
            found = case(loss, kind, settings=settings, epoch=np.int64(epoch - 1))
            yield title, found | {"mended": mended[0]}


def subcenter_arcface(folder: Path) -> Iterator[tuple[str, Case]]:
    """Three centers a class, the first that of :func:`inputs`; with ``MXNET_PYTHON``, which has MXNet."""
    generator = torch.Generator().manual_seed(3)
    batches = [inputs(kind) for kind in KINDS]
    more = torch.randn(len(KINDS), C, 2, D, generator=generator, dtype=torch.float64)
    centers = torch.cat([torch.stack([weight for _, weight, _ in batches])[:, :, None], more], 2)
    embeddings, labels = (torch.stack([batch[i] for batch in batches]) for i in (0, 2))
    with tempfile.TemporaryDirectory() as rooms:
        given, found = Path(rooms) / "in.npz", Path(rooms) / "out.npz"
        np.savez(given, embeddings=embeddings, labels=labels, centers=centers)
        command = [os.environ["MXNET_PYTHON"], HERE / "make_mxnet.py", folder, given, found]
        subprocess.run(command, check=True)
        with np.load(found) as arrays:
            values = {key: arrays[key] for key in arrays}
    for i, kind in enumerate(KINDS):
        yield (
            kind,
            {"kind": kind, "settings": {}, "centers": centers[i], **{k: v[i] for k, v in values.items()}},
        )


@contextmanager
def on_a_cpu() -> Iterator[None]:
    """``.cuda()`` and ``.float()`` give the tensor itself, and tensors are made in float64."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        same = {name: lambda self, *_: self for name in ("cuda", "float")}
        with mock.patch.multiple(torch.Tensor, **same):
            yield
    finally:
        torch.set_default_dtype(before)


PROGRAMS = {
    "sface": sface,
    "boundaryface": boundaryface,
    "elasticface": elasticface,
    "subcenter_arcface": subcenter_arcface,
    "unitsface": unitsface,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="with the checkouts")
    parser.add_argument("names", nargs="*", help="losses; all where none is named")
    given = parser.parse_args()
    torch.set_num_threads(1)
    for name in given.names or PROGRAMS:
        with on_a_cpu():
            cases = dict(PROGRAMS[name](given.folder))
        arrays = {key: [found[key] for found in cases.values()] for key in next(iter(cases.values()))}
        arrays["settings"] = [json.dumps(settings) for settings in arrays["settings"]]
        for i, key in enumerate(("embeddings", "weight", "labels")):
            arrays[key] = [inputs(kind)[i] for kind in KINDS]
        arrays |= {"case": list(cases), "kinds": list(KINDS)}
        np.savez_compressed(HERE / f"{name}.npz", **{key: np.stack(value) for key, value in arrays.items()})
        print(name, len(cases), (HERE / f"{name}.npz").stat().st_size)


if __name__ == "__main__":
    main()
