"""The loop on the CPU: every loss learns, and a stopped run ends as if it had not been stopped."""

import json
import re

import cv2
import numpy as np
import pytest
import torch

from facerec_cli.errors import FacerecError, InputError, ModelError, TrainingError, UsageError
from facerec_cli.registry import LOSSES
from facerec_cli.training import checkpoint
from facerec_cli.training.report import Evaluated, RolledBack
from facerec_cli.training.train import plan, train

TRAINED = [name for name in LOSSES if name != "distill"]
HARD = ["otface", "ddl", "npt", "epl"]


def losses(out):
    records = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [r["loss"] for r in records if "loss" in r]


def same(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return a == b


def pair_list(folder, people=6):
    """Aligned crops of drawn people and a list of their pairs."""

    from facerec_cli.data import open_dataset

    folder.mkdir(parents=True, exist_ok=True)
    data = open_dataset(f"synthetic:{people}:4")
    names = []
    for i in range(len(data)):
        names.append(f"{int(data.labels[i])}_{i}.png")
        cv2.imwrite(str(folder / names[-1]), np.ascontiguousarray(data.image(i)[..., ::-1]))
    rows = []
    for i in range(0, len(data) - 1):
        for j in range(i + 1, len(data)):
            if data.labels[i] == data.labels[j] or (i + j) % 7 == 0:
                rows.append(f"{names[i]} {names[j]} {int(data.labels[i] == data.labels[j])}")
    (folder / "pairs.txt").write_text("\n".join(rows) + "\n")
    return folder / "pairs.txt"


@pytest.mark.parametrize("loss", TRAINED)
def test_every_loss_falls(small, tmp_path, loss):
    # A term that begins in the middle makes a loss rise; test_unitsface.py shows that this one falls, too.
    own = {"loss__start_epoch": 99} if loss == "unitsface" else {}
    settings = {"loss__name": loss, "schedule__steps": 12, "run__log_every": 3, "optimizer__lr": 0.02, **own}
    train(small(tmp_path / "run", **settings))
    found = losses(tmp_path / "run")
    assert len(found) == 4
    assert found[-1] < found[0], found


@pytest.mark.parametrize("loss", HARD)
def test_a_stopped_run_goes_on_bit_for_bit(small, tmp_path, stop_at, loss):
    settings = {"loss__name": loss, "optimizer__ema": 0.9, "run__log_every": 1, "schedule__steps": 7}
    if loss == "epl":
        settings["loss__start_epoch"] = 0
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(small(whole, **settings))
    with pytest.raises(KeyboardInterrupt, match="--resume"):
        train(small(parts, **settings), observer=stop_at(4))
    assert checkpoint.read(parts / "last.pt")["progress"]["step"] == 4
    train(small(parts, **settings), resume=True)
    assert (parts / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()
    a, b = (checkpoint.read(folder / "last.pt") for folder in (whole, parts))
    for key in ("backbone", "ema", "loss", "optimizer", "ranks"):
        assert same(a[key], b[key]), key


def test_resume_cuts_what_was_logged_after_the_last_checkpoint(small, tmp_path, stop_at):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(small(whole))
    with pytest.raises(KeyboardInterrupt):
        train(small(parts), observer=stop_at(4))
    with (parts / "metrics.jsonl").open("a") as file:  # as if killed between a line and a checkpoint
        file.write('{"step": 6, "lo')
    train(small(parts), resume=True)
    assert (parts / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()


def test_accumulation_takes_the_mean_over_its_batches(small, tmp_path):
    outcome = train(small(tmp_path / "run", optimizer__accumulate=3, schedule__steps=4, run__log_every=1))
    assert outcome.steps == 4
    assert len(losses(tmp_path / "run")) == 4


def test_without_pairs_to_watch_the_last_network_is_the_one_to_export(small, tmp_path):
    outcome = train(small(tmp_path / "run", schedule__steps=3))
    assert outcome.checkpoint == tmp_path / "run" / "best.pt"
    best, info = checkpoint.load_backbone(outcome.checkpoint)
    assert info.step == 3
    last = checkpoint.read(tmp_path / "run" / "last.pt")["backbone"]["state"]
    assert all(torch.equal(value, last[name]) for name, value in best.state_dict().items())


def test_evaluation_names_the_best_checkpoint(small, tmp_path):
    pairs = pair_list(tmp_path / "crops")
    seen = []
    recipe = small(tmp_path / "run", evaluate__sets=[str(pairs)], evaluate__best="auc", schedule__steps=12)
    outcome = train(recipe, observer=lambda e: seen.append(e) if isinstance(e, Evaluated) else None)
    assert seen[0].step == 0  # what it started from
    assert outcome.first == seen[0].metrics
    assert outcome.best == max(e.metrics["pairs/auc"] for e in seen[1:])
    assert outcome.checkpoint.name == "best.pt"
    backbone, info = checkpoint.load_backbone(tmp_path / "run")
    assert info.step == next(e.step for e in seen[1:] if e.metrics["pairs/auc"] == outcome.best)
    assert backbone.embedding_size == 32
    assert outcome.curve is not None
    assert outcome.curve.read_bytes()[:4] == b"\x89PNG"


def test_a_metric_that_is_not_measured_lists_those_that_are(small, tmp_path):
    pairs = pair_list(tmp_path / "crops")
    with pytest.raises(UsageError, match=r"Measured are: .*accuracy"):
        train(small(tmp_path / "run", evaluate__sets=[str(pairs)], evaluate__best="tar@1e-6"))


def test_photos_that_are_not_aligned_are_refused(small, tmp_path):

    for name in ("a.png", "b.png"):
        cv2.imwrite(str(tmp_path / name), np.zeros((50, 60, 3), np.uint8))
    (tmp_path / "pairs.txt").write_text("a.png b.png 1\na.png b.png 0\n")
    with pytest.raises(InputError, match=r"60 x 50 pixels.*facerec data align"):
        plan(small(tmp_path / "run", evaluate__sets=[str(tmp_path / "pairs.txt")]))


def test_frozen_parts_stay_as_they_are(small, tmp_path):
    from facerec_cli.training.setup import seed_step

    recipe = small(tmp_path / "run", backbone__freeze=["body.0"], backbone__freeze_bn=True, schedule__steps=3)
    train(recipe)
    after = checkpoint.read(tmp_path / "run" / "last.pt")["backbone"]["state"]
    seed_step(0, 0, -1)
    from facerec_cli.backbones import build

    before = build("mobilefacenet", 32, width=0.125).state_dict()
    assert torch.equal(after["body.0.0.weight"], before["body.0.0.weight"])
    assert not torch.equal(after["body.1.0.weight"], before["body.1.0.weight"])
    assert torch.equal(after["body.1.1.running_mean"], before["body.1.1.running_mean"])


def test_not_a_number_stops_with_the_cause_and_keeps_the_last_checkpoint(small, tmp_path):
    recipe = small(
        tmp_path / "run", optimizer__lr=1e30, optimizer__clip=0.0, schedule__steps=12, run__log_every=1,
        schedule__warmup=0.0, run__checkpoint_every=1,
    )  # fmt: skip
    with pytest.raises(TrainingError, match=r"learning rate|not finite") as fault:
        train(recipe)
    assert "--lr" in fault.value.hint


def test_rollback_goes_on_with_half_the_rate(small, tmp_path, monkeypatch):
    from facerec_cli.training import train as module

    clip, calls = module.clip_gradients, []

    def explode(parameters, *rest):
        calls.append(1)
        if len(calls) == 5:
            next(iter(parameters.values())).grad.fill_(float("nan"))
        return clip(parameters, *rest)

    monkeypatch.setattr(module, "clip_gradients", explode)
    seen = []
    recipe = small(tmp_path / "run", run__on_nan="rollback", run__log_every=1, run__checkpoint_every=2)
    outcome = train(recipe, observer=lambda e: seen.append(e) if isinstance(e, RolledBack) else None)
    assert outcome.steps == 8
    assert [(e.step, e.lr_scale) for e in seen] == [(4, 0.5)]
    records = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [r["step"] for r in records] == list(range(1, 9))


def test_rollback_also_where_it_shows_between_two_logs(small, tmp_path, monkeypatch):
    """A checkpoint that is due finds what is not finite before it writes, and is no harder a stop."""
    from facerec_cli.training import train as module

    clip, calls = module.clip_gradients, []

    def explode(parameters, *rest):
        calls.append(1)
        if len(calls) == 6:
            next(iter(parameters.values())).grad.fill_(float("nan"))
        return clip(parameters, *rest)

    monkeypatch.setattr(module, "clip_gradients", explode)
    seen = []
    recipe = small(tmp_path / "run", run__on_nan="rollback", run__log_every=7, run__checkpoint_every=2)
    outcome = train(recipe, observer=lambda e: seen.append(e) if isinstance(e, RolledBack) else None)
    assert [(e.step, e.lr_scale) for e in seen] == [(4, 0.5)]
    assert outcome.steps == 8
    assert all(np.isfinite(losses(tmp_path / "run")))


def test_prototypes_and_sums_that_are_not_finite_are_no_checkpoint(small, tmp_path):
    from facerec_cli.training.devices import join_world
    from facerec_cli.training.setup import prepare
    from facerec_cli.training.state import TrainingState, is_finite

    with join_world("cpu") as world:
        run = prepare(small(tmp_path / "run", loss__name="epl"), world)
    assert is_finite(run, TrainingState())
    assert not is_finite(run, TrainingState(sums={"loss": torch.tensor(float("nan"))}))
    run.model.loss.prototypes[3, 1] = float("inf")
    assert not is_finite(run, TrainingState())


def test_all_processes_share_the_average_s_batch_statistics_too(small, tmp_path, monkeypatch):
    import dataclasses

    from facerec_cli.training import state
    from facerec_cli.training.devices import join_world
    from facerec_cli.training.setup import prepare

    with join_world("cpu") as world:
        run = prepare(small(tmp_path / "run", optimizer__ema=0.9), world)
    monkeypatch.setattr(state.dist, "broadcast", lambda tensor, source: tensor.fill_(7 + source))
    state.share_buffers(dataclasses.replace(run, world=dataclasses.replace(world, size=2, group=object())))
    for network in (run.model.backbone, run.model.ema.module):
        buffers = list(network.buffers())
        assert buffers
        assert all(bool((buffer == 7).all()) for buffer in buffers)


def test_a_resumed_run_keeps_nothing_in_the_file_that_it_will_replace(small, tmp_path):
    from facerec_cli.training.devices import join_world
    from facerec_cli.training.setup import prepare
    from facerec_cli.training.state import restore

    train(small(tmp_path / "run", schedule__steps=2))
    with join_world("cpu") as world:
        run = prepare(small(tmp_path / "run", schedule__steps=2), world, weights=False)
        restore(run)
    held = [state["momentum_buffer"] for state in run.optimization.optimizer.state.values()]
    assert len(held) == len(run.optimization.parameters)
    assert [t.untyped_storage().filename for t in [*held, *run.optimization.parameters.values()]] == [
        None
    ] * 2 * len(held)


def test_a_metrics_file_shorter_than_the_checkpoint_says_is_not_filled_up(small, tmp_path, stop_at):
    with pytest.raises(KeyboardInterrupt):
        train(small(tmp_path / "run"), observer=stop_at(4))
    (tmp_path / "run" / "metrics.jsonl").unlink()
    train(small(tmp_path / "run"), resume=True)
    assert len(losses(tmp_path / "run")) == 2  # steps 6 and 8


@pytest.mark.parametrize(
    ("settings", "kind", "message"),
    [
        ({"loss__name": "arcfase"}, UsageError, "Did you mean 'arcface'"),
        ({"loss__name": "npt", "loss__kk": 2}, UsageError, "Did you mean 'k'"),
        ({"loss__name": "npt", "loss__k": "many"}, UsageError, r"loss.k = 'many'"),
        ({"loss__name": "distill"}, UsageError, "--init sface"),
        ({"backbone__name": "iresnet51"}, UsageError, "Did you mean 'iresnet50'"),
        ({"run__batch_size": 1000}, UsageError, "larger than the data, 72 photos"),
        ({"run__precision": "fp16"}, UsageError, "fp16 needs a GPU"),
        ({"run__device": "tpu9"}, UsageError, "not a device"),
        ({"data__path": "nowhere/at/all"}, FacerecError, "nowhere"),
        ({"data__path": []}, UsageError, "nothing to train on.*--data"),
        ({"data__path": ""}, UsageError, "each text that is not empty"),
        ({"backbone__freeze": ["bodi"]}, UsageError, "Did you mean 'body'"),
        ({"backbone__freeze": ["all"], "optimizer__ema": 1.0}, UsageError, "decay"),
        ({"optimizer__accumulate": 100}, UsageError, "fewer than accumulate"),
        ({"evaluate__sets": ["no.bin"]}, InputError, "no.bin"),
    ],
)
def test_bad_settings_are_clear_errors(small, tmp_path, settings, kind, message):
    with pytest.raises(kind, match=message):
        plan(small(tmp_path / "run", **settings))
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_cuda_is_never_replaced_by_the_cpu(small, tmp_path):
    with pytest.raises(ModelError, match=r"no CUDA GPU.*--device cpu"):
        train(small(tmp_path / "run", run__device="cuda"))


def test_out_of_memory_names_the_setting_to_change(small, tmp_path, monkeypatch):
    from facerec_cli.training import train as module

    def full(*_):
        raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(module, "_step", full)
    with pytest.raises(TrainingError, match=r"Memory ran out.*--batch-size 6 "):
        train(small(tmp_path / "run"))


def test_a_folder_with_a_run_is_not_written_over(small, tmp_path):
    train(small(tmp_path / "run", schedule__steps=2))
    before = (tmp_path / "run" / "last.pt").read_bytes()
    with pytest.raises(UsageError, match=r"--resume.*--overwrite"):
        train(small(tmp_path / "run", schedule__steps=2))
    assert (tmp_path / "run" / "last.pt").read_bytes() == before
    train(small(tmp_path / "run", schedule__steps=4), force=True)
    assert checkpoint.read(tmp_path / "run" / "last.pt")["progress"]["step"] == 4


def test_what_cannot_begin_writes_over_nothing(small, tmp_path):
    out = tmp_path / "run"
    train(small(out, schedule__steps=2))
    before = {path.name: path.read_bytes() for path in out.glob("*.*") if path.suffix != ".replaced"}
    for settings, said in (
        ({"data__path": str(tmp_path / "nowhere")}, "no data set"),
        ({"evaluate__sets": [str(tmp_path / "nowhere.txt")]}, "nowhere"),
        ({"backbone__init": str(out / "best.pt")}, "--init .*best.pt is in the folder that is written over"),
        ({"backbone__init": str(out)}, "is in the folder"),
        ({"backbone__teacher": str(out / "last.pt"), "loss__name": "distill"}, "--teacher .*last.pt is in"),
    ):
        with pytest.raises(FacerecError, match=said):
            train(small(out, **settings), force=True)
    assert before == {name: (out / name).read_bytes() for name in before}
    with pytest.raises(UsageError, match="either gone on with or written over"):
        train(small(out), force=True, resume=True)
    train(small(out, schedule__steps=2), resume=True)  # what was tried stands in nobody's way


def test_a_restart_by_torchrun_does_not_go_on_with_what_is_written_over(small, tmp_path, monkeypatch):
    out = tmp_path / "run"
    train(small(out, schedule__steps=2))
    with pytest.raises(FacerecError, match="nowhere"):
        train(small(out, evaluate__sets=["nowhere.txt"]), force=True)
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    assert train(small(out, schedule__steps=1), force=True).steps == 1  # with 2 it had gone on
    assert train(small(out, schedule__steps=1), force=True).seconds >= 0
    assert checkpoint.read(out / "last.pt")["progress"]["step"] == 1


def test_a_run_is_not_written_among_its_photos(small, tmp_path):
    for person in "ab":
        folder = tmp_path / "crops" / person
        folder.mkdir(parents=True)
        for number in range(3):
            cv2.imwrite(str(folder / f"{number}.png"), np.full((112, 112, 3), 90, np.uint8))
    for out in ("crops", "crops/run"):
        with pytest.raises(UsageError, match="among the photos of"):
            train(small(tmp_path / out, data__path=str(tmp_path / "crops")))
    assert sorted(path.name for path in (tmp_path / "crops").iterdir()) == ["a", "b"]


def test_a_start_from_weights_is_known_when_a_run_goes_on(small, tmp_path):
    train(small(tmp_path / "first", schedule__steps=1))
    train(small(tmp_path / "run", schedule__steps=1))
    with pytest.raises(ModelError, match="--init was not given and is"):
        train(small(tmp_path / "run", backbone__init=str(tmp_path / "first"), schedule__steps=1), resume=True)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"loss__name": "npt"}, "loss.name"),
        ({"optimizer__lr": 0.5}, "optimizer.lr"),
        ({"backbone__embedding_size": 16}, "backbone.embedding_size"),
        ({"data__path": "synthetic:13:6"}, "classes"),
        ({"loss__margin": 0.1}, "loss.margin"),
    ],
)
def test_the_checkpoint_of_another_run_is_refused(small, tmp_path, stop_at, settings, named):
    with pytest.raises(KeyboardInterrupt):
        train(small(tmp_path / "run"), observer=stop_at(2))
    with pytest.raises(ModelError, match=named):
        train(small(tmp_path / "run", **settings), resume=True)


