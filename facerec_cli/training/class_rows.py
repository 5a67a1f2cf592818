"""Updates of class weights that touch the rows of a step's sample only.

With ``loss.sample_rate`` below 1 a gradient of the whole class matrix is zero but for the rows of the sample.
:class:`ClassRows` takes the gradient of those rows alone and updates them alone, so that time and memory of a
step follow the sample. What it makes of the other rows is ``optimizer.class_update``:

* ``lazy`` (SGD): what an optimizer that walks all rows would make of them, but later. A row without gradient
  moves by momentum and decay alone, and that is linear: (w, b) becomes M (w, b), where M is four numbers that
  all rows share. So a row that was away for n steps needs the product of n such matrices, made up for at once
  when it is drawn again. The result is that of ``dense`` up to rounding.
* ``sampled`` (SGD, AdamW): they stand still. Each row has an optimizer of its own, so to speak, which makes
  a step where the row is in the sample. AdamW has no such product: its epsilon is added to a root that
  shrinks.

The momentum is kept for all rows; it is the state of the optimizer, under the names that the optimizer has.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.sgd import sgd

from facerec_cli.losses.classifier import Classifier
from facerec_cli.training.config import OptimizerSettings
from facerec_cli.training.defaults import class_update

# Numbers worked on at a time, so that the gathered rows stay in a CPU's cache, with few launches on a GPU.
_BLOCK = {"cpu": 1 << 18, "cuda": 1 << 26}
# Steps after which all rows are brought up to date, so that the list of products stays short.
_LONGEST = 4096
_WAITS_FOR_NOBODY = ("cpu",)

PLAIN = ("touched", "missed", "steps")
"""State of another type than the weights, which an optimizer's ``load_state_dict`` would spoil."""


