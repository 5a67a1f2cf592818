"""Build the pack ``sface-degraded`` from a training run whose place models/judge_degraded.py has chosen.

    python models/build_sface_degraded.py runs/hard/epl 1 --measure runs/hard/validation_crops/clean
    python models/build_sface_degraded.py runs/hard/epl 1 --photos runs/hard/test/clean --lfw ../shared/lfw

The number is how far to go from the first weights to the trained ones. The first call writes nothing: it
tells, on crops of people who are not trained on, how far each way to store the weights is from the trained
network. The second writes ``facerec_cli/packs/sface-degraded/`` and measures it, and ``sface`` beside it, on
clean pairs of other people. See models/README.md.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from facerec_cli.backbones.sface import INPUT_SCALE, tensor_names
from facerec_cli.data.tools.pairs import draw_pairs
from facerec_cli.files import sha256_of
from facerec_cli.metrics.evaluate import evaluate
from facerec_cli.metrics.thresholds import choose
from facerec_cli.packs.manifest import License, ModelPack, Provenance
from facerec_cli.packs.manifest_toml import EVALUATIONS, UNMEASURED, write_manifest
from facerec_cli.packs.metadata import seal
from facerec_cli.packs.resolve import open_pack
from facerec_cli.pairs.read import read_pairs
from facerec_cli.threshold import Threshold

NAME = "sface-degraded"
PACK = Path(__file__).resolve().parents[1] / "facerec_cli" / "packs" / NAME
STUDY = Path(__file__).resolve().parents[1] / "docs" / "study"
SPLIT, RESULTS = STUDY / "finetune_split.json", STUDY / "heldout"
FILE = "sface_degraded.onnx"
STORAGES = ("mixed", "int8", "float16", "float32")
PAIRS = 6000
CHECKPOINT = "last.pt"

Array = NDArray[np.float64]


def build(state: Mapping[str, Array], base: onnx.ModelProto, storage: str = "mixed") -> onnx.ModelProto:
    """The graph of the embedded pack's network with other weights.

    Args:
        state: State dict of ``SFace(128, bn=False)``.
        base: ``sface.onnx``; it is not changed.
        storage: "int8": blocks as in ``base``, and where a block's weights have not moved its very bytes;
            "float16" or "float32"; "mixed": int8 for the last layer, which is two thirds of the weights and
            takes it without harm, and for layers that have not moved, float16 for the others.
    """
    model = onnx.ModelProto()
    model.CopyFrom(base)
    del model.metadata_props[:]
    stored = {entry.name: entry for entry in model.graph.initializer}
    names = tensor_names(model.graph)
    columns = numpy_helper.to_array(stored[names.pop("scale")]).astype(np.float64)
    for key, name in names.items():
        value = state[key].astype(np.float64)
        if key == "body.conv_1.conv.weight":
            value = value / INPUT_SCALE  # the graph's first convolution contains it
        if key == "pre_fc1.weight":
            value = value / columns
        if name in stored:
            _set(stored[name], value)
            if name.endswith(".left.scale"):  # a PReLU is a x + (1 - a) relu(x) there
                _set(stored[name.replace(".left.", ".right.")], 1 - value)
            continue
        moved = _set_blocks([stored[f"{name}.{part}"] for part in ("q", "zero", "scale")], value)
        blocks = storage == "int8" or (storage == "mixed" and (not moved or key == "pre_fc1.weight"))
        if not blocks:
            _store_whole(model.graph, name, value, "float32" if storage == "float32" else "float16")
    return model


def _set(entry: onnx.TensorProto, value: NDArray[np.generic]) -> None:
    old = numpy_helper.to_array(entry)
    entry.CopyFrom(numpy_helper.from_array(value.reshape(old.shape).astype(old.dtype), entry.name))


def _set_blocks(entries: list[onnx.TensorProto], value: Array) -> bool:
    """8 bits over the range of each block, (q - zero) * scale; returns whether any block has moved."""
    q, zero, scale = (numpy_helper.to_array(entry) for entry in entries)
    blocks = value.reshape(q.shape)
    known = (q.astype(np.float64) - zero) * scale
    still = (np.abs(known - blocks) <= 1e-3 * scale).all(axis=-1, keepdims=True)
    low, high = blocks.min(-1, keepdims=True), blocks.max(-1, keepdims=True)
    step = np.maximum((high - low) / 255, np.finfo(np.float32).tiny)
    fresh = np.clip(np.rint((blocks - low) / step) - 128, -128, 127)
    _set(entries[0], np.where(still, q, fresh))
    _set(entries[1], np.where(still, zero, -128 - low / step))
    _set(entries[2], np.where(still, scale, step))
    return not still.all()


def _store_whole(graph: onnx.GraphProto, name: str, value: Array, storage: str) -> None:
    """Put a plain array where 8-bit blocks were unpacked."""
    shape = next(numpy_helper.to_array(i) for i in graph.initializer if i.name == f"{name}.shape")
    parts = {f"{name}.{part}" for part in ("q", "zero", "scale", "shape", "float", "centred", "blocks")}
    for entry in [i for i in graph.initializer if i.name in parts]:
        graph.initializer.remove(entry)
    for node in [n for n in graph.node if n.output[0] in parts or n.output[0] == name]:
        graph.node.remove(node)
    value = value.reshape(shape)
    if storage == "float32":
        graph.initializer.append(numpy_helper.from_array(value.astype(np.float32), name))
        return
    graph.initializer.append(numpy_helper.from_array(value.astype(np.float16), f"{name}.f16"))
    graph.node.insert(0, helper.make_node("Cast", [f"{name}.f16"], [name], to=TensorProto.FLOAT))


def read_state(run: Path, share: float) -> dict[str, Array]:
    """The network of a run, ``share`` of the way from ``sface`` to what was trained."""
    from facerec_cli.training.checkpoint import load_backbone
    from facerec_cli.training.config import BackboneSettings
    from facerec_cli.training.start import interpolated, open_start

    network, info = load_backbone(run / CHECKPOINT)
    first = open_start(BackboneSettings(init="sface"), "").state
    if info.backbone != "sface" or first is None:
        raise SystemExit(f"{run} holds {info.backbone}, not a fine-tuned sface.")
    state = interpolated(first, network.state_dict(), share)
    return {name: value.double().numpy() for name, value in state.items()}


def describe(base: ModelPack, folder: Path, run: Path, share: float) -> ModelPack:
    """The manifest, without the file's sha256 and the threshold."""
    recipe = tomllib.loads((run / "recipe.toml").read_text("utf-8"))
    data = recipe["data"]
    made_hard = ["whole photos before detection"] * bool(data["versions"]) + data["degradations"]
    return replace(
        base,
        name=NAME,
        description="SFace for degraded photos: small, blurred, noisy, dark; docs/study.md has its cost",
        folder=folder,
        license=License(
            code="Apache-2.0",
            weights="Apache-2.0, research data",
            commercial=False,
            files=("LICENSE.sface",),
            notice="Weights: SFace (Apache-2.0, OpenCV Zoo), changed by fine-tuning on photos of Labeled "
            "Faces in the Wild. That set was collected for research and its photos belong to others; nobody "
            "has settled what that means for weights, so do not use them commercially without advice. The "
            "same fine-tuning on photos of your own: facerec train --init sface.",
        ),
        provenance=Provenance(
            source="the embedded pack sface, fine-tuned with facerec train --recipe sface_degraded "
            "and written by models/build_sface_degraded.py",
            training_data="LFW, deep-funneled: the training people of "
            "docs/study/finetune_split.json, after what sface was trained on, which is unknown",
            paper=f"{base.provenance.paper}; interpolation of weights: arXiv:2109.01903",
        ),
        encoder=replace(base.encoder, file=FILE, sha256=""),
        detector=None,
        **UNMEASURED,  # sface's holds for its own weights; measure_impostor_tails.py and kinds.py write it
        training={
            "loss": recipe["loss"]["name"],
            "seed": str(recipe["run"]["seed"]),
            "steps": f"{recipe['schedule']['steps']} of {recipe['run']['batch_size']} photos",
            "photos_made_hard": f"{data['degraded']:g} of them: {', '.join(made_hard)}",
            "distill": f"{recipe['loss']['distill']:g}, "
            + ("all photos" if recipe["loss"]["distill_hard"] else "clean photos"),
            "interpolation": f"{share:g} of the way from sface to the trained weights",
            "checkpoint_sha256": sha256_of(run / CHECKPOINT),
        },
    )


