"""How many bytes a process of a run will need, and how many are free."""

from __future__ import annotations

import os
from typing import Any

import torch
from torch import Tensor, nn

from facerec_cli.backbones import Backbone
from facerec_cli.losses.base import Loss
from facerec_cli.training.config import Recipe
from facerec_cli.training.devices import World


def estimate_memory(
    recipe: Recipe,
    backbone: Backbone,
    loss: Loss,
    world: World,
    dtype: torch.dtype,
    teacher: Backbone | None = None,
) -> dict[str, int]:
    """Bytes of one process: weights with gradient and optimizer, class weights with theirs, logits, maps.

    Class weights with gradient and momentum take 12 C D / P bytes under SGD, logits and their gradient
    8 B r C / P for each class matrix that the loss looks at. A teacher keeps no maps for the way back, so it
    adds its weights only.
    """
    copies = 3 if recipe.optimizer.name == "sgd" else 4  # weight, gradient, one or two moments
    trained = sum(p.numel() for p in backbone.parameters() if p.requires_grad)
    fixed = sum(t.numel() for t in backbone.state_dict().values()) - trained
    split = loss.sharded_names()
    weights = sum(p.numel() for name, p in loss.named_parameters() if name in split)
    buffers = sum(t.numel() for name, t in loss.state_dict().items() if name in split) - weights
    batch = recipe.run.batch_size or 0
    matrices = 0 if not weights else 1 + buffers / weights
    own_classes = weights / max(loss.embedding_size, 1)
    estimate = {
        "network": 4 * (copies * trained + fixed) + (4 * (trained + fixed) if recipe.optimizer.ema else 0),
        "classes": 4 * (copies * weights + buffers),
        "logits": round(8 * batch * recipe.loss.sample_rate * own_classes * matrices),
        "activations": _activations(backbone) * (batch // world.size) * dtype.itemsize,
    }
    if teacher is not None:
        estimate["teacher"] = sum(t.nbytes for t in teacher.state_dict().values())
    return estimate


def available_memory(device: torch.device) -> int | None:
    """Bytes free on the device, None where the system does not tell."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    if device.type == "cpu" and "SC_AVPHYS_PAGES" in getattr(os, "sysconf_names", {}):
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def _activations(backbone: Backbone) -> int:
    """Values that one photo leaves behind for the way back: the outputs of all innermost modules."""
    count = 0

    def note(module: nn.Module, inputs: Any, output: Any) -> None:
        nonlocal count
        count += output.numel() if isinstance(output, Tensor) else 0

    leaves = [m for m in backbone.modules() if not list(m.children())]
    hooks = [m.register_forward_hook(note) for m in leaves]
    mode = {module: module.training for module in backbone.modules()}
    device = next(backbone.parameters()).device
    try:
        backbone.eval()
        with torch.no_grad():
            backbone(torch.zeros(1, 3, 112, 112, device=device))
    finally:
        for hook in hooks:
            hook.remove()
        for module, training in mode.items():
            module.training = training
    return count
