"""The optimizer, its parameter groups, clipping over processes, and its state by parameter name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from facerec_cli.errors import UsageError
from facerec_cli.training.config import OptimizerSettings
from facerec_cli.training.devices import World


def named_parameters(backbone: nn.Module, loss: nn.Module) -> dict[str, nn.Parameter]:
    """Everything that is trained, by the name it has in a checkpoint: ``backbone.*`` and ``loss.*``."""
    parts = (("backbone", backbone), ("loss", loss))
    return {f"{p}.{n}": v for p, module in parts for n, v in module.named_parameters() if v.requires_grad}


def build_optimizer(
    settings: OptimizerSettings, parameters: Mapping[str, nn.Parameter]
) -> torch.optim.Optimizer:
    """SGD or AdamW over four groups: backbone and head, each with and without weight decay.

    Scales and shifts of norms, PReLU slopes, biases and position tables are not decayed: pulling them to
    zero changes the function, not its size.
    """
    groups = []
    for part, rate in (("backbone", settings.backbone_lr), ("loss", settings.head_lr)):
        own = {name: p for name, p in parameters.items() if name.startswith(f"{part}.")}
        for decay in (True, False):
            chosen = [
                p for name, p in own.items() if (p.ndim >= 2 and not name.endswith("position")) == decay
            ]
            if chosen:
                weight_decay = settings.weight_decay if decay else 0.0
                groups.append({"params": chosen, "weight_decay": weight_decay, "lr_factor": rate})
    if not groups:
        raise UsageError("Nothing is left to train.", hint="Freeze less.")
    # One pass over weights, gradients and moments; without it a CPU also needs a copy of all gradients.
    fused = all(p.is_cuda or p.is_cpu for p in parameters.values())
    if settings.name == "adamw":
        return torch.optim.AdamW(groups, lr=0.0, betas=(settings.momentum, 0.999), fused=fused)
    return torch.optim.SGD(
        groups, lr=0.0, momentum=settings.momentum, nesterov=settings.nesterov, fused=fused
    )


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every group ``rate`` times its own factor."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["lr_factor"]


def clip_gradients(
    parameters: Mapping[str, nn.Parameter], split: frozenset[str], limit: float, world: World
) -> Tensor:
    """Scale all gradients so that their common length is at most ``limit``; 0 only measures.

    Class weights are split over the processes, so their part of the length is added up over them; without
    that each process would scale the shared network differently and the copies would drift apart.

    Returns:
        The length before scaling, a scalar on the device; no wait for the GPU.
    """
    shared = _norm(p for name, p in parameters.items() if name not in split)
    own = _norm(p for name, p in parameters.items() if name in split)
    squares = own.square()
    if world.group is not None and split:
        dist.all_reduce(squares)
    length = (shared.square() + squares.to(shared.device)).sqrt()
    if limit > 0:
        factor = torch.clamp(limit / (length + 1e-6), max=1.0)
        grads = [p.grad for p in parameters.values() if p.grad is not None]
        torch._foreach_mul_(grads, factor)
    return length


def state_by_name(optimizer: torch.optim.Optimizer, parameters: Mapping[str, nn.Parameter]) -> dict[str, Any]:
    """The optimizer's state per parameter, under its name; the same tensors, not copies."""
    return {name: dict(optimizer.state[p]) for name, p in parameters.items() if p in optimizer.state}


def load_state_by_name(
    optimizer: torch.optim.Optimizer, parameters: Mapping[str, nn.Parameter], saved: Mapping[str, Any]
) -> None:
    """Put back what :func:`state_by_name` gave; the tensors must have the parameters' shapes."""
    names = {parameter: name for name, parameter in parameters.items()}
    document = optimizer.state_dict()
    order = [p for group in optimizer.param_groups for p in group["params"]]
    document["state"] = {i: _copied(saved[names[p]]) for i, p in enumerate(order) if names[p] in saved}
    optimizer.load_state_dict(document)


def _copied(state: Mapping[str, Any]) -> dict[str, Any]:
    """What was read from a checkpoint lies in its file until it is copied, and the file will be replaced."""
    return {key: value.clone() if isinstance(value, Tensor) else value for key, value in state.items()}


def _norm(parameters: Iterable[nn.Parameter]) -> Tensor:
    grads = [p.grad for p in parameters if p.grad is not None]
    return torch.nn.utils.get_total_norm(grads) if grads else torch.zeros(())