def threshold(rows: NDArray[np.float32], people: NDArray[np.int64], far: float = 1e-3) -> Threshold:
    """The cosine that accepts ``far`` of all pairs of two people.

    Args:
        rows: (N, D) unit embeddings of people who were not trained on.
        people: (N,) who is on each.
        far: The rate.
    """
    first, second = np.triu_indices(len(people), 1)
    same = people[first] == people[second]
    evaluation = evaluate((rows @ rows.T)[first, second], same, fars=(far,))
    data = f"all pairs of {len(people)} LFW photos of {len(set(people))} people not trained on, no flip"
    chosen = choose(evaluation, far, data=data)
    if isinstance(chosen, str):
        raise SystemExit(f"These people give no threshold: {chosen}.")
    return replace(chosen, value=round(chosen.value, 3))


def embed(model: onnx.ModelProto, photos: Path) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Unit embeddings of the photos in a folder per person, and who is on each."""
    from facerec_cli.data import open_stored
    from facerec_cli.data.tools.align import align
    from facerec_cli.faces import open_model

    with tempfile.TemporaryDirectory() as scratch:
        align(open_stored(str(photos)), Path(scratch) / "crops", open_model("sface"))
        crops = open_stored(str(Path(scratch) / "crops"))
        images = np.stack([crops.image(i) for i in range(len(crops))])
    return run_graph(model, images), crops.labels


def run_graph(model: onnx.ModelProto, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(N, D) unit embeddings of (N, 112, 112, 3) uint8 RGB."""
    import onnxruntime

    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    parts = np.array_split(images.transpose(0, 3, 1, 2).astype(np.float32), max(1, len(images) // 32))
    found = np.concatenate([session.run(None, {"input": part})[0] for part in parts])
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), np.float32)