def test_a_plan_knows_parameters_steps_and_memory_of_classes(small, tmp_path):
    found = plan(small(tmp_path / "run", schedule__steps=0, schedule__epochs=3))
    assert (found.classes, found.images, found.steps_per_epoch, found.steps) == (12, 72, 6, 18)
    assert found.class_parameters == 12 * 32
    assert found.memory["classes"] == 12 * 12 * 32  # 12 C D bytes under SGD
    assert not (tmp_path / "run").exists()


def test_a_reader_killed_during_a_step_is_told_like_one_killed_between_steps(small, tmp_path, monkeypatch):
    def killed(*arguments):
        raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed.")

    monkeypatch.setattr("facerec_cli.training.train._step", killed)
    with pytest.raises(TrainingError, match=r"reads photos died.*fewer --workers"):
        train(small(tmp_path / "run"))


def test_two_runs_do_not_share_a_folder(small, tmp_path, monkeypatch):
    from facerec_cli.training import run_folder as folder

    monkeypatch.setattr(folder, "_WAIT", 0.1)
    recipe, refused = small(tmp_path / "run", run__log_every=1), []

    def another(event):
        for mode in ({"resume": True}, {"force": True}):
            with pytest.raises(UsageError, match="Another process is training"):
                train(recipe, **mode)
            refused.append(mode)

    train(recipe, observer=lambda event: None if refused else another(event))
    assert len(refused) == 2 and (tmp_path / "run" / "best.pt").is_file()
    train(recipe, force=True)  # the lock is let go of


def test_a_rate_that_is_absurd_is_told_as_that_after_going_back_too(small, tmp_path):
    recipe = small(tmp_path / "run", optimizer__lr=1e7, run__on_nan="rollback", run__checkpoint_every=1)
    with pytest.raises(TrainingError) as caught:
        train(recipe)
    told = str(caught.value)
    assert "the learning rate" in told and "too high" in told and "report it" not in told
    assert float(re.search(r"--lr (\S+?)[,.]? ", told)[1]) <= 0.1
