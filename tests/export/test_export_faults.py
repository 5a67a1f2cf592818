"""Everything that can be wrong with a checkpoint, a graph or a disk."""

from __future__ import annotations

import argparse
import errno
import os
import pickle
import re
import shlex
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from made_checkpoint import write_checkpoint
from numpy.typing import NDArray
from onnx import numpy_helper

from facerec_cli.backbones import Backbone, Preprocessing, build
from facerec_cli.errors import InputError, ModelError, OutputError, UsageError
from facerec_cli.export import ExportOptions, ExportReport, GraphOptions, compress, export, parity
from facerec_cli.export.onnx_graph import ExportedNetwork, to_onnx
from facerec_cli.export.pack import write_pack
from facerec_cli.packs.metadata import read_pack
from facerec_cli.workshop import workshop


class Hostile:
    """Touches a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.mark,)


def refused(path: Path, tmp_path: Path, **options: object) -> ModelError:
    """The fault of exporting ``path``; nothing may be left behind."""
    out = tmp_path / "out"
    with pytest.raises(ModelError) as fault:
        export(path, ExportOptions(output=out / "x.onnx", **options))  # type: ignore[arg-type]
    assert not out.exists() or not any(out.iterdir())
    return fault.value


@pytest.mark.parametrize("content", (b"", b"hello", b"PK\x03\x04" + bytes(100), pickle.dumps({"a": 1})))
def test_what_is_no_checkpoint(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "best.pt"
    path.write_bytes(content)
    assert str(path) in refused(path, tmp_path).message


def test_a_missing_checkpoint(tmp_path: Path) -> None:
    assert "no checkpoint" in refused(tmp_path / "best.pt", tmp_path).message
    assert "no checkpoint" in refused(tmp_path / "backbone.pth", tmp_path, layout="tface").message


def test_a_truncated_checkpoint(tmp_path: Path, best: Path) -> None:
    content = best.read_bytes()
    path = tmp_path / "best.pt"
    for share in (0.1, 0.5, 0.99):
        path.write_bytes(content[: int(len(content) * share)])
        refused(path, tmp_path)


@pytest.mark.parametrize("layout", ("", "arcface_torch"))
def test_a_hostile_pickle_does_not_run(tmp_path: Path, layout: str) -> None:
    mark = tmp_path / "pwned"
    for protocol in (2, 5):
        path = tmp_path / f"{protocol}.pt"
        path.write_bytes(pickle.dumps(Hostile(mark), protocol))
        refused(path, tmp_path, layout=layout)
    torch.save({"format": "facerec-checkpoint", "x": Hostile(mark)}, tmp_path / "zip.pt")
    refused(tmp_path / "zip.pt", tmp_path, layout=layout)
    assert not mark.exists()


def test_a_checkpoint_of_a_newer_version(tmp_path: Path, best: Path) -> None:
    document = torch.load(best, weights_only=True)
    torch.save({**document, "version": 99}, tmp_path / "new.pt")
    fault = refused(tmp_path / "new.pt", tmp_path)
    assert "newer" in fault.message and "pip install" in fault.hint


def test_an_onnx_file_is_no_checkpoint(tmp_path: Path, exported: ExportReport) -> None:
    fault = refused(exported.files[0].path, tmp_path)
    assert "ONNX file already" in fault.message and "models add" in fault.hint


def test_weights_that_are_not_numbers(tmp_path: Path) -> None:
    backbone = build("mobilefacenet", 32, width=0.25)
    torch.nn.init.constant_(backbone.fc.weight[3:4, 5:6], float("nan"))  # type: ignore[union-attr, index]
    path = write_checkpoint(tmp_path / "best.pt", backbone, "mobilefacenet", "x", width=0.25)
    assert "'fc.weight' hold numbers that are not finite" in refused(path, tmp_path).message


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "where to"),
        ({"output": Path("x.pt")}, ".onnx"),
        ({"output": Path("x.onnx"), "far": 1e-3}, "--pairs"),
        ({"output": Path("x.onnx"), "far": 2.0, "pairs": Path("p")}, "false accept rate"),
        ({"output": Path("x.onnx"), "color": "bgr"}, "other projects"),
        ({"output": Path("x.onnx"), "layout": "adafase"}, "no project for --from"),
        ({"output": Path("x.onnx"), "forms": ("int8",)}, "calibrated on faces"),
        ({"name": "sface"}, "already"),
        ({"output": Path("x.onnx"), "insightface": Path("z"), "graph": GraphOptions(uint8="rgb")}, "--uint8"),
        ({"output": Path("x.onnx"), "insightface": Path()}, "where the file itself goes"),
    ],
)
def test_options_that_do_not_fit(
    tmp_path: Path, best: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, object], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=says):
        export(best, ExportOptions(**options))  # type: ignore[arg-type]
    assert not any(tmp_path.iterdir())


def test_nothing_is_replaced_unasked(tmp_path: Path, best: Path) -> None:
    (tmp_path / "x_fp16.onnx").write_text("mine")
    options = ExportOptions(output=tmp_path / "x.onnx", forms=("fp16",))
    with pytest.raises(UsageError, match=r"x_fp16\.onnx exists") as fault:
        export(best, options)
    assert "--overwrite" in fault.value.hint
    assert [path.name for path in tmp_path.iterdir()] == ["x_fp16.onnx"]


def test_crops_without_faces(tmp_path: Path, best: Path, crop_folder: Path) -> None:
    with pytest.raises(InputError, match="No face was found") as fault:
        export(best, ExportOptions(output=tmp_path / "x.onnx", crops=crop_folder))
    assert "--aligned" in fault.value.hint


def test_a_full_disk_leaves_nothing(
    tmp_path: Path, exported: ExportReport, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = onnx.load(str(exported.files[0].path))
    old = tmp_path / "x.onnx"
    old.write_text("the previous one")

    def full(*given: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OutputError, match="No space left"), workshop(old) as folder:
        write_pack(model, exported.files[0].pack, folder / "x.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["x.onnx"]
    assert old.read_text() == "the previous one"


KILLED = """
import os, sys
from pathlib import Path
count, replace = [0], os.replace
def stop(source, target):
    count[0] += Path(source).suffix == ".onnx" and not str(target).startswith(str(Path(source).parent))
    if count[0] == 2:
        os._exit(9)  # at once, as a kill from outside
    replace(source, target)
