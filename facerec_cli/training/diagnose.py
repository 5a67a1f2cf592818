"""Why a loss is not a number, as far as it can be seen from where it happened."""

from __future__ import annotations

import torch
from torch import Tensor

from facerec_cli.backbones.encoder import to_input
from facerec_cli.errors import TrainingError
from facerec_cli.training.config import Recipe
from facerec_cli.training.setup import Parts
from facerec_cli.wording import counted

_USUAL_RATES = {"sgd": 0.1, "adamw": 5e-4}  # of a batch of 512, as in defaults.py


@torch.no_grad()
def cause_of(parts: Parts, images: Tensor, rate: float) -> tuple[str, str]:
    """What most likely made the loss infinite or not a number, and what to do.

    Looked at in the order in which one causes the other: weights, then the batch, then the embeddings, then
    the loss's scale.

    Args:
        parts: The run.
        images: (B, 3, S, S) uint8, the batch at hand.
        rate: Learning rate of the last step.
    """
    recipe = parts.recipe
    lower = min(rate / 10, _USUAL_RATES.get(recipe.optimizer.name, 0.1))
    broken = [name for name, p in parts.parameters.items() if not bool(torch.isfinite(p).all())]
    if broken:
        scaled = f", after gradients grew past what {recipe.run.precision} holds" if _half(parts) else ""
        return (
            f"weights are not finite any more ({broken[0]} and {counted(len(broken) - 1, 'other')}){scaled}: "
            f"the learning rate {rate:g} is too high",
            f"Use --lr {lower:.2g}, a longer --warmup, or --set optimizer.clip=1.",
        )
    if bool((images == images[:1]).all()):
        return "all photos of the batch are the same", "Run `facerec data check` on the data."
    device = next(parts.backbone.parameters()).device
    inputs = to_input(images.to(device), parts.backbone.preprocessing)
    with torch.autocast(device.type, parts.dtype, enabled=parts.dtype != torch.float32):
        embeddings = parts.backbone(inputs).embeddings
    if not bool(torch.isfinite(embeddings).all()):
        if _half(parts):
            return "float16 overflows inside the network", "Use --precision bf16 or fp32."
        return "the network's activations overflow", f"Use --lr {lower:.2g} or --set optimizer.clip=1."
    scale = getattr(parts.loss, "scale", None)
    if scale is not None and scale > 128:
        return f"the loss's scale of {scale:g} is very large", "Use --set loss.scale=64."
    if rate > 100 * lower:  # after going back to an earlier checkpoint the weights tell nothing
        return f"the learning rate {rate:g} is too high", f"Use --lr {lower:.2g}."
    return (
        "weights and embeddings are finite, so it arose inside the loss",
        f"Try --lr {lower:.2g}, and report it with the run's recipe.toml.",
    )


def out_of_memory(recipe: Recipe, classes: int, fault: Exception) -> TrainingError:
    """The error for a run that does not fit, with the settings that make it smaller."""
    hints = [f"--batch-size {max((recipe.run.batch_size or 2) // 2, 2)} --set optimizer.accumulate=2"]
    if classes > 50_000:
        hints.append("--sample-rate 0.1 (part of the classes at each step)")
    if recipe.run.precision == "fp32" and recipe.run.device != "cpu":
        hints.append("--precision bf16")
    hints.append("a smaller --backbone")
    return TrainingError(
        f"Memory ran out ({str(fault).splitlines()[0][:120]}).", hint=f"Use {', or '.join(hints)}."
    )


def is_out_of_memory(fault: BaseException) -> bool:
    """Whether ``fault`` says that the GPU's or the machine's memory is used up."""
    text = str(fault)
    return isinstance(fault, torch.OutOfMemoryError | MemoryError) or (
        isinstance(fault, RuntimeError) and ("DefaultCPUAllocator" in text or "out of memory" in text)
    )


def has_lost_process(fault: BaseException) -> bool:
    """Whether ``fault`` says that another process of the run is gone."""
    signs = ("closed by peer", "reset by peer", "Broken pipe", "Connection refused", "remote process")
    return any(sign in str(fault) for sign in signs)


def _half(parts: Parts) -> bool:
    return parts.dtype == torch.float16
