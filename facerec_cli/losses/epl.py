"""EPL: beside the learned proxies, an empirical prototype of every class that follows its embeddings."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus, softsign

from facerec_cli.losses.base import Loss, LossInput, Scale, StartEpoch, Terms
from facerec_cli.losses.classifier import Classes, initial_rows, unit
from facerec_cli.losses.distributed import host_group
from facerec_cli.losses.margins import AngularMargin, MarginGradient, angular, cross_entropy
from facerec_cli.settings import checked

Weighting = Literal["softsign", "sigmoid", "sigmoid_shift", "zero"]

WEIGHTINGS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "softsign": softsign,
    "sigmoid": torch.sigmoid,
    "sigmoid_shift": lambda c: torch.sigmoid(c - 1),
    "zero": torch.zeros_like,
}


class EPL(Loss):
    """Half of a margin loss on the proxies W plus half of one on the prototypes Q, whose margin adapts.

    Empirical Prototype Learning, arXiv 2405.12447. For each row, in the order of the global batch and before
    the loss is computed: c = <Q_y, x>, f = weighting(c), Q_y <- unit(f Q_y + (1 - f) x). From
    ``start_epoch`` on

        L = (L_host(cos(x, W)) + L_host(cos(x, Q) with v_y - k sg(v_y) for the own class)) / 2,

    before that only L_host(cos(x, W)). Q gets no gradient; it is sharded by class beside W and saved with it.

    Args:
        num_classes: Classes C.
        embedding_size: Width D of the embeddings (B, D).
        host: ``cosface`` (no fixed margin on the prototypes), ``arcface`` or ``uniface``.
        scale: s, 64.
        margin: m, 0.4.
        k: Share of the own cosine that becomes margin, 0.7 (code; 1 by the paper's formula).
        start_epoch: First epoch, from 0, with the prototype term, 3.
        weighting: Weight f of the old prototype: ``softsign`` (code), ``sigmoid`` (paper), ``sigmoid_shift``
            (sigmoid(c - 1)) or ``zero`` (the newest embedding replaces it).
        clamp_weight: Keep f at or above 0, so that an embedding on the far side does not push Q away from it.
        replace_unseen: The first embedding of a class replaces its random prototype, instead of being mixed
            with it.
        margin_gradient: ``straight_through`` (default, the official code: its published numbers were trained
            so) or ``exact``; matters for arcface only. The official code does not ask whether theta + m
            passes pi; ``exact`` goes on there as ArcFace does, since its gradient would turn around.
        **common: See :class:`Loss`.

    The official code writes with an index, so that of two rows of one class the last writer wins, and loses
    the update on all but one GPU; here both rows count, one after the other, on any number of processes.

    How many rows of a class a batch has is counted on the CPU, so labels should stay there: those of several
    GPUs are gathered beside the GPUs (gloo), and no GPU is waited for. Labels on a GPU are fetched each step.
    """

    sharded_by_class = ("prototypes", "seen")
    prototypes: Tensor
    seen: Tensor

    @checked
    def __init__(
        self,
        num_classes: int,
        embedding_size: int,
        *,
        host: Literal["cosface", "arcface", "uniface"] = "cosface",
        scale: Scale = 64.0,
        margin: AngularMargin = 0.4,
        k: float = 0.7,
        start_epoch: StartEpoch = 3,
        weighting: Weighting = "softsign",
        clamp_weight: bool = False,
        replace_unseen: bool = False,
        margin_gradient: MarginGradient = "straight_through",
        **common: Any,
    ) -> None:
        super().__init__(num_classes, embedding_size, **common)
        self.labels_group = host_group(self.group)
        self._reading: weakref.ref[_Reading] | None = None
        self.host = host
        self.weighting = WEIGHTINGS[weighting]
        self.margin_gradient: MarginGradient = margin_gradient
        self.scale, self.margin, self.k, self.start_epoch = scale, margin, k, start_epoch
        self.clamp_weight, self.replace_unseen = clamp_weight, replace_unseen
        shard = self.classifier.shard
        seed = self.classifier.seed + 1
        self.register_buffer("prototypes", initial_rows(shard, embedding_size, seed, std=1.0))
        self.register_buffer("seen", torch.zeros(len(shard), dtype=torch.bool))
        if host == "uniface":
            start = math.log(10 * num_classes * self.classifier.sample_rate)
            self.bias = nn.Parameter(torch.tensor(start))

    @torch.no_grad()
    def start_at(self, means: Tensor) -> None:
        """See :meth:`Loss.start_at`; the prototypes start there as well."""
        super().start_at(means)
        self.prototypes.copy_(means)
        self.seen.fill_(True)

    def rows(self, batch: LossInput) -> tuple[Tensor, Terms]:
        """Half the host loss on the proxies plus half that on the prototypes, of each row, (B,)."""
        x = unit(batch.embeddings)
        touched = self.update(x.detach(), batch.labels) if self.training else 0
        classes = self.classifier.classes(batch.labels, batch.step)
        cosine, proxies = self._host(classes, x, None)
        terms = {"target_cosine": cosine.mean(), "proxies": proxies.mean()}
        terms["prototypes_touched"] = x.new_full((), touched)
        if batch.epoch < self.start_epoch:
            return proxies, terms
        cosine, prototypes = self._host(classes, x, self.prototypes)
        if cosine.requires_grad:
            reading = _Reading()
            self._reading = weakref.ref(reading)
            cosine.register_hook(reading.end)  # type: ignore[no-untyped-call]
        terms |= {"prototype_cosine": cosine.mean(), "prototypes": prototypes.mean()}
        return (proxies + prototypes) / 2, terms

    def _host(self, classes: Classes, x: Tensor, prototypes: Tensor | None) -> tuple[Tensor, Tensor]:
        """Cosine with the own row of W or of the prototypes, and the host's loss on them, both (B,)."""

        def adapt(cosine: Tensor) -> Tensor:
            return cosine if prototypes is None else cosine - self.k * cosine.detach()

        if self.host == "uniface":

            def over(c: Tensor, bias: Tensor) -> Tensor:
                return softplus((self.scale * c - bias).clamp(-self.scale, self.scale))

            cosine, others = classes.sum(x, over, self.bias, matrix=prototypes)
            under = self.scale * (adapt(cosine) - self.margin) - self.bias
            return cosine, softplus(-under.clamp(-self.scale, self.scale)) + others

        cosine, others = classes.logsumexp(x, lambda c: self.scale * c, matrix=prototypes)
        target = adapt(cosine)
        if self.host == "arcface":
            continued = self.margin_gradient == "exact"
            target = angular(target, self.margin, self.margin_gradient, continued=continued)
        elif prototypes is None:
            target = target - self.margin
        return cosine, cross_entropy(self.scale * target, others)

    @torch.no_grad()
    def update(self, x: Tensor, labels: Tensor) -> int:
        """Move the prototypes by unit rows ``x`` (B, D) of the global batch, one after the other.

        Rows of different classes do not meet, so all first rows of their classes are taken at once, then all
        second rows, and so on. Returns how many prototypes moved, over all processes.
        """
        on_cpu = labels.cpu()
        rows, places, ends = _rounds(on_cpu, self.classifier.shard)
        turns = torch.stack([rows, places])
        turns = turns.pin_memory().to(x.device, non_blocking=True) if x.is_cuda else turns.to(x.device)
        reading = None if self._reading is None else self._reading()
        if reading is not None and not reading.ended:  # an earlier forward's gradient needs them as they are
            self.prototypes = self.prototypes.clone()
        for start, end in pairwise(ends):
            row, y = turns[0, start:end], turns[1, start:end]
            old, new = self.prototypes[y].to(x.dtype), x[row]
            f = self.weighting((old * new).sum(1, keepdim=True))
            if self.clamp_weight:
                f = f.clamp_min(0)
            if self.replace_unseen:
                f = f * self.seen[y, None]
            self.prototypes[y] = unit(f * old + (1 - f) * new).to(self.prototypes.dtype)
            self.seen.index_fill_(0, y, True)  # seen[y] = True would copy a number to the GPU, blocking
        return len(torch.unique(on_cpu))


class _Reading:
    """Lives as long as a graph that was made from the prototypes as they were; ends with its backward."""

    def __init__(self) -> None:
        self.ended = False

    def end(self, gradient: Tensor) -> None:
        self.ended = True


def _rounds(labels: Tensor, shard: range) -> tuple[Tensor, Tensor, list[int]]:
    """Rows whose class is in ``shard``: the first of each class, then the second of each, and so on.

    Returns:
        (n,) rows, (n,) places of their classes in the shard, and where each round starts, with n at the end.
    """
    inside = ((labels >= shard.start) & (labels < shard.stop)).nonzero()[:, 0]
    ordered, order = labels[inside].sort(stable=True)
    occurrence = torch.arange(len(ordered)) - torch.searchsorted(ordered, ordered)
    rounds = occurrence.argsort(stable=True)
    ends = torch.bincount(occurrence).cumsum(0).tolist()
    return inside[order[rounds]], ordered[rounds] - shard.start, [0, *ends]
