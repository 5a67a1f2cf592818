"""UniTSFace: samples are compared with samples too, and one learned threshold parts alike from unlike."""

from __future__ import annotations

import math
from typing import Annotated, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from facerec_cli.losses.base import Loss, LossInput, Scale, StartEpoch, Terms, build_host
from facerec_cli.losses.classifier import Classes, unit
from facerec_cli.losses.margins import CosineMargin
from facerec_cli.settings import Option, checked


class UniTSFace(Loss):
    """A host loss plus softplus(b - s (c_y - m)) + sum_{j != y} softplus(s c_j - b) on remembered samples.

    Li et al., UniTSFace: Unified Threshold Integrated Sample-to-Sample Loss for Face Recognition, NeurIPS
    2023, arXiv 2311.02523, the USS loss with margin beside a sample-to-class loss. c_j is the cosine with the
    latest embedding of class j, which is remembered without gradient; b is one learned number, so b / s is
    the one threshold for all pairs. From ``start_epoch`` on, when every class has been seen.

    Args:
        num_classes: Classes C.
        embedding_size: Width D of the embeddings (B, D).
        host: The sample-to-class loss, any with class weights of its own; ``cosface`` (paper and code).
        host_scale: Of the host; default its own, 64 for cosface.
        host_margin: Of the host; default its own, 0.4 for cosface.
        scale: s between samples, 64.
        margin: m between samples, 0.1.
        start_epoch: First epoch, from 0, with the term between samples, 1.
        clamp: Keep the arguments of softplus within [-s, s], as the official code does (default).
        official_threshold: The official code sets b to the mean log-sum-exp of the others whenever it is at
            or below 0 at the beginning of a step. Off: at the first step of the term only, so that b may be
            learned to be below 0.
        **common: See :class:`Loss`.

    Of several rows of one class in the global batch the last is remembered, as in the code, where each
    process's memory is its own. A class that was never seen has cosine 0 with everything. With a
    ``sample_rate`` below 1 the sum is over the sample.
    """

    needs_classes = False
    sharded_by_class = ("memory",)
    memory: Tensor
    started: Tensor

    @checked
    def __init__(
        self,
        num_classes: int,
        embedding_size: int,
        *,
        host: str = "cosface",
        host_scale: Annotated[float | None, Option("Of the host; default its own.", gt=0)] = None,
        host_margin: float | None = None,
        scale: Scale = 64.0,
        margin: CosineMargin = 0.1,
        start_epoch: StartEpoch = 1,
        clamp: bool = True,
        official_threshold: bool = False,
        **common: Any,
    ) -> None:
        super().__init__(num_classes, embedding_size, **common)
        self.host = build_host(
            host, num_classes, embedding_size, common, scale=host_scale, margin=host_margin
        )
        self.scale, self.margin, self.start_epoch = scale, margin, start_epoch
        self.limit = scale if clamp else math.inf
        self.official_threshold = official_threshold
        self.bias = nn.Parameter(torch.zeros(()))
        self.register_buffer("started", torch.zeros((), dtype=torch.bool))
        self.register_buffer("memory", torch.zeros(len(self.host.classifier.shard), embedding_size))
        self._asked = False  # whether this process has looked if b is set; it never has to wait for that
        # What the last step leaves to be remembered: its backward still needs the memory as it was.
        self._latest: tuple[Tensor, Tensor] | None = None
        self.register_state_dict_pre_hook(lambda *_: self._remember())  # type: ignore[no-untyped-call]

    @torch.no_grad()
    def start_at(self, means: Tensor) -> None:
        """See :meth:`Loss.start_at`; the remembered samples start there as well."""
        super().start_at(means)
        self.memory.copy_(means)

    def rows(self, batch: LossInput) -> tuple[Tensor, Terms]:
        """The host's loss plus, from ``start_epoch`` on, the term between samples, of each row, (B,)."""
        self._remember()
        labels = batch.labels.to(batch.embeddings.device, non_blocking=True)
        loss, terms = self.host.rows(batch)
        loss = loss + 0 * self.bias  # so that b has a gradient, 0, before the term begins
        if batch.epoch >= self.start_epoch:
            x = unit(batch.embeddings)
            classes = self.host.classifier.classes(labels, batch.step)
            if self.training:
                self._set_threshold(classes, x.detach())
            cosine, samples = self._between_samples(classes, x)
            loss = loss + samples
            terms |= {"sample_cosine": cosine.mean(), "samples": samples.mean(), "threshold": self.bias}
        if self.training:
            self._latest = unit(batch.embeddings.detach()), labels
        return loss, terms

    def _between_samples(self, classes: Classes, x: Tensor) -> tuple[Tensor, Tensor]:
        """Cosine with the remembered sample of the own class, and the unified loss on all of them, (B,)."""

        def over(c: Tensor, bias: Tensor) -> Tensor:
            return softplus((self.scale * c - bias).clamp(-self.limit, self.limit))

        cosine, others = classes.sum(x, over, self.bias, matrix=self.memory)
        under = self.scale * (cosine - self.margin) - self.bias
        return cosine, softplus(-under.clamp(-self.limit, self.limit)) + others

    @torch.no_grad()
    def _set_threshold(self, classes: Classes, x: Tensor) -> None:
        """Let b start where the remembered others are, unless it was set or learned before."""
        if self._asked and not self.official_threshold:
            return
        self._asked = True
        _, others = classes.logsumexp(x, lambda c: self.scale * c, matrix=self.memory)
        unset = (self.bias <= 0) & (self.started.logical_not() | self.official_threshold)
        # Without any other class the log-sum-exp is far below what cosines can give.
        self.bias.copy_(torch.where(unset, others.mean().clamp_min(-self.scale).to(self.bias), self.bias))
        self.started.fill_(True)

    @torch.no_grad()
    def _remember(self) -> None:
        """Write the rows of the last step to the places of their classes; the last of a class stays.

        Every row of a class writes what its last row holds, and a row of another process's class what some
        row of ours does, so the order of writing does not matter and nothing has to be counted.
        """
        latest, self._latest = self._latest, None
        shard = self.host.classifier.shard
        if latest is None or not len(shard) or not len(latest[1]):
            return
        x, labels = latest
        in_order, order = labels.sort(stable=True)
        last = order[torch.searchsorted(in_order, labels, right=True) - 1]
        ours = (labels >= shard.start) & (labels < shard.stop)
        one = ours.to(torch.uint8).argmax(0, keepdim=True)
        row = torch.where(ours, last, last.index_select(0, one))
        place = (labels[row] - shard.start).clamp(0, len(shard) - 1)  # clamped where no row is ours at all
        new = x[row].to(self.memory.dtype)
        self.memory.index_copy_(0, place, torch.where(ours.any(), new, self.memory[place]))

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        self._latest, self._asked = None, False
        super()._load_from_state_dict(*args, **kwargs)
