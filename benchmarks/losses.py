"""Time of the loss part alone, in one run and relative to our ArcFace.

    python benchmarks/losses.py [--classes 100000] [--batch 128] [--size 512] [--device cpu]

Where pytorch-metric-learning is installed its losses run beside ours on the same embeddings and weights, and
its triplet miner beside OTFace's; values and triplets are compared before any time is printed. OTFace's
transport is also timed against a loop over its triplets, DDL's terms against ArcFace's whole loss. Prints a
Markdown table; every row is the median of ``--repeat`` forward and backward passes, interleaved so that a
busy machine slows all rows alike.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Mapping
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from history import record
from measuring import medians
from torch import nn

from facerec_cli import registry
from facerec_cli.losses import Loss, LossInput
from facerec_cli.losses.ddl import DDL
from facerec_cli.losses.otface import OTFace, Triplets, mine
from facerec_cli.losses.transport import descriptors, ground_cost, sinkhorn

Row = dict[str, Any]


def clock(device: str) -> float:
    """Seconds, once the device has done its work."""
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def measure(jobs: Mapping[str, Callable[[], object]], repeat: int, device: str) -> dict[str, float]:
    """Median seconds of each job, the jobs taken in turn after a warm-up."""
    medians(jobs, 1)
    return medians(jobs, repeat, lambda: clock(device))


def shown(name: str, seconds: float, remark: str = "") -> Row:
    """Print a line of the table and return it as a row of the history."""
    print(f"| {name} | {1e3 * seconds:.1f} | {remark} |", flush=True)
    return {"name": name, "value": 1e3 * seconds, "unit": "ms"}


def batch_of(args: argparse.Namespace, *, per_identity: int = 1) -> LossInput:
    """Random embeddings and maps; every identity ``per_identity`` times."""
    generator = torch.Generator().manual_seed(0)
    identities = torch.randperm(args.classes, generator=generator)[: args.batch // per_identity]
    labels = identities.repeat_interleave(per_identity)
    half = len(labels) // 2
    return LossInput(
        torch.randn(len(labels), args.size, generator=generator).to(args.device),
        labels,
        feature_map=torch.randn(len(labels), 512, 7, 7, generator=generator).to(args.device),
        branch=(torch.arange(len(labels)) % 2).to(args.device),
        pair=torch.where(torch.arange(len(labels)) < half, -1, torch.arange(len(labels)) // 4).to(
            args.device
        ),
        epoch=10,
    )


def step(loss: Loss, batch: LossInput) -> Callable[[], None]:
    """Forward and backward of the whole loss, embeddings and weights."""

    def run() -> None:
        loss.zero_grad(set_to_none=True)
        embeddings = batch.embeddings.detach().requires_grad_()
        loss(LossInput(**{**vars(batch), "embeddings": embeddings}))[0].backward()

    return run


def class_losses(args: argparse.Namespace) -> list[Row]:
    """Losses over the class axis, three at a time: each holds a class matrix and its gradient."""
    batch = batch_of(args)
    names = args.losses or ["arcface", "cosface", "softmax", "npt", "epl", "curricularface", "uniface"]
    rows = []
    for first in range(0, len(names), 3):
        group = ["arcface", *[n for n in names[first : first + 3] if n != "arcface"]]
        jobs = {name: step(load(name)(args.classes, args.size).to(args.device), batch) for name in group}
        if "epl" in group:
            host = load("epl")(args.classes, args.size, host="arcface").to(args.device)
            jobs["epl (host arcface)"] = step(host, batch)
        times = measure(jobs, args.repeat, args.device)
        for name, seconds in times.items():
            if name != "arcface" or not first:
                rows.append(shown(name, seconds, f"{seconds / times['arcface']:.2f}"))
    return rows


def beside_metric_learning(args: argparse.Namespace) -> list[Row]:
    """pytorch-metric-learning's losses of the same formula on the same weights."""
    if not find_spec("pytorch_metric_learning"):
        print("| pytorch-metric-learning is not installed | | |")
        return []
    from pytorch_metric_learning import losses

    batch = batch_of(args)
    labels = batch.labels.to(args.device)
    theirs = {
        "arcface": lambda: losses.ArcFaceLoss(args.classes, args.size, margin=math.degrees(0.5), scale=64),
        "cosface": lambda: losses.CosFaceLoss(args.classes, args.size, margin=0.4, scale=64),
        "softmax": lambda: losses.NormalizedSoftmaxLoss(args.classes, args.size, temperature=1 / 64),
    }
    rows: list[Row] = []
    for name, make in theirs.items():
        own, other = load(name)(args.classes, args.size).to(args.device), make().to(args.device)
        other.W.data.copy_(own.classifier.weight.detach().T)
        # Ours takes labels that stayed on the CPU; the embeddings are those of the other losses.
        value, _ = own(batch)
        torch.testing.assert_close(other(batch.embeddings, labels), value, rtol=1e-4, atol=1e-4)

        def run(other: nn.Module = other) -> None:
            other.zero_grad(set_to_none=True)
            other(batch.embeddings.detach().requires_grad_(), labels).backward()

        times = measure({"ours": step(own, batch), "theirs": run}, args.repeat, args.device)
        rows += beside(name, times)
    return rows


