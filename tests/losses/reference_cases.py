"""What the authors' programs of the later losses gave (``reference/NAME.npz``, ``reference/README.md``)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from facerec_cli import registry
from facerec_cli.losses import Loss, LossInput

FOLDER = Path(__file__).parent / "reference"


def cases(name: str) -> dict[str, dict[str, Any]]:
    """The cases of a loss: title -> inputs, ``settings``, and the program's loss and gradients, float64."""
    with np.load(FOLDER / f"{name}.npz") as arrays:
        loaded = {key: arrays[key] for key in arrays}
    found = {}
    inputs = {key: loaded.pop(key) for key in ("embeddings", "weight", "labels")}
    kinds = loaded.pop("kinds").tolist()
    for i, title in enumerate(loaded.pop("case").tolist()):
        kind = kinds.index(str(loaded["kind"][i]))
        entry: dict[str, Any] = {key: torch.from_numpy(value[kind]) for key, value in inputs.items()}
        for key, value in loaded.items():
            if key == "settings":
                entry[key] = json.loads(str(value[i]))
            elif key != "kind":
                entry[key] = torch.as_tensor(value[i])
        found[title] = entry
    return found


def build(name: str, case: dict[str, Any], **settings: Any) -> Loss:
    """Our loss in float64, with the case's settings and class weights."""
    kind = registry.load(registry.LOSSES, name, "loss")
    classes, width = case["weight"].shape[0], case["embeddings"].shape[1]
    loss: Loss = kind(classes, width, **(case["settings"] | settings)).double()
    with torch.no_grad():
        next(p for n, p in loss.named_parameters() if n.endswith("classifier.weight")).copy_(
            case["weight"].flatten(1)
        )
    return loss


def compare(loss: Loss, case: dict[str, Any], *, epoch: int = 0, rtol: float = 1e-9) -> dict[str, Tensor]:
    """Hold loss and both gradients to the program's; returns the terms."""
    embeddings = case["embeddings"].clone().requires_grad_()
    value, terms = loss(LossInput(embeddings, case["labels"], epoch=epoch))
    value.backward()
    weight = next(p for n, p in loss.named_parameters() if n.endswith("classifier.weight"))
    for found, key in (
        (value.detach(), "loss"),
        (embeddings.grad, "embeddings_gradient"),
        (weight.grad, "weight_gradient"),
    ):
        assert found is not None
        expected = case[key]
        if key == "weight_gradient":
            expected = expected.flatten(1)
        torch.testing.assert_close(found, expected, rtol=rtol, atol=rtol * float(expected.abs().max()))
    return terms
