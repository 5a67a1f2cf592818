"""Did you mean: the name that somebody meant by one that is not known here.

One function for settings, flags, commands, models and every other name. It knows the words that other
programs of the field use for the same thing, and compares the last part of a dotted key, so that neither
``optimizer.learning_rate`` nor ``--learning-rate`` is answered with ``optimizer.name``.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from facerec_cli.spelling import american

# our word -> what others call it; a word with a dot is a whole key
_SYNONYMS: Mapping[str, str] = {
    "accumulate": "accumulation accumulation_steps accumulate_grad_batches grad_accum gradient_accumulation "
    "gradient_accumulation_steps gradient_acc update_freq",
    "actors": "num_actors",
    "aligned": "crops no_detect skip_detection enforce_detection",
    "all-pairs": "all_vs_all matrix",
    "backbone.name": "arch architecture model network net backbone",
    "backbone": "arch architecture model network net",
    "batch_size": "batch bs batchsize batch_per_gpu samples_per_gpu global_batch_size train_batch_size",
    "bench": "benchmark speed profile",
    "candidates": "k top_k topk n_candidates max_results limit",
    "checkpoint_every": "save_every save_interval save_freq ckpt_interval checkpoint_interval",
    "class_weights": "head_init classifier_init",
    "clip": "grad_clip clip_grad clip_grad_norm gradient_clip gradient_clip_val max_norm max_grad_norm",
    "crop": "random_crop random_resized_crop",
    "data.path": "dataset data data_dir data_path train_data train_dir train_list rec root folder",
    "data": "dataset data_dir data_path train_data train_dir train_list rec folder",
    "deterministic": "cudnn_deterministic",
    "device": "gpu gpu_id gpu_ids provider execution_provider ctx ctx_id",
    "doctor": "diagnose info env version",
    "ema": "ema_decay model_ema",
    "embed": "detect extract represent encode infer inference predict embedding embeddings",
    "embedding_size": "dim emb_dim embed_dim embedding_dim feat_dim feature_dim num_features embedding d",
    "epochs": "epoch num_epoch num_epochs n_epochs max_epoch max_epochs total_epochs",
    "evaluate.every": "eval_every eval_interval val_interval validate_every",
    "evaluate.sets": "eval evaluate val val_data val_targets validation eval_sets eval_data pairs",
    "eval": "val val_data val_targets validation evaluate eval_data pairs",
    "export": "to_onnx onnx convert",
    "faces": "face select policy multi_face",
    "flip": "hflip horizontal_flip mirror random_flip",
    "force": "overwrite replace yes",
    "fpir": "far fpr false_positive_rate false_positive_identification_rate fmr",
    "freeze": "frozen freeze_layers",
    "gamma": "lr_gamma decay_rate",
    "identify": "find recognize search identification who lookup one_to_many 1n",
    "init": "pretrained weights finetune fine_tune checkpoint start load_from from",
    "log_every": "log_interval print_freq print_every frequent log_freq",
    "loss": "head criterion margin_loss",
    "lr": "learning_rate learningrate base_lr max_lr peak_lr init_lr initial_lr lr0 rate",
    "loss.name": "head criterion loss margin_loss",
    "loss.margin": "margin m",
    "loss.scale": "scale s temperature",
    "lowres": "low_resolution downscale",
    "margin": "m",
    "max_side": "det_size detection_size det_input_size max_size longest_side search_size",
    "milestones": "milestone lr_steps decay_epochs decay_steps step_size",
    "min_score": "det_thresh det_threshold detection_threshold confidence conf min_confidence",
    "min_size": "min_face min_face_size minimum_size",
    "model": "model_name model_pack recognizer network",
    "name": "type kind",
    "optimizer.name": "optimizer optim opt",
    "optimizer": "optim opt",
    "out": "output output_dir out_dir save_dir work_dir workdir run_dir save_path logdir log_dir",
    "output": "out output_dir out_dir save_path save dest destination target",
    "photometric": "color_jitter jitter brightness",
    "precision": "amp fp16 bf16 half dtype mixed_precision",
    "quiet": "silent",
    "loggers": "logger log_with report_to tracker trackers use_wandb wandb use_tensorboard use_mlflow",
    "recipe": "config cfg",
    "recompute": "gradient_checkpointing grad_checkpointing activation_checkpointing checkpointing",
    "report": "html",
    "resume": "continue resume_from",
    "sample_rate": "sampling_rate partial_fc pfc sample",
    "scale": "s temperature",
    "schedule.name": "scheduler lr_schedule lr_scheduler schedule lr_policy",
    "schedule": "scheduler lr_schedule lr_scheduler lr_policy",
    "seed": "random_seed random_state manual_seed rng",
    "seeds": "seed runs repeats",
    "steps": "iterations iters max_steps num_steps total_steps max_iter",
    "threads": "num_threads n_jobs cpus cores cpu",
    "threshold": "thresh thr cutoff similarity_threshold tolerance",
    "train": "finetune fine_tune fit training",
    "verbose": "debug_output loud",
    "verify": "match eval evaluate test validate same evaluation verification",
    "warmup": "warmup_epochs warm_up warmup_epoch num_warmup_epochs warm_up_epochs",
    "weight_decay": "wd decay l2 weightdecay weight_decay_rate",
    "workers": "num_workers n_workers loader_workers dataloader_num_workers",
    # values
    "adamw": "adam",
    "arcface": "insightface",
    "arcface_torch": "insightface arcface glint360k ms1mv2 ms1mv3 partial_fc",
    "center": "central centered middle",
    "cosine": "cos cosine_annealing",
    "cuda": "gpu nvidia",
    "fp32": "float32 full 32",
    "fp16": "float16 half 16 amp",
    "bf16": "bfloat16",
    "iresnet18": "r18 ir18 ir_18 resnet18 ires18",
    "iresnet34": "r34 ir34 ir_34 resnet34 ires34",
    "iresnet50": "r50 ir50 ir_50 resnet50 ir_se50 ires50",
    "iresnet100": "r100 ir100 ir101 ir_100 ir_101 resnet100 resnet101 ires100",
    "iresnet200": "r200 ir200 resnet200 ires200",
    "labeled": "csv txt pair paths",
    "largest": "biggest big",
    "list": "ls txt csv",
    "mobilefacenet": "mbf mobileface mobilenet mfn",
    "mps": "metal apple",
    "polynomial": "poly",
    "pull": "download fetch get install",
    "remove": "rm delete uninstall",
    "add": "register import",
    "show": "info describe",
    "rec": "recordio mxnet bin",
    "tar": "webdataset wds shards",
    "folder": "imagefolder image_folder dir directory",
    "sface": "default opencv",
    "softmax": "ce cross_entropy",
    "step": "multistep multi_step steplr",
    "tensorrt": "trt",
    "vit_b": "vit vit_base",
    "vit_s": "vit_small",
    "vit_t": "vit_tiny",
}
_MIN_RATIO = 0.65  # how much of two words must agree, as difflib measures it, 0 to 1


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The one of ``known`` that was most likely meant by ``name``, or None where none is like it.

    Args:
        name: What was typed: ``lerning_rate``, ``optimizer.learning_rate``, ``--learning-rate``.
        known: The names that there are, in the order in which equals are preferred.
    """
    typed = _plain(name)
    table, _, last = typed.rpartition(".")
    words = _words(list(known), table)
    for word in (typed, last):
        if word in words:
            return words[word]
    for word in (typed, last):
        if similar := _most_similar(word, words):
            return words[similar]
    begun = [words[word] for word in words if len(last) > 2 and word.startswith(last)]
    return begun[0] if begun else None


