"""The baselines against their authors' programs.

Each row of ``OFFICIAL`` is what the named program gave in float64 on the inputs of :func:`inputs`: the loss,
then for the embeddings and for the class weights the gradient's product with a fixed direction and its
length.

=================  =======================================================================================
arcface, cosface,  deepinsight/insightface 7fadd420, recognition/arcface_torch/losses.py (softmax: its
softmax            CombinedMarginLoss with m3 = 1e-300), before torch's cross_entropy
curricularface     HuangYG123/CurricularFace 68c8727f, head/metrics.py, t = 0.3 before the step
adaface            mk-minchul/AdaFace c60eaa78, head.py, t_alpha 0.01, mean 6 and std 2 before the step
magface            IrvingMeng/MagFace 99bae614, models/magface.py, lambda_g 35, embeddings times 4
uniface            CVI-SZU/UniFace 00ade470, head.py, Unified_Cross_Entropy_Loss
sphereface2        ydwen/opensphere a679e820, opensphere/module/head/sphereface2.py; the weights' gradient
                   without its radial part, divided by the weights' lengths (it normalizes them in place)
=================  =======================================================================================
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from facerec_cli import registry
from facerec_cli.losses import Loss, LossInput

B, D, C = 6, 8, 7

OFFICIAL: dict[tuple[str, tuple[tuple[str, Any], ...]], list[float]] = {
    ("arcface", (("margin_gradient", "straight_through"),)): [
        29.26896057458114,
        8.192632314570968,
        4.564447842904067,
        -10.402086051623336,
        15.666107482972397,
    ],
    ("cosface", ()): [
        26.055946875520487,
        7.509765843443903,
        4.416102686081752,
        -10.3254799523407,
        15.227784546910655,
    ],
    ("softmax", ()): [
        11.214264319667157,
        5.045688066799289,
        4.087613520993265,
        -12.053155571905583,
        12.783568447249495,
    ],
    ("curricularface", ()): [
        25.73178131908493,
        9.86218007778038,
        4.578336287638674,
        -11.37052478739971,
        17.519354511798657,
    ],
    ("adaface", ()): [
        28.35363200184895,
        6.57260192698794,
        4.442375797618014,
        -6.0063549725526,
        15.469502950901406,
    ],
    ("magface", ()): [
        26.31641785587373,
        2.0749927052080888,
        1.1448243418381945,
        -9.877383363341526,
        16.567323039383993,
    ],
    ("magface", (("easy_margin", False),)): [
        31.10357195013558,
        2.0671331050511825,
        1.1104521180461653,
        -10.125665307971756,
        15.792236987724165,
    ],
    ("uniface", ()): [
        42.22954816429482,
        9.060463075053976,
        6.164911608500262,
        -9.149839159506762,
        22.272399482725362,
    ],
    ("sphereface2", ()): [
        25.12769389812692,
        3.9304400597450906,
        2.3474564473796913,
        -4.732043560706934,
        7.483918779818316,
    ],
}
BIAS_GRADIENT = {"uniface": -1.6366541385650635, "sphereface2": 0.5465515850981443}
BEFORE = {"curricularface": {"t": 0.3}, "adaface": {"mean": 6.0, "std": 2.0}}
AFTER = {
    "curricularface": {"t": 0.30034427753840814},
    "adaface": {"mean": 6.024717885267221, "std": 2.0191198400430017},
}


def inputs(name: str) -> tuple[Tensor, Tensor, Tensor]:
    n = torch.arange(B * D + C * D, dtype=torch.float64)
    values = torch.sin(1 + n * n * 0.37)
    embeddings, weight = (3 * values[: B * D]).view(B, D), values[B * D :].view(C, D)
    labels = torch.tensor([0, 3, 3, 6, 1, 5])
    near = torch.tensor([1.0, 2.0, 0.2, 0.0, 3.0, 0.5], dtype=torch.float64)
    embeddings = embeddings + 2 * weight[labels] * near[:, None]
    return (4 * embeddings if name == "magface" else embeddings), weight, labels


def against(gradient: Tensor | None, step: float) -> list[float]:
    assert gradient is not None
    direction = torch.cos(step * torch.arange(gradient.numel(), dtype=torch.float64)).view_as(gradient)
    return [float((gradient * direction).sum()), float(gradient.norm())]


@pytest.mark.parametrize(("name", "settings"), OFFICIAL)
def test_authors_program(name: str, settings: tuple[tuple[str, Any], ...]) -> None:
    embeddings, weight, labels = inputs(name)
    embeddings.requires_grad_()
    loss: Loss = registry.load(registry.LOSSES, name, "loss")(C, D, **dict(settings)).double()
    state = loss.state_dict()
    state["classifier.weight"].copy_(weight)
    for entry, value in BEFORE.get(name, {}).items():
        state[entry].fill_(value)
    value, _ = loss(LossInput(embeddings, labels))
    value.backward()
    found = [float(value.detach()), *against(embeddings.grad, 1.3)]
    found += against(loss.classifier.weight.grad, 1.7)
    assert found == pytest.approx(OFFICIAL[name, settings], rel=2e-6)
    if name in BIAS_GRADIENT:
        assert float(loss.bias.grad) == pytest.approx(BIAS_GRADIENT[name], rel=2e-6)
    for entry, expected in AFTER.get(name, {}).items():
        assert float(loss.state_dict()[entry]) == pytest.approx(expected, rel=1e-7)


def test_sphereface2_starts_balanced() -> None:
    """The closed form of opensphere, also for few classes where it would lose all digits."""
    kind = registry.load(registry.LOSSES, "sphereface2", "loss")
    assert float(kind(C, D).bias.detach()) == pytest.approx(13.548014876256929)
    few = float(kind(2, D, scale=64.0, margin=0.5, positive_weight=0.8).bias.detach())
    assert 0 < few < 200
