"""Every case of ``FACEREC_GOLDEN`` (or ../shared/golden): loss and gradients of the authors' own programs."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from facerec_cli.losses import Loss, LossInput
from facerec_cli.losses.ddl import DDL
from facerec_cli.losses.epl import EPL
from facerec_cli.losses.npt import NPTLoss
from facerec_cli.losses.otface import OTFace

GIVEN = os.environ.get("FACEREC_GOLDEN")
FOLDER = Path(GIVEN or Path(__file__).resolve().parents[3] / "shared" / "golden")
CASES = sorted(FOLDER.rglob("*.npz"))
TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-3}

Case = dict[str, torch.Tensor]


def assert_near(actual: torch.Tensor, expected: torch.Tensor, tolerance: float, what: str) -> None:
    """Largest difference relative to the largest expected magnitude."""
    error = (actual.detach().double() - expected).abs().max() / expected.abs().max().clamp_min(1e-12)
    assert error <= tolerance, f"{what}: relative error {float(error):.2e}"


def leaf(case: Case, name: str, dtype: torch.dtype) -> torch.Tensor:
    return case[name].to(dtype, copy=True).requires_grad_()


def run_with_classes(loss: Loss, case: Case, dtype: torch.dtype, epoch: int = 0) -> dict[str, torch.Tensor]:
    """One step of a loss whose weights are the case's; checks loss and gradients, returns the terms."""
    loss = loss.to(dtype)
    host = loss.host if isinstance(loss, OTFace) else loss
    with torch.no_grad():
        host.classifier.weight.copy_(case["weight"])
    embeddings = leaf(case, "embeddings", dtype)
    maps = leaf(case, "feature_map", dtype) if "feature_map" in case else None
    value, terms = loss(LossInput(embeddings, case["labels"], feature_map=maps, epoch=epoch))
    value.backward()
    assert_near(value, case["loss"], TOLERANCE[dtype], "loss")
    assert_near(embeddings.grad, case["grad_embeddings"], TOLERANCE[dtype], "embeddings")
    assert_near(host.classifier.weight.grad, case["grad_weight"], TOLERANCE[dtype], "weight")
    if maps is not None:
        assert_near(maps.grad, case["grad_feature_map"], TOLERANCE[dtype], "feature map")
    return terms


def run_epl(case: Case, settings: dict, dtype: torch.dtype) -> None:
    classes, size = case["weight"].shape
    loss = EPL(
        classes,
        size,
        host=settings["base"],
        scale=settings["s"],
        margin=settings["m"],
        k=settings["k"],
        start_epoch=settings["start_epoch_1based"] - 1,
    ).to(dtype)
    loss.prototypes.copy_(case["prototypes_before"])
    run_with_classes(loss, case, dtype, settings["epoch_0based"])
    assert_near(loss.prototypes, case["prototypes_after"], TOLERANCE[dtype], "prototypes")


def run_otface(case: Case, settings: dict, dtype: torch.dtype) -> None:
    classes, size = case["weight"].shape
    loss = OTFace(
        classes,
        size,
        host=settings["base"],
        scale=settings["s"],
        margin=settings["m"],
        alpha=settings["alpha"],
        beta=settings["beta"],
        iterations=settings["sinkhorn_iterations"],
        regularisation=settings["sinkhorn_regularisation"],
        weight=settings["ot_weight"],
        max_triplets=0,
        official_sinkhorn=True,
    )
    terms = run_with_classes(loss, case, dtype)
    assert_near(terms["host"], case["loss_softmax"], TOLERANCE[dtype], "softmax")
    assert_near(terms["transport"], case["loss_ot"], TOLERANCE[dtype], "transport")
    if dtype == torch.float64:  # in float32 a triplet on the edge may fall on either side
        assert terms["mined"] == case["n_mined_triplets"]
        assert terms["active"] == case["n_active_triplets"]


def run_npt(case: Case, settings: dict, dtype: torch.dtype) -> None:
    classes, size = case["weight"].shape
    # The program multiplies with 2 r, the paper (and we) with 2 r^2.
    k, margin, radius = settings["top_k"], settings["delta"], math.sqrt(settings["r"])
    loss = NPTLoss(classes, size, k=k, margin=margin, radius=radius, official_mask=True)
    run_with_classes(loss, case, dtype)


def run_ddl(case: Case, settings: dict, dtype: torch.dtype) -> None:
    """The case's groups as one batch; the official program has no classification loss and threshold 0."""
    names, parts, labels, branch, pair = [], [], [], [], []
    for b in range(settings["branches"]):
        for name in (f"negatives_{b}", f"positives_first_{b}", f"positives_second_{b}"):
            n = len(case[name])
            single = name.startswith("negatives")
            names.append(name)
            parts.append(leaf(case, name, dtype))
            labels.append(torch.arange(n))
            branch.append(torch.full((n,), b))
            pair.append(torch.full((n,), -1) if single else torch.arange(n) + 100_000 * b)
    loss = DDL(
        num_classes=max(len(part) for part in parts),
        embedding_size=parts[0].shape[1],
        branches=settings["branches"],
        positive_weight=settings["pos_kl_weight"],
        negative_weight=settings["neg_kl_weight"],
        order_weight=settings["order_loss_weight"],
        later_index=True,
    ).to(dtype)
    batch = LossInput(torch.cat(parts), torch.cat(labels), branch=torch.cat(branch), pair=torch.cat(pair))
    value, _ = loss.distribution(batch)
    value.backward()
    assert_near(value, case["loss"], TOLERANCE[dtype], "loss")
    for name, part in zip(names, parts, strict=True):
        assert_near(part.grad, case[f"grad_{name}"], TOLERANCE[dtype], name)


RUN = {"epl": run_epl, "otface": run_otface, "npt": run_npt, "ddl": run_ddl}


@pytest.mark.skipif(not GIVEN, reason="FACEREC_GOLDEN is not set")
def test_named_folder_holds_cases() -> None:
    assert CASES, f"FACEREC_GOLDEN={GIVEN} holds no .npz"


@pytest.mark.skipif(not CASES, reason=f"no reference values in {FOLDER}; set FACEREC_GOLDEN")
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("path", CASES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_official_program(path: Path, dtype: torch.dtype) -> None:
    with np.load(path) as arrays:
        settings = json.loads(str(arrays["hyperparameters"]))
        case = {k: torch.from_numpy(np.asarray(v)) for k, v in arrays.items() if k != "hyperparameters"}
    RUN[settings["loss"]](case, settings, dtype)
