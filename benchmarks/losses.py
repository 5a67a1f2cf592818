"""Time of the loss part alone, in one run and relative to our ArcFace.

    python benchmarks/losses.py [--classes 100000] [--batch 128] [--size 512] [--device cpu]

OTFace's transport is also timed against a loop over its triplets, DDL's terms against ArcFace's whole loss.
Prints a Markdown table; every row is the median of ``--repeat`` forward and backward passes, interleaved so
that a busy machine slows all rows alike.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch

from facerec_cli import registry
from facerec_cli.losses import Loss, LossInput
from facerec_cli.losses.ddl import DDL
from facerec_cli.losses.otface import OTFace, mine
from facerec_cli.losses.transport import descriptors, ground_cost, sinkhorn


def clock(device: str) -> float:
    """Seconds, once the device has done its work."""
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def measure(jobs: dict[str, Callable[[], None]], repeat: int, device: str) -> dict[str, float]:
    """Median seconds of each job, the jobs taken in turn."""
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for turn in range(repeat + 1):
        for name, job in jobs.items():
            start = clock(device)
            job()
            if turn:  # the first is a warm-up
                times[name].append(clock(device) - start)
    return {name: statistics.median(values) for name, values in times.items()}


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


def class_losses(args: argparse.Namespace) -> None:
    """Losses over the class axis, three at a time: each holds a class matrix and its gradient."""
    batch = batch_of(args)
    names = args.losses or ["arcface", "cosface", "softmax", "npt", "epl", "curricularface", "uniface"]
    for first in range(0, len(names), 3):  # a few at a time: each holds a class matrix and its gradient
        group = ["arcface", *[n for n in names[first : first + 3] if n != "arcface"]]
        jobs = {}
        for name in group:
            loss = registry.load(registry.LOSSES, name, "loss")(args.classes, args.size).to(args.device)
            jobs[name] = step(loss, batch)
        if "epl" in group:
            kind = registry.load(registry.LOSSES, "epl", "loss")
            jobs["epl (host arcface)"] = step(
                kind(args.classes, args.size, host="arcface").to(args.device), batch
            )
        times = measure(jobs, args.repeat, args.device)
        for name, seconds in times.items():
            if name != "arcface" or not first:
                print(f"| {name} | {1e3 * seconds:.1f} | {seconds / times['arcface']:.2f} |")


def ddl_terms(args: argparse.Namespace) -> None:
    """DDL's histograms and order term, without its host."""
    batch = batch_of(args)
    loss = DDL(2, args.size).to(args.device)
    arcface = registry.load(registry.LOSSES, "arcface", "loss")(args.classes, args.size).to(args.device)

    def terms() -> None:
        embeddings = batch.embeddings.detach().requires_grad_()
        loss.distribution(LossInput(**{**vars(batch), "embeddings": embeddings}))[0].backward()

    times = measure({"arcface": step(arcface, batch), "ddl": terms}, args.repeat, args.device)
    print(f"| ddl, its own terms | {1e3 * times['ddl']:.1f} | {times['ddl'] / times['arcface']:.3f} |")


def transport(args: argparse.Namespace) -> None:
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
    print(f"| otface, transport of {len(triplets)} triplets | {1e3 * times['ours']:.1f} | |")
    ratio = times["loop"] / times["ours"]
    print(f"| a loop over the triplets | {1e3 * times['loop']:.1f} | {ratio:.1f}x ours |")


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--classes", type=int, default=100_000)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--losses", nargs="*", help="names of the registry")
    parser.add_argument("--only", choices=["classes", "ddl", "transport"])
    args = parser.parse_args()
    print(f"torch {torch.__version__}, {args.device}, {torch.get_num_threads()} threads, B {args.batch}, ")
    print(f"C {args.classes}, D {args.size}, float32, median of {args.repeat}\n")
    print("| loss, forward and backward | ms | relative to arcface |\n|---|---|---|")
    for name, part in {"classes": class_losses, "ddl": ddl_terms, "transport": transport}.items():
        if args.only in (None, name):
            part(args)


if __name__ == "__main__":
    main()
