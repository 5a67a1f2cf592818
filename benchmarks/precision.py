"""A training step in bfloat16 against one in float32, on this CPU.

    python benchmarks/precision.py [--networks mobilefacenet:16 vit_t:8] [--rounds 5] [--threads 1]

Forward under autocast, ArcFace's loss with 10,000 people, and backward, of random photos; the two formats
take turns. Prints a Markdown table of medians of CPU time, in which other programs show less than on the
clock.
"""

from __future__ import annotations

import argparse
import time
from statistics import median

import torch

from facerec_cli.backbones import build
from facerec_cli.losses import LossInput
from facerec_cli.losses.arcface import ArcFace

FORMATS = (torch.float32, torch.bfloat16)
PEOPLE = 10_000


def measured(name: str, photos: int, rounds: int) -> list[float]:
    """Seconds of a step in each of :data:`FORMATS`; the first of each is not counted."""
    network = build(name, 512).to(memory_format=torch.channels_last).train()
    loss = ArcFace(PEOPLE, 512)
    images = torch.randn(photos, 3, 112, 112).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, PEOPLE, (photos,))
    seconds: dict[torch.dtype, list[float]] = {kind: [] for kind in FORMATS}
    for _ in range(rounds + 1):
        for kind in FORMATS:
            start = time.process_time()
            with torch.autocast("cpu", kind, enabled=kind != torch.float32):
                output = network(images)
            loss(LossInput(output.embeddings, labels))[0].backward()
            seconds[kind].append(time.process_time() - start)
            network.zero_grad()
            loss.zero_grad()
    return [median(seconds[kind][1:]) for kind in FORMATS]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", nargs="+", default=["mobilefacenet:16", "iresnet18:8", "vit_t:8"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.set_flush_denormal(True)
    print(
        "| network | photos | float32, CPU ms | bfloat16, CPU ms | speed of bfloat16 |\n|---|---|---|---|---|"
    )
    for network in given.networks:
        name, _, photos = network.partition(":")
        full, half = measured(name, int(photos or 8), given.rounds)
        print(f"| {name} | {photos} | {1e3 * full:.0f} | {1e3 * half:.0f} | {full / half:.2f} |", flush=True)


if __name__ == "__main__":
    main()
