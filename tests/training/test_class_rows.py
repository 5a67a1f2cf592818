"""Updates of the sampled rows only: what dense makes of them, or an optimizer a row; norm, clip, resume."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from typing import Self

import pytest
import torch
from torch.testing import assert_close

from facerec_cli import registry
from facerec_cli.backbones import build
from facerec_cli.errors import ModelError
from facerec_cli.losses import Loss, LossInput
from facerec_cli.settings import to_tables
from facerec_cli.training import checkpoint, class_rows
from facerec_cli.training.advice import estimate_memory
from facerec_cli.training.class_rows import keep_rows, keepers
from facerec_cli.training.config import LossSettings, OptimizerSettings, Recipe, RunSettings
from facerec_cli.training.devices import World, join_world
from facerec_cli.training.optimizer import (
    build_optimizer,
    clip_gradients,
    load_state_by_name,
    named_parameters,
    set_rate,
    sharded_parameters,
    state_by_name,
)
from facerec_cli.training.setup import prepare
from facerec_cli.training.state import restore
from facerec_cli.training.train import train

ALONE = World(0, 1, torch.device("cpu"), None, False)
CLASSES, SIZE, ROWS, RATE = 60, 8, 6, 0.2
SGD = {
    "momentum and decay": {},
    "nesterov": {"nesterov": True, "weight_decay": 0.01},
    "momentum": {"weight_decay": 0.0},
    "decay": {"momentum": 0.0, "weight_decay": 0.05},
    "neither": {"momentum": 0.0, "weight_decay": 0.0},
}


class Head:
    """A loss with its optimizer, and one weight beside it for a backbone."""

    def __init__(
        self,
        update: str,
        loss: str = "arcface",
        *,
        rate: float = RATE,
        own: dict[str, object] | None = None,
        dtype: torch.dtype = torch.float64,
        **settings: object,
    ) -> None:
        self.settings = OptimizerSettings(class_update=update, **settings)
        kind = registry.load(registry.LOSSES, loss, "loss")
        self.loss: Loss = kind(CLASSES, SIZE, sample_rate=rate, seed=5, **(own or {})).to(dtype)
        self.backbone = torch.nn.Linear(SIZE, SIZE, dtype=dtype)
        with torch.no_grad():
            self.backbone.weight.copy_(torch.eye(SIZE))
            self.backbone.bias.zero_()
        keep_rows(self.loss, self.settings)
        self.parameters = named_parameters(self.backbone, self.loss)
        self.optimizer = build_optimizer(self.settings, self.parameters, self.loss)
        self.norms: list[torch.Tensor] = []

    def batch(self, step: int) -> LossInput:
        generator = torch.Generator().manual_seed(step)
        dtype = self.backbone.weight.dtype
        return LossInput(
            torch.randn(ROWS, SIZE, generator=generator, dtype=torch.float64).to(dtype),
            torch.randint(0, CLASSES, (ROWS,), generator=generator),
            feature_map=torch.randn(ROWS, 4, 3, 3, generator=generator).to(dtype),
            branch=torch.arange(ROWS) % 2,
            pair=torch.where(torch.arange(ROWS) < 2, -1, torch.arange(ROWS) % 2),
            target=torch.randn(ROWS, SIZE, generator=generator).to(dtype),
            epoch=9,
            step=step,
        )

    def backward(self, step: int) -> torch.Tensor:
        given = self.batch(step)
        value, _ = self.loss(replace(given, embeddings=self.backbone(given.embeddings)))
        value.backward()
        return value.detach()

    def run(self, first: int, last: int, *, accumulate: int = 1, clip: float = 0.0) -> Self:
        for step in range(first, last):
            set_rate(self.optimizer, 0.1 / (1 + 0.1 * step))
            for part in range(accumulate):
                self.backward(step * accumulate + part)
            self.norms.append(clip_gradients(self.parameters, sharded_parameters(self.loss), clip, ALONE))
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
        return self

    def settled(self) -> dict[str, torch.Tensor]:
        for rows in keepers(self.loss).values():
            rows.settle()
        loss = {f"loss.{name}": value for name, value in self.loss.state_dict().items()}
        momentum = {
            f"{name}.{key}": value
            for name, state in state_by_name(self.optimizer, self.parameters).items()
            for key, value in state.items()
            if key == "momentum_buffer" and value is not None
        }
        return {k: v.clone() for k, v in (loss | momentum | self.backbone.state_dict()).items()}


@pytest.mark.parametrize("name", [name for name in registry.LOSSES if name != "distill"])
def test_lazy_is_dense_for_every_loss(name: str) -> None:
    lazy, dense = (Head(update, name).run(0, 9, clip=1.0) for update in ("lazy", "dense"))
    assert keepers(lazy.loss) and not keepers(dense.loss)
    assert_close(lazy.norms, dense.norms, rtol=1e-10, atol=1e-12)
    assert_close(lazy.settled(), dense.settled(), rtol=1e-9, atol=1e-11)
    assert all(p.grad is None for p in lazy.loss.parameters())  # no whole gradient was made


@pytest.mark.parametrize("accumulate", [1, 3])
@pytest.mark.parametrize("kind", SGD)
def test_lazy_is_dense_for_every_kind_of_sgd(
    kind: str, accumulate: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(class_rows, "_LONGEST", 7)  # all rows are brought up now and then
    monkeypatch.setattr(class_rows, "_BLOCK", {"cpu": 5 * SIZE})
    lazy, dense = (
        Head(update, **SGD[kind]).run(0, 25, accumulate=accumulate, clip=2.0) for update in ("lazy", "dense")
    )
    assert_close(lazy.norms, dense.norms, rtol=1e-10, atol=0)
    assert_close(lazy.settled(), dense.settled(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_without_momentum_and_decay_every_bit_is_that_of_dense(dtype: torch.dtype) -> None:
    plain = SGD["neither"]
    heads = [Head(u, dtype=dtype, **plain).run(0, 6) for u in ("lazy", "sampled", "dense")]
    for name, value in heads[2].settled().items():
        assert torch.equal(heads[0].settled()[name], value), name
        assert torch.equal(heads[1].settled()[name], value), name


def test_lazy_stays_near_dense_in_float32_over_many_steps() -> None:
    lazy, dense = (Head(u, dtype=torch.float32, own={"scale": 4.0}).run(0, 150) for u in ("lazy", "dense"))
    weights = "loss.classifier.weight"
    one, other = lazy.settled()[weights], dense.settled()[weights]
    assert torch.nn.functional.cosine_similarity(one, other).min() > 1 - 1e-5
    assert_close(one, other, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("update", ["auto", "lazy", "sampled", "dense"])
def test_with_all_classes_nothing_is_another(update: str) -> None:
    one, other = (Head(u, rate=1.0, dtype=torch.float32).run(0, 4) for u in (update, "dense"))
    assert not keepers(one.loss)
    before, now = other.settled(), one.settled()
    assert all(torch.equal(now[name], value) for name, value in before.items())


@pytest.mark.parametrize(
    "settings",
    [*SGD.values(), {"name": "adamw"}, {"name": "adamw", "weight_decay": 0.3, "momentum": 0.5}],
    ids=str,
)
def test_sampled_is_an_optimizer_for_each_row(settings: dict[str, object]) -> None:
    """PyTorch's own optimizers, one for each class row, that make a step where the row is in the sample."""
    head = Head("sampled", **settings)
    twin = Head("dense", **settings)
    weight = twin.loss.classifier.weight
    rows = [torch.nn.Parameter(row.clone()[None]) for row in weight.detach()]
    common = {"lr": 0.0, "weight_decay": head.settings.weight_decay}
    if settings.get("name") == "adamw":
        own = [torch.optim.AdamW([r], betas=(head.settings.momentum, 0.999), **common) for r in rows]
    else:
        common |= {"momentum": head.settings.momentum, "nesterov": head.settings.nesterov}
        own = [torch.optim.SGD([r], **common) for r in rows]
    for step in range(12):
        twin.optimizer.zero_grad()
        twin.backbone.load_state_dict(head.backbone.state_dict())
        twin.backward(step)
        head.run(step, step + 1)
        for i in twin.loss.classifier.classes(twin.batch(step).labels, step).index.tolist():
            rows[i].grad = weight.grad[i][None].clone()
            own[i].param_groups[0]["lr"] = 0.1 / (1 + 0.1 * step)
            own[i].step()
        with torch.no_grad():
            weight.copy_(torch.cat(rows))
        assert_close(head.loss.classifier.weight, weight, rtol=1e-10, atol=1e-12)