def beside(name: str, times: Mapping[str, float]) -> list[Row]:
    """Two rows: ours, and pytorch-metric-learning's with the ratio."""
    ours = shown(f"{name}, beside pytorch-metric-learning", times["ours"])
    ratio = f"{times['theirs'] / times['ours']:.1f}x ours"
    theirs = shown(f"pytorch-metric-learning's {name}", times["theirs"], ratio)
    return [ours | {"peer": theirs["name"]}, theirs]


def mining(args: argparse.Namespace) -> list[Row]:
    """All triplets whose negative is nearer than their positive, as pytorch-metric-learning finds them."""
    if not find_spec("pytorch_metric_learning"):
        return []
    from pytorch_metric_learning.distances import CosineSimilarity
    from pytorch_metric_learning.miners import TripletMarginMiner

    batch = batch_of(args, per_identity=4)
    embeddings, labels = batch.embeddings, batch.labels.to(args.device)
    miner = TripletMarginMiner(margin=0.0, type_of_triplets="hard", distance=CosineSimilarity())

    def ours(limit: int = 0) -> Triplets:
        unit = torch.nn.functional.normalize(embeddings)
        return mine(unit @ unit.mT, labels, 0.0, limit)

    found, known = ours(), miner(embeddings, labels)
    assert set(zip(*(x.tolist() for x in found[:3]), strict=True)) == set(
        zip(*(x.tolist() for x in known), strict=True)
    ), "other triplets"
    jobs = {"ours": ours, "theirs": lambda: miner(embeddings, labels), "512": lambda: ours(512)}
    times = measure(jobs, 3 * args.repeat, args.device)
    name = f"mining all {len(found.anchor):,} hard triplets of {len(labels)} rows"
    hardest = shown("mining the 512 hardest of them", times["512"])
    return [*beside(name, times), hardest]


def ddl_terms(args: argparse.Namespace) -> list[Row]:
    """DDL's histograms and order term, without its host."""
    batch = batch_of(args)
    loss = DDL(2, args.size).to(args.device)
    arcface = load("arcface")(args.classes, args.size).to(args.device)

    def terms() -> None:
        embeddings = batch.embeddings.detach().requires_grad_()
        loss.distribution(LossInput(**{**vars(batch), "embeddings": embeddings}))[0].backward()

    times = measure({"arcface": step(arcface, batch), "ddl": terms}, args.repeat, args.device)
    return [shown("ddl, its own terms", times["ddl"], f"{times['ddl'] / times['arcface']:.3f}")]


def transport(args: argparse.Namespace) -> list[Row]:
    """OTFace's transport of at most 512 triplets, and the same in a loop over them."""
    batch = batch_of(args, per_identity=4)
    assert batch.feature_map is not None
    maps = batch.feature_map
    cosine = torch.nn.functional.normalize(batch.embeddings)
    cosine = cosine @ cosine.mT
    loss = OTFace(4, args.size, host="softmax").to(args.device)
    labels = batch.labels.to(args.device)
    found = mine(cosine, labels, 0.0, 512)
    triplets = torch.stack(found[:3]).T.tolist()

    def ours() -> None:
        leaf = maps.detach().requires_grad_()
        hinges, counted, _ = loss._triplets(cosine, labels, leaf)
        (torch.where(counted, hinges, 0.0).sum() / counted.sum().clamp_min(1)).backward()

    def loop() -> None:
        leaf = maps.detach().requires_grad_()
        columns = descriptors(leaf)
        hinges = []
        for a, p, n in triplets:
            near = sinkhorn(ground_cost(columns[a : a + 1], columns[p : p + 1]), 1.0, 10)[0]
            far = sinkhorn(ground_cost(columns[a : a + 1], columns[n : n + 1]), 1.0, 10)[0]
            hinges.append((near - far).relu())
        hinge = torch.cat(hinges)
        (hinge.sum() / (hinge > 0).sum().clamp_min(1)).backward()

    times = measure({"ours": ours, "loop": loop}, max(2, args.repeat // 3), args.device)
    batched = shown(f"otface, transport of {len(triplets)} triplets", times["ours"])
    slow = shown("a loop over the triplets", times["loop"], f"{times['loop'] / times['ours']:.1f}x ours")
    return [batched | {"peer": slow["name"]}, slow]


def load(name: str) -> Any:
    """The class of a loss."""
    return registry.load(registry.LOSSES, name, "loss")


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--classes", type=int, default=100_000)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--losses", nargs="*", help="names of the registry")
    parser.add_argument("--only", choices=list(PARTS))
    parser.add_argument("--json", type=Path, help="append the figures to this file")
    args = parser.parse_args()
    print(f"torch {torch.__version__}, {args.device}, {torch.get_num_threads()} threads, B {args.batch}, ")
    print(f"C {args.classes}, D {args.size}, float32, median of {args.repeat}\n")
    print("| loss, forward and backward | ms | relative to arcface |\n|---|---|---|")
    rows = [row for name, part in PARTS.items() if args.only in (None, name) for row in part(args)]
    if args.json:
        about = {key: getattr(args, key) for key in ("classes", "batch", "size", "device", "repeat")}
        if find_spec("pytorch_metric_learning"):
            about["pytorch-metric-learning"] = metadata.version("pytorch-metric-learning")
        record("losses", rows, about, args.json)


PARTS = {
    "classes": class_losses,
    "peers": beside_metric_learning,
    "mining": mining,
    "ddl": ddl_terms,
    "transport": transport,
}


if __name__ == "__main__":
    main()