os.replace = stop
from facerec_cli.export import ExportOptions, export
export(Path(sys.argv[1]), ExportOptions(output=Path(sys.argv[2]), forms=("fp16",)))
"""


@pytest.mark.slow
def test_killed_between_two_files_an_export_leaves_nothing_after_the_next(tmp_path: Path, best: Path) -> None:
    target = tmp_path / "x.onnx"
    words = [sys.executable, "-c", KILLED, str(best), str(target)]
    assert subprocess.run(words, check=False, timeout=300).returncode == 9
    assert target.exists() and not (tmp_path / "x_fp16.onnx").exists()
    export(best, ExportOptions(output=target, forms=("fp16",)))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.onnx", "x_fp16.onnx"]


def test_told_to_stop_in_the_exporter_is_an_interrupt(
    tmp_path: Path, best: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exporter catches what ends it and calls it its own fault, "step 1/3"."""

    def stop(*given: object, **settings: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("torch.export.export", stop)
    with pytest.raises(KeyboardInterrupt):
        export(best, ExportOptions(output=tmp_path / "x.onnx"))
    assert list(tmp_path.iterdir()) == []


def spoiled(exported: ExportReport, position: float) -> tuple[onnx.ModelProto, str]:
    """The exported graph with the weights of one convolution turned round, and that convolution's name."""
    model = onnx.load(str(exported.files[0].path))
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    chosen = convolutions[int(len(convolutions) * position)]
    (weights,) = (entry for entry in model.graph.initializer if entry.name == chosen.input[1])
    weights.CopyFrom(numpy_helper.from_array(-numpy_helper.to_array(weights), weights.name))
    return model, chosen.input[1]


@pytest.mark.parametrize("position", (0.0, 0.5, 0.97))
def test_a_graph_that_computes_something_else_is_refused_with_the_layer(
    exported: ExportReport, mobile: Backbone, crops: NDArray[np.uint8], position: float
) -> None:
    model, weights = spoiled(exported, position)
    encoder = exported.files[0].pack.encoder
    with pytest.raises(ModelError, match="does not compute what the checkpoint does") as fault:
        parity.check(mobile, Preprocessing(), model, encoder, crops[:7], GraphOptions())
    convolution = weights.removeprefix("backbone.").removesuffix(".weight")
    named = [name for name, _ in mobile.named_modules() if name == convolution]
    if not named:  # folded weights have lost their name: find the convolution by its place
        places = [name for name, module in mobile.named_modules() if isinstance(module, torch.nn.Conv2d)]
        named = [places[int(len(places) * position)]]
    assert f"'{named[0]}'" in fault.value.message or f"({named[0]})" in fault.value.message


def test_a_graph_that_differs_is_refused_with_the_checkpoint_that_was_asked_for(
    tmp_path: Path, best: Path
) -> None:
    with pytest.raises(ModelError, match=re.escape(f"the checkpoint {best} does")) as fault:
        export(best, ExportOptions(output=tmp_path / "x.onnx", tolerance=0.0))
    assert "Nothing was written" in fault.value.message and not list(tmp_path.iterdir())


@pytest.mark.parametrize("wrong", [{"color": "bgr"}, {"mean": (137.5,) * 3}, {"std": (130.0,) * 3}])
def test_wrong_preprocessing_is_no_parity(
    exported: ExportReport, mobile: Backbone, crops: NDArray[np.uint8], wrong: dict[str, object]
) -> None:
    import dataclasses

    model = onnx.load(str(exported.files[0].path))
    encoder = exported.files[0].pack.encoder
    with pytest.raises(ModelError, match="does not compute"):
        parity.check(
            mobile, Preprocessing(), model, dataclasses.replace(encoder, **wrong), crops[:2], GraphOptions()
        )
    with pytest.raises(ModelError, match="does not compute"):
        parity.check(
            mobile, dataclasses.replace(Preprocessing(), **wrong), model, encoder, crops[:2], GraphOptions()
        )


def test_the_two_sides_of_parity_prepare_crops_by_code_of_their_own(
    exported: ExportReport, mobile: Backbone, crops: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    from facerec_cli.backbones import encoder as torch_side

    right = torch_side.to_input
    monkeypatch.setattr(torch_side, "to_input", lambda images, record: right(images.flip(1), record))
    model = onnx.load(str(exported.files[0].path))
    with pytest.raises(ModelError, match="does not compute"):
        parity.check(
            mobile, Preprocessing(), model, exported.files[0].pack.encoder, crops[:2], GraphOptions()
        )


def test_the_reference_of_parity_does_not_depend_on_threads(
    mobile: Backbone, crops: NDArray[np.uint8]
) -> None:
    import torch

    before, seen = torch.get_num_threads(), []
    many = np.tile(crops[:2], (20, 1, 1, 1))
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            batches: list[int] = []
            hook = mobile.register_forward_pre_hook(lambda _, inputs, b=batches: b.append(len(inputs[0])))
            parity.torch_encoder(mobile, Preprocessing(), GraphOptions()).encode(many)
            hook.remove()
            seen.append(batches)
    finally:
        torch.set_num_threads(before)
    assert seen == [[32, 8], [32, 8]]


def test_half_precision_overflow_is_noticed(exported: ExportReport) -> None:
    model = onnx.load(str(exported.files[0].path))
    entry = next(entry for entry in model.graph.initializer if len(entry.dims) == 4)
    entry.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(entry) * 1e6, entry.name))
    with pytest.raises(ModelError, match="half precision ends at 65504"):
        compress.fp16(model, np.zeros((1, 3, 112, 112), np.float32))


