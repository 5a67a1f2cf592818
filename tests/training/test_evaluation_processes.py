"""Evaluation on two processes: each reads its own part, and both have what one process measures."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import cv2
import numpy as np

from facerec_cli.data.formats.synthetic import SyntheticDataset

EVALUATE = """
import json, sys
import torch
from facerec_cli.backbones import build
from facerec_cli.errors import InputError
from facerec_cli.training.config import EvaluateSettings
from facerec_cli.training.devices import join_world
from facerec_cli.training.evaluate import evaluate_sets, open_evaluation_sets

torch.manual_seed(0)
network = build("mobilefacenet", width=0.125, embedding_size=16)
with join_world("cpu") as world:
    sets = open_evaluation_sets(EvaluateSettings(sets=tuple(sys.argv[1:3])), world)
    found = evaluate_sets(network, sets, world, dtype=torch.float32)
    try:
        open_evaluation_sets(EvaluateSettings(sets=(sys.argv[3],)), world)
        said = ""
    except InputError as fault:
        said = fault.message
    held = [[one.crops.mine.start, one.crops.mine.stop, len(one.crops._held[0])] for one in sets]
    print(json.dumps([found, held, said]))
"""


def test_two_processes_measure_what_one_does_and_hold_a_half_each(tmp_path):
    people = SyntheticDataset(7, 3)
    folder = tmp_path / "find"
    for index in range(21):
        side = "gallery" if index % 3 == 0 and index < 15 else "probes"
        path = folder / side / f"p{index // 3}"
        path.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path / f"{index}.png"), people.image(index)[..., ::-1])
    files = sorted(str(path.relative_to(tmp_path)) for path in folder.rglob("*.png"))
    random = np.random.default_rng(0)
    chosen = [random.choice(21, 2, replace=False) for _ in range(60)]
    who = [file.split("/")[-2] for file in files]
    lines = [f"{files[a]} {files[b]} {int(who[a] == who[b])}" for a, b in chosen]
    (tmp_path / "own.txt").write_text("\n".join([*lines, f"{files[0]} {files[0]} 1"]) + "\n")
    cv2.imwrite(str(tmp_path / "large.png"), np.zeros((130, 130, 3), np.uint8))
    bad = [f"{file} {file} 1" for file in files[:20]] + ["large.png large.png 1"]
    (tmp_path / "bad.txt").write_text("\n".join(bad) + "\n")
    arguments = [str(folder), str(tmp_path / "own.txt"), str(tmp_path / "bad.txt")]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    alone = {**os.environ, "OMP_NUM_THREADS": "1"}
    shared = {**alone, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    ranks = [{**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in (0, 1)]
    running = [
        subprocess.Popen(
            [sys.executable, "-c", EVALUATE, *arguments],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for environment in (alone, *ranks)
    ]
    results = []
    for process in running:
        out, said = process.communicate(timeout=240)
        assert process.returncode == 0, said
        results.append(json.loads(out))
    (one, whole, fault), (first, half, elsewhere), (second, rest, own) = results
    assert one == first == second
    assert {"find/rank-1", "own/auc"} <= set(one)
    assert whole[0] == [0, 21, 21] and half[0] == [0, 12, 12] and rest[0] == [12, 21, 9]
    assert "130 x 130" in fault and "130 x 130" in own and "Another process" in elsewhere