def measure(state: Mapping[str, Array], base: onnx.ModelProto, crops: Path, count: int) -> None:
    """Print, for each storage, the size and how far embeddings and scores are from the float32 graph's."""
    from facerec_cli.data import open_stored

    found = open_stored(str(crops))
    images = np.stack([found.image(i) for i in range(0, len(found), max(1, len(found) // count))])
    rows = {}
    for storage in reversed(STORAGES):
        model = build(state, base, storage)
        rows[storage] = run_graph(model, images)
        cosines = (rows[storage] * rows["float32"]).sum(1)
        change = np.abs(rows[storage] @ rows[storage].T - rows["float32"] @ rows["float32"].T)
        print(
            f"{storage:8} {model.ByteSize():>11,} bytes; cosine to float32: mean {cosines.mean():.6f}, "
            f"least {cosines.min():.6f}; a score changes by {change.mean():.5f}, at most {change.max():.5f}"
        )


def write(folder: Path, run: Path, share: float, photos: Path, storage: str) -> ModelPack:
    """Write the pack; its threshold is of ``photos``."""
    base = open_pack("pack:sface")
    folder.mkdir(parents=True, exist_ok=True)
    model = build(read_state(run, share), onnx.load(str(base.encoder_path)), storage)
    onnx.checker.check_model(model, full_check=True)
    (folder / FILE).write_bytes(model.SerializeToString(deterministic=True))
    shutil.copyfile(base.folder / "LICENSE.sface", folder / "LICENSE.sface")
    pack = replace(describe(base, folder, run, share), threshold=threshold(*embed(model, photos)))
    # Schema 1, as for build_sface.py: the pack has been given out with that.
    pack = replace(pack, encoder=seal(pack.encoder_path, pack, schema=1).encoder)
    write_manifest(pack)
    return pack


def heldout_lists(lfw: Path, split: Path = SPLIT) -> dict[str, str]:
    """Lists of clean pairs of two people of the test part, whom no run was trained on.

    ``view2``: those of LFW's 6,000; ``drawn``: as many, drawn from all photos of these people.
    """
    people = json.loads(split.read_text("utf-8"))["people"]["test"]
    listed = read_pairs(lfw / "pairs.txt", images=False)
    heldout = np.isin([name.split("/")[0] for name in listed.names], people)
    kept = heldout[listed.first] & heldout[listed.second]
    photos = sorted(path for person in people for path in (lfw / "images" / person).iterdir())
    names = [f"{path.parent.name}/{path.name}" for path in photos]
    drawn = draw_pairs(np.unique([path.parent.name for path in photos], return_inverse=True)[1], PAIRS)
    return {
        "view2": _lines(
            [f"{name}.jpg" for name in listed.names],
            listed.first[kept],
            listed.second[kept],
            listed.same[kept],
        ),
        "drawn": _lines(names, drawn.first, drawn.second, drawn.same),
    }


def _lines(
    names: Sequence[str], first: NDArray[np.int64], second: NDArray[np.int64], same: NDArray[np.bool_]
) -> str:
    rows = zip(first.tolist(), second.tolist(), same.tolist(), strict=True)
    return "".join(f"{names[a]}\t{names[b]}\t{int(is_same)}\n" for a, b, is_same in rows)


def verify(pack: ModelPack, lfw: Path, beside: Path) -> None:
    """Measure the pack and ``sface`` on clean pairs of the test people, and keep what is printed."""
    for name, lines in heldout_lists(lfw).items():
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / f"LFW people not trained on, {name}.txt"
            path.write_text(lines)
            for model, reference in (("sface", "pack:sface"), (NAME, str(pack.folder))):
                command = [sys.executable, "-m", "facerec_cli", "verify", str(path)]
                command += ["--root", str(lfw / "images"), "--model", reference, "--no-cache", "--json"]
                found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
                found["source"] = path.stem  # where the list lay for a moment is nobody's business
                printed = json.dumps(found, indent=2, ensure_ascii=False) + "\n"
                beside.mkdir(parents=True, exist_ok=True)
                (beside / f"{model}_{name}.json").write_text(printed, "utf-8")
                print(f"{model}, {name}: accuracy {found['accuracy']['mean']:.4f}, {found['pairs']:,} pairs")
                if model == NAME:
                    target = pack.folder / EVALUATIONS / f"lfw_heldout_{name}.json"
                    target.parent.mkdir(exist_ok=True)
                    target.write_text(printed, "utf-8")


def main() -> None:
    """Measure the ways to store the weights, or write the pack and measure it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path, help="folder of the finished run")
    parser.add_argument("share", type=float, help="how far to go from the first weights, 0..1")
    parser.add_argument("--storage", choices=STORAGES, default="mixed")
    parser.add_argument("--measure", type=Path, metavar="CROPS", help="compare the storages, write nothing")
    parser.add_argument("--photos", type=Path, help="folder per person, of people who give the threshold")
    parser.add_argument("--lfw", type=Path, help="folder of images/ and pairs.txt, to measure the pack")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where what was measured is kept")
    parser.add_argument("--out", type=Path, default=PACK, help="folder of the pack")
    arguments = parser.parse_args()
    if arguments.measure:
        state = read_state(arguments.run, arguments.share)
        measure(state, onnx.load(str(open_pack("pack:sface").encoder_path)), arguments.measure, 200)
        return
    if arguments.photos is None:
        parser.error("--photos is needed for the threshold")
    pack = write(arguments.out, arguments.run, arguments.share, arguments.photos, arguments.storage)
    print(f"{pack.encoder_path}  {pack.encoder_path.stat().st_size:,} bytes  sha256 {pack.encoder.sha256}")
    if arguments.lfw:
        verify(pack, arguments.lfw, arguments.results)


if __name__ == "__main__":
    main()