def test_a_metadata_edit_is_refused(tmp_path: Path, exported: ExportReport) -> None:
    model = onnx.load(str(exported.files[0].path))
    entry = next(entry for entry in model.metadata_props if entry.key == "facerec.manifest")
    entry.value = entry.value.replace('"rgb"', '"bgr"')
    onnx.save(model, str(tmp_path / "edited.onnx"))
    with pytest.raises(ModelError, match="metadata was changed"):
        read_pack(tmp_path / "edited.onnx")


def test_an_unexportable_network(monkeypatch: pytest.MonkeyPatch, mobile: Backbone) -> None:
    class Forked(ExportedNetwork):
        def forward(self, crops: torch.Tensor) -> torch.Tensor:
            if crops.sum() > 0:  # depends on the data
                return crops
            return super().forward(crops)

    with pytest.raises(ModelError, match="cannot be exported"):
        to_onnx(Forked(mobile, Preprocessing(), GraphOptions()), (112, 112))


def test_an_unfinished_run_gives_its_last(
    tmp_path: Path, best: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from facerec_cli.export.source import open_source

    (tmp_path / "last.pt").write_bytes(best.read_bytes())
    with caplog.at_level("WARNING", "facerec"):
        source = open_source(tmp_path / "best.pt")
    assert source.facts["backbone"] == "mobilefacenet"
    assert "has not finished" in caplog.text


class OwnNet(torch.nn.Module):
    """A model of somebody's own program."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean((2, 3))


def saved(tmp_path: Path, document: object) -> Path:
    path = tmp_path / "theirs.pt"
    torch.save(document, path)
    return path


def cure(hint: str, folder: Path) -> None:
    """Type what a hint tells to type."""
    line = next(one for one in hint.splitlines() if "python -c" in one)
    words = shlex.split(line[line.index("python -c") :])
    code = words[2]
    environment = {
        **os.environ,
        "PYTHONPATH": f"{Path(__file__).parent}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
    }
    subprocess.run([sys.executable, "-c", code], check=True, cwd=folder, env=environment, capture_output=True)


def test_a_whole_model_is_named_and_the_line_that_helps_helps(tmp_path: Path) -> None:
    made = build("iresnet18", embedding_size=16)
    fault = refused(saved(tmp_path, made), tmp_path, layout="arcface_torch")
    assert "whole model, pickled with its class (facerec_cli.backbones.iresnet.IResNet)" in fault.message
    cure(fault.hint, tmp_path)
    found = torch.load(tmp_path / "weights.pt", weights_only=True)
    assert torch.equal(found["conv1.weight"], made.state_dict()["conv1.weight"])
    own = OwnNet()
    own.layer = torch.nn.Linear(2, 2)
    assert "OwnNet" in refused(saved(tmp_path, {"net": own}), tmp_path).message


def test_settings_beside_the_weights_are_named_and_the_line_that_helps_helps(tmp_path: Path) -> None:
    state = {"a": torch.ones(2)}
    path = saved(tmp_path, {"state_dict": state, "opt": argparse.Namespace(lr=1)})
    fault = refused(path, tmp_path)
    assert "argparse.Namespace" in fault.message
    cure(fault.hint, tmp_path)
    assert torch.equal(torch.load(tmp_path / "weights.pt", weights_only=True)["a"], state["a"])


def test_a_torchscript_model_is_named_and_the_line_that_helps_helps(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(torch.nn.Linear(2, 3), torch.zeros(1, 2)).save(str(tmp_path / "theirs.pt"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fault = refused(tmp_path / "theirs.pt", tmp_path)
    assert "TorchScript" in fault.message
    cure(fault.hint, tmp_path)
    assert torch.load(tmp_path / "weights.pt", weights_only=True)["weight"].shape == (3, 2)


@pytest.mark.parametrize("legacy", [False, True])
def test_what_would_run_is_never_told_to_be_loaded(tmp_path: Path, legacy: bool) -> None:
    mark = tmp_path / "mark"
    path = tmp_path / "theirs.pt"
    for document in ({"state_dict": Hostile(mark)}, {"net": OwnNet(), "a": Caller(f"touch {mark}")}):
        torch.save(document, path, _use_new_zipfile_serialization=not legacy)
        fault = refused(path, tmp_path)
        assert "refused" in fault.message and "weights_only" not in fault.hint
    assert not mark.exists()


class Caller:
    """Runs a command when it is unpickled."""

    def __init__(self, line: str) -> None:
        self.line = line

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (self.line,)


def test_whose_checkpoint_it_is_shows_in_its_keys(tmp_path: Path) -> None:
    state = build("iresnet18", embedding_size=16).state_dict()
    fault = refused(saved(tmp_path, state), tmp_path)
    assert "names of arcface_torch" in fault.message and "--from arcface_torch" in fault.hint
    fault = refused(
        saved(tmp_path, {"state_dict": {"model.body.0.res_layer.1.weight": torch.ones(1)}}), tmp_path
    )
    assert "--from tface" in fault.hint and "--from adaface" in fault.hint
    fault = refused(saved(tmp_path, {"a": torch.ones(1)}), tmp_path)
    assert "not a checkpoint of facerec" in fault.message and "arcface_torch" in fault.hint
    with pytest.raises(UsageError, match="Did you mean 'arcface_torch'"):
        export(tmp_path / "theirs.pt", ExportOptions(output=tmp_path / "x.onnx", layout="arcface"))


def test_an_interrupt_inside_pytorchs_exporter_stays_one(
    mobile: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as fault:
            raise torch.onnx.errors.OnnxExporterError("This is step 1/3 of exporting the model") from fault

    monkeypatch.setattr(torch.onnx, "export", interrupted)
    network = ExportedNetwork(mobile, mobile.preprocessing, GraphOptions())
    with pytest.raises(KeyboardInterrupt):
        to_onnx(network, mobile.preprocessing.size)