def test_rows_that_are_not_drawn_are_neither_read_nor_written() -> None:
    head = Head("sampled", dtype=torch.float32).run(0, 3)
    state = head.optimizer.state[head.loss.classifier.weight]
    drawn = head.loss.classifier.classes(head.batch(3).labels, 3).index
    away = torch.ones(CLASSES, dtype=torch.bool)
    away[drawn] = False
    with torch.no_grad():
        for matrix in (head.loss.classifier.weight, state["momentum_buffer"]):
            matrix[away] = torch.nan  # would spread to whatever reads it
    head.run(3, 4)
    for matrix in (head.loss.classifier.weight, state["momentum_buffer"]):
        assert matrix[drawn].isfinite().all() and matrix[away].isnan().all()
    assert head.norms[-1].isfinite() and head.backbone.weight.isfinite().all()


@pytest.mark.parametrize("update", ["lazy", "sampled"])
def test_batches_of_one_step_are_added_up_without_counting_rows(
    update: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a GPU nobody waits to know how many rows are distinct; the result is the same."""
    counted = Head(update).run(0, 8, accumulate=3, clip=1.0)
    monkeypatch.setattr(class_rows, "_WAITS_FOR_NOBODY", ())
    uncounted = Head(update).run(0, 8, accumulate=3, clip=1.0)
    assert_close(uncounted.norms, counted.norms, rtol=1e-12, atol=0)
    assert_close(uncounted.settled(), counted.settled(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("update", ["lazy", "sampled"])
def test_the_scaler_of_fp16_skips_a_step_that_overflowed(update: str) -> None:
    plain, scaled = Head(update), Head(update)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=10**6)
    for step in range(6):
        if step != 2:
            plain.run(step, step + 1)
        set_rate(scaled.optimizer, 0.1 / (1 + 0.1 * step))
        given = scaled.batch(step)
        value, _ = scaled.loss(replace(given, embeddings=scaled.backbone(given.embeddings)))
        scaler.scale(value * torch.inf if step == 2 else value).backward()
        scaler.unscale_(scaled.optimizer)
        scaler.step(scaled.optimizer)
        scaler.update()
        scaled.optimizer.zero_grad(set_to_none=True)
    assert scaler.get_scale() == 512.0
    assert_close(scaled.settled(), plain.settled(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("update", "settings"), [("lazy", {}), ("sampled", {}), ("sampled", {"name": "adamw"})], ids=str
)
def test_state_is_put_back_bit_for_bit(update: str, settings: dict[str, object], tmp_path) -> None:
    first = Head(update, dtype=torch.float32, **settings).run(0, 5)
    saved = {"optimizer": state_by_name(first.optimizer, first.parameters), "loss": first.loss.state_dict()}
    torch.save(saved, tmp_path / "state.pt")
    saved = torch.load(tmp_path / "state.pt", weights_only=True)
    again = Head(update, dtype=torch.float32, **settings)
    again.loss.load_state_dict(saved["loss"])
    again.backbone.load_state_dict(first.backbone.state_dict())
    load_state_by_name(again.optimizer, again.parameters, saved["optimizer"])
    one, other = first.run(5, 9).settled(), again.run(5, 9).settled()
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_lazy_goes_on_with_the_state_of_dense() -> None:
    """A checkpoint of a version that walked all rows."""
    dense = Head("dense").run(0, 5)
    lazy = Head("lazy")
    lazy.loss.load_state_dict(dense.loss.state_dict())
    lazy.backbone.load_state_dict(dense.backbone.state_dict())
    load_state_by_name(lazy.optimizer, lazy.parameters, state_by_name(dense.optimizer, dense.parameters))
    assert_close(lazy.run(5, 9).settled(), dense.run(5, 9).settled(), rtol=1e-9, atol=1e-12)


def test_so_few_classes_that_all_take_part() -> None:
    lazy, dense = (Head(update, rate=0.999).run(0, 6) for update in ("lazy", "dense"))
    assert_close(lazy.settled(), dense.settled(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("settings", "numbers"),
    [
        (
            {"class_update": "lazy"},
            2 * 60 + 2 * 12,
        ),  # weights, momentum; rows and gradient of 12 of 60 classes
        ({"class_update": "sampled", "name": "adamw"}, 3 * 60 + 2 * 12),
        ({"class_update": "lazy", "accumulate": 2}, 2 * 60 + 2 * 12 + 4 * 12),  # gradients that are joined
        ({"class_update": "dense"}, 3 * 60 + 12),
        ({"class_update": "auto"}, 2 * 60 + 2 * 12),
    ],
    ids=str,
)
def test_the_plan_knows_what_rows_take(settings: dict[str, object], numbers: int) -> None:
    recipe = Recipe(
        optimizer=OptimizerSettings(**settings),
        loss=LossSettings(sample_rate=RATE),
        run=RunSettings(batch_size=ROWS),
    )
    network = build("mobilefacenet", SIZE, width=0.125)
    stated = estimate_memory(recipe, network, Head("dense").loss, ALONE, torch.float32)
    assert stated["classes"] == 4 * SIZE * numbers
    assert stated["logits"] == 8 * ROWS * 12


# A sample of 21 of 70 classes.
SAMPLED = {
    "data__path": "synthetic:70:3",
    "loss__sample_rate": 0.3,
    "run__log_every": 1,
    "schedule__steps": 7,
}


@pytest.mark.parametrize("update", ["lazy", "sampled"])
def test_a_stopped_run_goes_on_bit_for_bit(small, tmp_path, stop_at, update: str) -> None:
    settings = {**SAMPLED, "optimizer__class_update": update, "optimizer__accumulate": 2}
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(small(whole, **settings))
    with pytest.raises(KeyboardInterrupt, match="--resume"):
        train(small(parts, **settings), observer=stop_at(4))
    missed = checkpoint.read(parts / "last.pt")["ranks"][0]["optimizer"]["loss.classifier.weight"].get(
        "missed"
    )
    assert (update == "lazy") == (missed is not None and len(missed) == 5)  # steps that rows may be behind
    _cut_in_two(parts / "last.pt")  # as two processes would have written it
    train(small(parts, **settings), resume=True)
    assert (parts / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()
    (a,), (b,) = (checkpoint.read(folder / "last.pt")["ranks"] for folder in (whole, parts))
    assert torch.equal(a["loss"]["classifier.weight"], b["loss"]["classifier.weight"])
    one, other = (shard["optimizer"]["loss.classifier.weight"] for shard in (a, b))
    assert one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def _cut_in_two(path) -> None:
    document = checkpoint.read(path, mmap=False)
    (whole,) = document["ranks"]
    document["ranks"] = []
    for rank, rows in enumerate((slice(0, 40), slice(40, 70))):
        shard = {
            part: {
                name: {k: v[rows].clone() if len(v.shape) and len(v) == 70 else v for k, v in state.items()}
                if part == "optimizer"
                else state[rows].clone()
                for name, state in whole[part].items()
            }
            for part in ("loss", "optimizer")
        }
        document["ranks"].append(f"{path.stem}.rank-{rank}.pt")
        checkpoint.write(path.parent / document["ranks"][-1], checkpoint.header("0.1") | shard)
    checkpoint.write(path, document)


def test_the_last_checkpoint_has_the_weights_of_dense(small, tmp_path) -> None:
    settings = {**SAMPLED, "schedule__steps": 4, "optimizer__lr": 0.01}
    weights = []
    for update in ("auto", "dense"):
        train(small(tmp_path / update, **settings, optimizer__class_update=update))
        (shard,) = checkpoint.read(tmp_path / update / "last.pt")["ranks"]
        weights.append(shard["loss"]["classifier.weight"])
    assert 'class_update = "lazy"' in (tmp_path / "auto" / "recipe.toml").read_text()
    assert_close(weights[0], weights[1], rtol=1e-4, atol=1e-5)


def test_a_run_of_an_earlier_version_goes_on(small, tmp_path, stop_at) -> None:
    """Its checkpoint and its recipe know neither the update of rows nor the precision of the products."""
    out = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(small(out, **SAMPLED, optimizer__class_update="dense"), observer=stop_at(3))
    document = checkpoint.read(out / "last.pt", mmap=False)
    del document["recipe"]["optimizer"]["class_update"], document["recipe"]["loss"]["matmul"]
    checkpoint.write(out / "last.pt", document)
    assert train(small(out, **SAMPLED), resume=True).steps == 7
    with pytest.raises(ModelError, match="class_update was lazy and is sampled"):
        train(small(out, **SAMPLED, optimizer__class_update="sampled"), resume=True)


@pytest.mark.slow
def test_two_processes_save_what_one_goes_on_with(small, tmp_path) -> None:
    """Rows that are behind are cut anew with what they have missed, and end where dense updates would."""
    settings = {**SAMPLED, "backbone__freeze_bn": True, "optimizer__lr": 0.002, "run__checkpoint_every": 3}
    running, ends = {}, {}
    for update in ("lazy", "dense"):
        recipe = small(tmp_path / update, **settings, optimizer__class_update=update)
        given = [
            f"--set={t}.{k}={json.dumps(v)}" for t, keys in to_tables(recipe).items() for k, v in keys.items()
        ]
        command = [sys.executable, "-m", "facerec_cli", "train", *given, "--processes", "2"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        running[update] = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    for update, process in running.items():
        _, said = process.communicate(timeout=240)
        assert process.returncode == 0, said
        document = checkpoint.read(tmp_path / update / "last.pt")
        shards = [checkpoint.read(tmp_path / update / name) for name in document["ranks"]]
        ends[update] = torch.cat([shard["loss"]["classifier.weight"] for shard in shards])
        assert [len(shard["loss"]["classifier.weight"]) for shard in shards] == [35, 35]
    assert_close(ends["lazy"], ends["dense"], rtol=1e-3, atol=1e-5)
    with join_world("cpu") as world:
        run = prepare(small(tmp_path / "lazy", **settings), world)
        assert restore(run).step == 7
        assert torch.equal(run.model.loss.classifier.weight, ends["lazy"])
        state = run.optimization.optimizer.state[run.model.loss.classifier.weight]
        assert state["touched"].dtype == torch.int32 and len(state["touched"]) == 70
        assert state["missed"].dtype == torch.float64 and len(state["momentum_buffer"]) == 70