class ClassRows:
    """The optimizer of one class matrix, (C, D), as rows.

    It is the classifier's keeper (:class:`facerec_cli.losses.classifier.RowKeeper`), and a hook of the
    optimizer whose group it takes rate, decay and momentum from.

    Args:
        classifier: Its weights are updated.
        lazy: Bring rows up to what ``dense`` would have made of them; else they stand still.

    Attributes:
        sample: Stands for the sample among the optimizer's parameters: it has the gradient (c, D) of the rows
            between backward and step, for the norm, for clipping and for the scaler of fp16. Its own values
            are nothing.
    """

    def __init__(self, classifier: Classifier, *, lazy: bool) -> None:
        self.weight, self.lazy = classifier.weight, lazy
        self.sample = nn.Parameter(self.weight.detach().new_zeros(0, self.weight.shape[1]))
        self._index: Tensor | None = None
        self._distinct = True
        self._optimizer: torch.optim.Optimizer | None = None

    def attach(self, optimizer: torch.optim.Optimizer) -> None:
        """Let ``optimizer`` update the rows with its next steps; it has weights and sample in one group."""
        self._optimizer = optimizer
        optimizer.register_step_pre_hook(lambda *_: self._step())
        # The flag of fused optimizers: the scaler of fp16 would leave it to them to skip a step.
        vars(optimizer)["_step_supports_amp_scaling"] = False

    @torch.no_grad()
    def bring_up(self, index: Tensor | None) -> None:
        """Make up for the steps that rows ``index`` (c,) have missed; all rows where it is None."""
        group = self._group()
        if not self.lazy or not (group["momentum"] or group["weight_decay"]):
            return
        state = self._state()
        missed, now = state["missed"], len(state["missed"]) - 1
        if not now:
            return
        momentum = state.get("momentum_buffer")
        for rows in self._blocks(index):
            factors = missed[state["touched"][rows].long()].to(self.weight.dtype).T[:, :, None]
            w = self.weight.index_select(0, rows)
            if momentum is None:
                self.weight[rows] = w * factors[0]
                continue
            b = momentum.index_select(0, rows)
            self.weight[rows] = (w * factors[0]).addcmul_(b, factors[1])
            momentum[rows] = b.mul_(factors[3]).addcmul_(w, factors[2])
        # Not touched[index] = now: CUDA would wait to copy the number.
        _ = state["touched"].fill_(now) if index is None else state["touched"].index_fill_(0, index, now)

    @torch.no_grad()
    def add(self, index: Tensor, gradient: Tensor) -> None:
        """See the keeper; the gradients of several batches before a step are added up."""
        if self.sample.grad is None or self._index is None:
            self._index, self._distinct = index, True
        else:
            gradient = self._united(self._index, self.sample.grad, index, gradient)
        # A parameter and its gradient must have one shape.
        self.sample.grad = None
        self.sample.data = gradient.new_zeros(()).expand(gradient.shape)
        self.sample.grad = gradient

    def _united(self, index: Tensor, gradient: Tensor, more: Tensor, addend: Tensor) -> Tensor:
        """The sum of two samples' gradients, by sorted rows.

        How many rows are distinct is not known without waiting for a GPU. There each row of either sample has
        its place, and the sum is where the row comes first; where it comes again is 0.
        """
        joined = torch.cat([index, more])
        self._distinct = joined.device.type in _WAITS_FOR_NOBODY
        if self._distinct:
            self._index, place = torch.unique(joined, return_inverse=True)
        else:
            self._index, order = joined.sort()
            place = torch.empty_like(order).index_copy_(0, order, _first(self._index))
        total = gradient.new_zeros(len(self._index), gradient.shape[1])
        total.index_add_(0, place[: len(index)], gradient)
        return total.index_add_(0, place[len(index) :], addend)

    @torch.no_grad()
    def _step(self) -> None:
        """Update the rows of the sample; the optimizer finds no gradient of them any more."""
        gradient, index = self.sample.grad, self._index
        self.sample.grad = self._index = None
        self.sample.data = self.weight.detach().new_zeros(0, self.weight.shape[1])
        group, state = self._group(), self._state()
        if gradient is not None and index is not None:
            place = None if self._distinct else _first(index)
            update = self._adamw if "betas" in group else self._sgd
            for part in _slices(self.weight, len(index)):
                rows = gradient[part] if place is None else gradient[place[part]]
                update(group, state, index[part], rows)
        if self.lazy and (group["momentum"] or group["weight_decay"]):
            self._remember(group, state, index)

    def _sgd(self, group: dict[str, Any], state: dict[str, Any], rows: Tensor, gradient: Tensor) -> None:
        momentum = state.get("momentum_buffer")
        w = self.weight.index_select(0, rows)
        b = None if momentum is None else momentum.index_select(0, rows)
        keys = ("lr", "momentum", "weight_decay", "dampening", "nesterov", "maximize", "fused")
        sgd([w], [gradient], [b], **{key: group[key] for key in keys})
        self.weight[rows] = w
        if momentum is not None and b is not None:
            momentum[rows] = b

    def _adamw(self, group: dict[str, Any], state: dict[str, Any], rows: Tensor, gradient: Tensor) -> None:
        """Loshchilov and Hutter, Decoupled Weight Decay Regularization, algorithm 2, with a count a row."""
        rate, (beta1, beta2) = group["lr"], group["betas"]
        count = state["steps"][rows] + 1
        state["steps"][rows] = count
        count = count[:, None].to(_wide(gradient))
        m = state["exp_avg"].index_select(0, rows).lerp_(gradient, 1 - beta1)
        v = (
            state["exp_avg_sq"]
            .index_select(0, rows)
            .mul_(beta2)
            .addcmul_(gradient, gradient, value=1 - beta2)
        )
        state["exp_avg"][rows], state["exp_avg_sq"][rows] = m, v
        rescale = (1 - beta2**count).sqrt().to(m.dtype)
        step = (rate / (1 - beta1**count)).to(m.dtype)
        w = self.weight.index_select(0, rows).mul_(1 - rate * group["weight_decay"])
        self.weight[rows] = w.addcdiv_(m.mul_(step), (v.sqrt_() / rescale).add_(group["eps"]), value=-1)

    def _remember(self, group: dict[str, Any], state: dict[str, Any], index: Tensor | None) -> None:
        """One step more that all rows but ``index`` have missed."""
        rate, decay, momentum = group["lr"], group["weight_decay"], group["momentum"]
        ahead = rate * momentum if group["nesterov"] else rate  # what the new b moves w by
        straight = rate * decay if group["nesterov"] else 0.0
        # Rows of M: w <- w - straight w - ahead b', b' = decay w + momentum b.
        ww, wb = 1 - straight - ahead * decay, -ahead * momentum
        w_w, w_b, b_w, b_b = state["missed"].unbind(1)
        nothing = torch.ones_like(w_w[:1]), *(torch.zeros_like(w_w[:1]),) * 2, torch.ones_like(w_w[:1])
        columns = (
            ww * w_w + wb * b_w,
            ww * w_b + wb * b_b,
            decay * w_w + momentum * b_w,
            decay * w_b + momentum * b_b,
        )
        pairs = zip(columns, nothing, strict=True)
        state["missed"] = torch.stack([torch.cat(pair) for pair in pairs], 1)
        now = len(state["missed"]) - 1
        if index is not None:
            state["touched"].index_fill_(0, index, now)
        if now >= _LONGEST:
            self.settle()

    def settle(self) -> None:
        """Bring all rows up to date, which walks them once: then they are those of ``dense``."""
        self.bring_up(None)
        state = self._state()
        if self.lazy:
            state["missed"] = state["missed"][-1:].clone()
            state["touched"].zero_()

    def _group(self) -> dict[str, Any]:
        assert self._optimizer is not None, "attach() comes first"
        groups = self._optimizer.param_groups
        return next(group for group in groups if any(p is self.weight for p in group["params"]))

    def _state(self) -> dict[str, Any]:
        """The optimizer's state of the weights, made where there is none yet."""
        assert self._optimizer is not None
        group, weight = self._group(), self.weight.detach()
        state: dict[str, Any] = self._optimizer.state[self.weight]
        plain = ("momentum_buffer",) if group.get("momentum") else ()
        for name in ("exp_avg", "exp_avg_sq") if "betas" in group else plain:
            if state.get(name) is None:
                state[name] = torch.zeros_like(weight)
        if "betas" in group and "steps" not in state:
            state["steps"] = torch.zeros(len(weight), dtype=torch.int32, device=weight.device)
            state["step"] = torch.zeros(())  # which AdamW looks for when its state is put back
        if self.lazy and "missed" not in state:
            state["touched"] = torch.zeros(len(weight), dtype=torch.int32, device=weight.device)
            state["missed"] = torch.eye(2, dtype=_wide(weight), device=weight.device).reshape(1, 4)
        return state

    def _blocks(self, index: Tensor | None) -> Iterator[Tensor]:
        for part in _slices(self.weight, len(self.weight) if index is None else len(index)):
            if index is None:
                yield torch.arange(part.start, part.stop, device=self.weight.device)
            else:
                yield index[part]