def guess(name: str, known: Iterable[str]) -> str:
    """``Did you mean 'lr'? `` with a space to go on after, or nothing where no name is like it."""
    near = nearest(name, known)
    return "" if near is None or near == name else f"Did you mean {near!r}? "


def guess_or_list(name: str, known: Iterable[str]) -> str:
    """The hint for a name that is none of ``known``: the nearest one, and all of them."""
    names = list(known)
    return f"{guess(name, names)}Known: {', '.join(names)}."


def _words(names: list[str], table: str) -> dict[str, str]:
    """Every word that leads to one of ``names``: itself, its last part, and what others call it.

    Where several names end alike, those in ``table`` come first, then the earlier ones.
    """
    ordered = sorted(names, key=lambda name: not (table and _plain(name).startswith(f"{table}.")))
    words = {_plain(name): name for name in reversed(ordered)}
    for name in ordered:
        words.setdefault(_plain(name).rpartition(".")[2], name)
    ours = dict(words)
    for word, others in _SYNONYMS.items():
        if _plain(word) in ours:
            for other in others.split():
                words.setdefault(other, ours[_plain(word)])
    return words


def _most_similar(word: str, words: Iterable[str]) -> str | None:
    """The one of ``words`` that is most like ``word``, if any; single letters are like too many words."""
    long = [other for other in words if len(other) > 2 or other == word[:1] * len(other)]
    ratios = {other: _ratios(word, other) for other in long}
    best = max(ratios, key=lambda other: ratios[other], default=None)
    return best if best is not None and ratios[best][0] >= _MIN_RATIO else None


def _ratios(word: str, other: str) -> tuple[float, float, bool]:
    """How alike words are, 0 to 1, both ways, as difflib may find more in one; whether they begin alike."""
    ways = [difflib.SequenceMatcher(None, *pair).ratio() for pair in ((word, other), (other, word))]
    return max(ways), min(ways), word[:1] == other[:1]


def _plain(name: str) -> str:
    return american(name.lstrip("-").lower().replace("-", "_"))
