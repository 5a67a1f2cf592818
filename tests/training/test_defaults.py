"""What a recipe leaves open is decided from the data and the device, and what it says stays."""

from __future__ import annotations

from dataclasses import replace

import pytest

from facerec_cli.errors import UsageError
from facerec_cli.training.compose import changed
from facerec_cli.training.config import Recipe
from facerec_cli.training.defaults import Facts, resolve

CPU = Facts(
    images=6400,
    backbone="mobilefacenet",
    embedding_size=512,
    pretrained=False,
    classes=100,
    streamed=False,
    needs_target=False,
    waits=False,
    gpu=False,
    processes=1,
    cores=4,
)


def recipe(**settings) -> Recipe:
    made = Recipe()
    for key, value in settings.items():
        made = changed(made, key.replace("__", "."), value)
    return made


def test_a_plain_run_on_a_cpu():
    run = resolve(Recipe(), CPU)
    assert (run.run.batch_size, run.optimizer.lr, run.run.log_every, run.data.workers) == (64, 0.1, 10, 1)
    assert (run.schedule.epochs, run.schedule.warmup) == (30, 2.0)  # 100 steps an epoch, about 3,000 in all
    assert (run.loss.class_weights, run.data.degraded, run.backbone.freeze_bn) == ("random", 0.0, False)


def test_fine_tuning_is_short_and_careful_and_starts_at_means():
    run = resolve(Recipe(), replace(CPU, pretrained=True, waits=True))
    assert (run.run.batch_size, run.optimizer.lr, run.schedule.epochs) == (16, 0.002, 3)
    assert run.loss.class_weights == "means"
    assert run.loss.settings == {"start_epoch": 0, "matmul": "float32"}
    assert run.backbone.freeze_bn is True
    few_steps = resolve(recipe(schedule__steps=4), replace(CPU, pretrained=True))
    assert few_steps.loss.class_weights == "random"  # 400 photos for means, 64 for training


def test_a_gpu_takes_larger_batches_and_more_workers():
    run = resolve(
        recipe(optimizer__name="adamw"), replace(CPU, gpu=True, images=10**6, processes=3, cores=16)
    )
    assert (run.run.batch_size, run.optimizer.lr, run.data.workers) == (255, 2.49e-4, 8)
    assert (run.schedule.epochs, run.run.log_every) == (20, 50)


@pytest.mark.parametrize(
    ("settings", "update"),
    [
        ({}, "dense"),
        ({"loss__sample_rate": 0.1}, "lazy"),
        ({"loss__sample_rate": 0.1, "optimizer__name": "adamw"}, "dense"),
        ({"loss__sample_rate": 0.1, "optimizer__class_update": "sampled"}, "sampled"),
    ],
    ids=str,
)
def test_rows_of_a_sample_are_updated_alone_where_that_learns_the_same(settings, update):
    assert resolve(recipe(**settings), CPU).optimizer.class_update == update


def test_adamw_cannot_make_up_for_steps():
    with pytest.raises(UsageError, match=r"class_update = 'lazy' is for sgd"):
        resolve(recipe(optimizer__name="adamw", optimizer__class_update="lazy"), CPU)


@pytest.mark.parametrize(
    ("settings", "matmul"),
    [
        ({}, "tf32"),
        ({"run__precision": "bf16"}, "tf32"),
        ({"run__precision": "fp32"}, "float32"),
        ({"run__deterministic": True}, "float32"),
        ({"loss.matmul": "auto", "run__precision": "fp32"}, "float32"),
        ({"loss.matmul": "bfloat16"}, "bfloat16"),
    ],
    ids=str,
)
def test_products_with_the_class_matrix_are_tf32_on_cuda(settings, matmul):
    cuda = replace(CPU, gpu=True, cuda=True)
    assert resolve(recipe(**settings), cuda).loss.settings["matmul"] == matmul
    if "loss.matmul" not in settings:
        assert resolve(recipe(**settings), CPU).loss.settings["matmul"] == "float32"


def test_what_the_recipe_says_stays_also_where_it_is_0():
    said = recipe(
        optimizer__lr=0.3, schedule__epochs=2, schedule__warmup=0, data__workers=0, backbone__freeze_bn=False
    )
    run = resolve(said, replace(CPU, pretrained=True, needs_target=True))
    assert (run.optimizer.lr, run.schedule.epochs, run.schedule.warmup, run.data.workers) == (0.3, 2, 0, 0)
    assert run.backbone.freeze_bn is False and run.data.degraded == 0.75


@pytest.mark.parametrize(
    ("settings", "facts", "said"),
    [
        (
            {"run__batch_size": 10},
            {"processes": 4},
            "--batch-size 10 cannot be split evenly over 4 processes",
        ),
        ({"run__batch_size": 4}, {"processes": 4}, "at least 2 rows"),
        (
            {"run__batch_size": 64},
            {"images": 40},
            "larger than the data, 40 photos. Use --batch-size 20 or less",
        ),
        ({"loss__class_weights": "mean"}, {}, "class_weights cannot be 'mean'. Known: random, means"),
        ({"loss__class_weights": "means"}, {}, "no weights to start from"),
        ({"loss__class_weights": "means"}, {"pretrained": True, "streamed": True}, "a stream of tar shards"),
        (
            {"loss__class_weights": "means", "backbone__embedding_size": 64},
            {"pretrained": True},
            "the embedding size is not that of --init",
        ),
    ],
)
def test_what_cannot_be_is_refused(settings, facts, said):
    with pytest.raises(UsageError) as fault:
        resolve(recipe(**settings), replace(CPU, **facts))
    assert said in str(fault.value)