def keep_rows(loss: nn.Module, settings: OptimizerSettings) -> None:
    """Give each sampled classifier of a loss a :class:`ClassRows`, where the settings want that.

    Raises:
        UsageError: The optimizer has no such update.
    """
    for module in loss.modules():
        if isinstance(module, Classifier) and module.sample_rate < 1 and module.weight.requires_grad:
            update = class_update(settings, module.sample_rate)
            module.keeper = None if update == "dense" else ClassRows(module, lazy=update == "lazy")


def keepers(loss: nn.Module) -> dict[str, ClassRows]:
    """The row updates of a loss, each by the name of its weights in the loss's state."""
    found = {}
    for path, module in loss.named_modules():
        if isinstance(module, Classifier) and isinstance(module.keeper, ClassRows):
            found[f"{path}.weight".lstrip(".")] = module.keeper
    return found


def _slices(matrix: Tensor, rows: int) -> Iterator[slice]:
    """Parts of ``rows`` rows of a matrix that suit its device."""
    size = max(1, _BLOCK.get(matrix.device.type, 1 << 24) // max(matrix.shape[1], 1))
    for start in range(0, rows, size):
        yield slice(start, min(start + size, rows))


def _first(ordered: Tensor) -> Tensor:
    """The place at which each entry of a sorted list comes first."""
    place = torch.arange(len(ordered), device=ordered.device)
    again = torch.cat([torch.zeros_like(ordered[:1], dtype=torch.bool), ordered[1:] == ordered[:-1]])
    return place.masked_fill(again, 0).cummax(0).values


def _wide(like: Tensor) -> torch.dtype:
    """float64, which Apple's GPUs do not have."""
    return torch.float32 if like.device.type == "mps" else torch.float64
