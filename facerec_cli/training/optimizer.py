"""Everything that turns gradients into weights: learning rate, optimizer, clipping, fp16's scaler, EMA.

The learning rate is a function of the step, so there is nothing of it to save and to restore.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from facerec_cli.errors import UsageError
from facerec_cli.losses.base import Loss
from facerec_cli.training.average import MovingAverage
from facerec_cli.training.class_rows import PLAIN, keepers
from facerec_cli.training.config import OptimizerSettings, ScheduleSettings
from facerec_cli.training.devices import World

_SAMPLE = ", rows of the sample"  # ends the name of a stand-in


def named_parameters(backbone: nn.Module, loss: nn.Module) -> dict[str, nn.Parameter]:
    """Everything that is trained, by the name it has in a checkpoint: ``backbone.*`` and ``loss.*``.

    Where :func:`facerec_cli.training.class_rows.keep_rows` was called, the stand-ins of the samples are among
    them, whose gradients are those of rows of the class weights.
    """
    parts = (("backbone", backbone), ("loss", loss))
    trained = {f"{p}.{n}": v for p, module in parts for n, v in module.named_parameters() if v.requires_grad}
    return trained | {f"loss.{name}{_SAMPLE}": rows.sample for name, rows in keepers(loss).items()}


def sharded_parameters(loss: Loss) -> frozenset[str]:
    """Names of those parameters of :func:`named_parameters` that are sharded by class over the processes."""
    names = loss.sharded_names() | {f"{name}{_SAMPLE}" for name in keepers(loss)}
    return frozenset(f"loss.{name}" for name in names)


def build_optimizer(
    settings: OptimizerSettings, parameters: Mapping[str, nn.Parameter], loss: nn.Module | None = None
) -> torch.optim.Optimizer:
    """SGD or AdamW over four groups: backbone and head, each with and without weight decay.

    Scales and shifts of norms, PReLU slopes, biases and position tables are not decayed: pulling them to
    zero changes the function, not its size.

    Args:
        settings: What the user set.
        parameters: See :func:`named_parameters`.
        loss: Whose class weights it updates as rows, where they have keepers.
    """
    groups = []
    for part, rate in (("backbone", settings.backbone_lr), ("loss", settings.head_lr)):
        trained = {name: p for name, p in parameters.items() if name.startswith(f"{part}.")}
        for decay in (True, False):
            group = [
                p for name, p in trained.items() if (p.ndim >= 2 and not name.endswith("position")) == decay
            ]
            if group:
                weight_decay = settings.weight_decay if decay else 0.0
                groups.append({"params": group, "weight_decay": weight_decay, "lr_factor": rate})
    if not groups:
        raise UsageError("Nothing is left to train.", hint="Freeze less.")
    # One pass over weights, gradients and moments; without it a CPU also needs a copy of all gradients.
    fused = all(p.is_cuda or p.is_cpu for p in parameters.values())
    optimizer: torch.optim.Optimizer
    if settings.name == "adamw":
        optimizer = torch.optim.AdamW(groups, lr=0.0, betas=(settings.momentum, 0.999), fused=fused)
    else:
        optimizer = torch.optim.SGD(
            groups, lr=0.0, momentum=settings.momentum, nesterov=settings.nesterov, fused=fused
        )
    for rows in () if loss is None else keepers(loss).values():
        rows.attach(optimizer)
    _start_momentum(optimizer, parameters)
    return optimizer


def _start_momentum(optimizer: torch.optim.Optimizer, parameters: Mapping[str, nn.Parameter]) -> None:
    """Begin with a momentum of zeros, with which the first step is what it is without one.

    Fused SGD takes memory that nobody has cleared for it, to write to in its first step. Where that step has
    an overflow in fp16 nothing is written, and all later steps start from whatever was there.
    """
    if optimizer.param_groups[0].get("momentum"):
        for name, parameter in parameters.items():
            if not name.endswith(_SAMPLE) and "momentum_buffer" not in optimizer.state[parameter]:
                optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)


def schedule_factor(settings: ScheduleSettings, step: int, steps_per_epoch: int, total_steps: int) -> float:
    """What the learning rates are multiplied with at ``step`` (0-based), 0..1.

    Warm-up is linear over ``warmup`` epochs and reaches 1 with its last step; the shape then runs over what
    is left. ``step`` multiplies with ``gamma`` at each milestone (in epochs); ``polynomial`` is
    ``(1 - t) ** power`` as in insightface's trainer; ``cosine`` goes to 0.
    """
    warmup = round((settings.warmup or 0.0) * steps_per_epoch)
    if step < warmup:
        return (step + 1) / warmup
    if settings.name == "step":
        passed = sum(step >= round(m * steps_per_epoch) for m in settings.milestones)
        return float(settings.gamma**passed)
    # 0 at the end of the warm-up, 1 after the last step
    done = (step - warmup) / max(total_steps - warmup, 1)
    if settings.name == "polynomial":
        return float((1 - done) ** settings.power)
    if settings.name == "cosine":
        return 0.5 * (1 + math.cos(math.pi * done))
    return 1.0


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every group ``rate`` times its own factor."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["lr_factor"]


def clip_gradients(
    parameters: Mapping[str, nn.Parameter], sharded: frozenset[str], limit: float, world: World
) -> Tensor:
    """Scale all gradients so that their common norm is at most ``limit``; 0 only measures.

    Class weights are sharded over the processes, so their part of the norm is added up over them; without
    that each process would scale the replicated backbone differently and the copies would drift apart.

    Returns:
        The norm before scaling, a scalar on the device; no wait for the GPU.
    """
    replicated = _norm((p for name, p in parameters.items() if name not in sharded), world)
    squares = _norm((p for name, p in parameters.items() if name in sharded), world).square()
    if world.group is not None and sharded:
        dist.all_reduce(squares)
    norm = (replicated.square() + squares).sqrt()
    if limit > 0:
        factor = torch.clamp(limit / (norm + 1e-6), max=1.0)
        grads = [p.grad for p in parameters.values() if p.grad is not None]
        torch._foreach_mul_(grads, factor)
    return norm


def make_scaler(dtype: torch.dtype, world: World) -> Any:
    """The gradient scaler of fp16; of other number formats one that does nothing."""
    if dtype == torch.float16 and world.group is not None:
        return _SharedScaler(world)
    return torch.amp.GradScaler(world.device.type, enabled=dtype == torch.float16)


class _SharedScaler(torch.amp.GradScaler):
    """One for all processes: an overflow in one's classes skips the step in all.

    FSDP's ``ShardedGradScaler`` adds the flags up, and fused optimizers skip a step at a flag of 1 only:
    where two processes have an overflow they would make it, and the weights would not be finite any more.
    """

    def __init__(self, world: World) -> None:
        super().__init__(world.device.type)
        self._group = world.group

    def unscale_(self, optimizer: torch.optim.Optimizer) -> None:
        """As the base class, then the processes share what they found."""
        super().unscale_(optimizer)
        for found in self._per_optimizer_states[id(optimizer)]["found_inf_per_device"].values():
            dist.all_reduce(found, op=dist.ReduceOp.MAX, group=self._group)


def make_ema(backbone: nn.Module, decay: float) -> MovingAverage | None:
    """The moving average of a backbone's weights and buffers; None for a decay of 0.

    Raises:
        UsageError: ``decay`` is not below 1.
    """
    if not decay:
        return None
    if not decay < 1:
        raise UsageError(
            f"optimizer.ema = {decay} is not a decay.", hint="Use a number below 1, such as 0.999."
        )
    return MovingAverage(backbone, decay)


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
    _start_momentum(optimizer, parameters)  # of a checkpoint from before the first step
    for p, name in names.items():
        kept = _copied({key: value for key, value in saved.get(name, {}).items() if key in PLAIN})
        if kept:
            optimizer.state[p].update({key: value.to(p.device) for key, value in kept.items()})


def _copied(state: Mapping[str, Any]) -> dict[str, Any]:
    """Copies in memory: tensors of a checkpoint are mapped from its file, and the file will be replaced."""
    return {key: value.clone() if isinstance(value, Tensor) else value for key, value in state.items()}


def _norm(parameters: Iterable[nn.Parameter], world: World) -> Tensor:
    grads = [p.grad for p in parameters if p.grad is not None]
    return torch.nn.utils.get_total_norm(grads) if grads else torch.zeros((), device=world.device)
