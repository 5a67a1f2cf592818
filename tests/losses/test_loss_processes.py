"""Two processes give the loss and the gradients of one: every loss, unequal shards and unequal batches."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import two_processes as two
from torch.testing import assert_close

from facerec_cli.losses import LossInput
from facerec_cli.losses.classifier import initial_rows, shard, unit
from facerec_cli.losses.otface import OTFace


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("processes")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [sys.executable, two.__file__, str(rank), str(folder)],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(len(two.SPLIT))
    ]
    try:
        errors = [process.communicate(timeout=240)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert all(process.returncode == 0 for process in processes), "\n".join(errors)
    return [torch.load(folder / f"{rank}.pt") for rank in range(len(two.SPLIT))]


def joined(ranks: list[dict[str, Any]], case: str, key: str) -> dict[str, torch.Tensor]:
    """Entries of a state dict or of its gradients over all classes; replicated ones must agree."""
    first, *others = [result[case][key] for result in ranks]
    sharded = ranks[0][case]["sharded"]
    whole = {}
    for name, value in first.items():
        if name in sharded:
            whole[name] = torch.cat([value, *(other[name] for other in others)])
        else:
            for other in others:
                assert_close(other[name], value, msg=f"{key} of {name} differ between the processes")
            whole[name] = value
    return whole


@pytest.mark.parametrize("case", [c for c in two.CASES if "sampled" not in c and "otface" not in c])
def test_same_as_one_process(ranks: list[dict[str, Any]], case: str) -> None:
    alone = two.step(two.build(case), two.batch(case))
    for result in ranks:
        assert_close(result[case]["loss"], alone["loss"])
        assert_close(result[case]["terms"], alone["terms"])
    # What DistributedDataParallel makes of them: the mean over processes.
    embeddings = torch.cat([result[case]["embeddings"] for result in ranks]) / len(ranks)
    assert_close(embeddings, alone["embeddings"])
    assert_close(joined(ranks, case, "gradients"), alone["gradients"])
    assert_close(joined(ranks, case, "state"), alone["state"])


@pytest.mark.parametrize("case", [c for c in two.CASES if "otface" in c])
def test_otface_mines_in_each_process(ranks: list[dict[str, Any]], case: str) -> None:
    """The mean is over the active triplets of both processes, each of which mined its own rows."""
    loss, whole = two.build(case), two.batch(case)
    assert isinstance(loss, OTFace)
    embeddings = whole.embeddings.clone().requires_grad_()
    maps = whole.feature_map.clone().requires_grad_()
    host, _ = loss.host.rows(LossInput(**{**vars(whole), "embeddings": embeddings}))
    total, active, start = torch.zeros((), dtype=torch.float64), 0, 0
    for count in two.SPLIT:
        part = slice(start, start + count)
        x = unit(embeddings[part].detach())
        mined = loss._groups if loss.variant == "group" else loss._triplets
        hinges, counted, _ = mined(x @ x.mT, whole.labels[part], maps[part])
        total, active, start = total + hinges[counted].sum(), active + int(counted.sum()), start + count
    expected = host.mean() + loss.weight * total / max(active, 1)
    expected.backward()
    for result in ranks:
        assert_close(result[case]["loss"], expected.detach())
        assert result[case]["terms"]["active"] == active
    for key, leaf in {"embeddings": embeddings, "maps": maps}.items():
        together = torch.cat([result[case][key] for result in ranks]) / len(ranks)
        assert_close(together, leaf.grad if leaf.grad is not None else torch.zeros_like(leaf))


@pytest.mark.parametrize("case", [c for c in two.CASES if "sampled" in c])
def test_sampled_classes(ranks: list[dict[str, Any]], case: str) -> None:
    """The result is that of one process that has the sampled classes only."""
    index = torch.cat([result[case]["index"] for result in ranks])
    whole = two.batch(case)
    assert set(whole.labels.tolist()) <= set(index.tolist())
    assert len(index) == 20
    name, classes, settings = two.CASES[case]
    settings = {key: value for key, value in settings.items() if key != "sample_rate"}
    full = two.build(case)
    two.CASES["reference"] = (name, len(index), settings)
    reference = two.build("reference")
    del two.CASES["reference"]
    with torch.no_grad():
        for entry, value in reference.state_dict().items():
            theirs = full.state_dict()[entry]
            value.copy_(theirs[index] if theirs.shape[:1] == (classes,) else theirs)
    labels = torch.searchsorted(index, whole.labels)
    alone = two.step(reference, LossInput(**{**vars(whole), "labels": labels}))
    assert_close(ranks[0][case]["loss"], alone["loss"])
    assert_close(ranks[1][case]["loss"], alone["loss"])
    embeddings = torch.cat([result[case]["embeddings"] for result in ranks]) / len(ranks)
    assert_close(embeddings, alone["embeddings"])
    gradient = joined(ranks, case, "gradients")["classifier.weight"]
    assert_close(gradient[index], alone["gradients"]["classifier.weight"])
    left_out = torch.ones(classes, dtype=torch.bool)
    left_out[index] = False
    assert gradient[left_out].abs().sum() == 0


@pytest.mark.parametrize(("classes", "size"), [(10, 3), (3, 4), (1, 2), (9000, 2)])
def test_shards_cover_the_classes(classes: int, size: int) -> None:
    shards = [shard(classes, rank, size) for rank in range(size)]
    assert [c for part in shards for c in part] == list(range(classes))
    assert max(map(len, shards)) - min(map(len, shards)) <= 1
    parts = torch.cat([initial_rows(part, 4, 7, 0.01) for part in shards])
    assert torch.equal(parts, initial_rows(range(classes), 4, 7, 0.01))
    assert abs(float(parts.std()) - 0.01) < 0.004 or classes < 9000


def test_errors_name_the_label(tmp_path: Path) -> None:
    loss = two.build("arcface")
    whole = two.batch("arcface")
    with pytest.raises(Exception, match=r"Label 7 in the batch, but the loss has 7 classes \(0 to 6\)"):
        loss(LossInput(whole.embeddings, whole.labels + 1))
