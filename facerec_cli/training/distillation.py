"""The teacher of a distillation: the network of ``--init`` as it was, frozen, on the clean photos.

It serves the ``distill`` loss, and any other loss beside which ``loss.distill`` puts that term.
"""

from __future__ import annotations

import torch

from facerec_cli.backbones import Backbone
from facerec_cli.backbones.encoder import to_input
from facerec_cli.data.loading.fetch import Batch
from facerec_cli.errors import UsageError
from facerec_cli.training.config import Recipe
from facerec_cli.training.devices import World
from facerec_cli.training.initial import Start, make_backbone
from facerec_cli.training.loss_settings import loss_class


def distils(recipe: Recipe) -> bool:
    """Whether a run needs a teacher."""
    return loss_class(recipe.loss.name).needs_target or recipe.loss.distill > 0


def require_teacher(recipe: Recipe, start: Start) -> None:
    """Refuse a distillation that has nothing to learn from.

    Raises:
        UsageError: There are no weights to start from, they have another width, or hard photos are given.
    """
    if start.state is None:
        raise UsageError(
            "Distillation pulls photos made hard to what the network thought of them before, so it needs a "
            "trained one.",
            hint="Add --init sface, or a checkpoint.",
        )
    if recipe.backbone.embedding_size not in (None, start.embedding_size):
        raise UsageError(
            f"Distillation keeps the embedding size of --init, {start.embedding_size}.",
            hint="Leave --embedding-size out.",
        )
    if recipe.data.hard:
        raise UsageError(
            "Distillation makes its hard photos from --data, so that it knows the clean ones.",
            hint="Leave --hard-data out; data.degradations names what is done to the photos.",
        )


def make_teacher(start: Start, backbone: Backbone) -> Backbone:
    """The network of ``--init`` on the same device, never trained."""
    teacher = make_backbone(start, start.embedding_size).requires_grad_(False).eval()
    first = next(backbone.parameters())
    return teacher.to(first.device)


@torch.no_grad()
def target_of(
    teacher: Backbone | None, batch: Batch, world: World, dtype: torch.dtype
) -> torch.Tensor | None:
    """What the network before fine-tuning makes of the clean photos, (B, D)."""
    if teacher is None or batch.clean is None:
        return None
    clean = batch.clean.to(world.device, non_blocking=True)
    with torch.autocast(world.device.type, dtype, enabled=dtype != torch.float32):
        found: torch.Tensor = teacher(to_input(clean, teacher.preprocessing)).embeddings
    return found
