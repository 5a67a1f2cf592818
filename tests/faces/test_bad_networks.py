"""ONNX files that cannot be used, and one that can only just: each is named with the reason."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from face_networks import Graph, mobilefacenet
from onnx.external_data_helper import convert_model_to_external_data
from tiny_pack import write_encoder, write_tiny_pack
from typer.testing import CliRunner, Result

from facerec_cli.cli import build_app
from facerec_cli.errors import ModelError
from facerec_cli.faces import open_model
from facerec_cli.files import sha256_of
from facerec_cli.packs.manifest import ModelPack
from facerec_cli.packs.manifest_toml import write_manifest


def make(kind: str, folder: Path) -> Path:
    path = folder / "bad.onnx"
    if kind == "garbage":
        path.write_bytes(b"GIF89a" + bytes(range(256)) * 20)
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "cut short":
        path.write_bytes(write_encoder(folder / "whole.onnx").read_bytes()[:-300])
    elif kind == "external data missing":
        model = onnx.load(mobilefacenet(folder / "whole.onnx"))
        convert_model_to_external_data(model, location="bad.data", size_threshold=0)
        onnx.save(model, str(path))
        (folder / "bad.data").unlink()
    elif kind == "custom operator":
        model = onnx.load(write_encoder(path))
        model.graph.node[0].domain = "my.company"
        model.opset_import.append(onnx.helper.make_opsetid("my.company", 1))
        onnx.save(model, str(path))
    elif kind == "two inputs":
        model = onnx.load(write_encoder(path))
        model.graph.input.append(onnx.helper.make_tensor_value_info("more", 1, [1]))
        onnx.save(model, str(path))
    elif kind == "wrong rank":
        graph = Graph(0)
        graph.add("Relu", "input", name="embedding")
        onnx.save(graph.model(["n", 4], {"embedding": ["n", 4]}), str(path))
    elif kind == "four colors":
        model = onnx.load(write_encoder(path))
        model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 4
        onnx.save(model, str(path))
    elif kind == "batch of eight":
        write_encoder(path, batch=8)
    elif kind == "NaN weights":
        model = onnx.load(write_encoder(path))
        weights = onnx.numpy_helper.to_array(model.graph.initializer[0]).copy()
        weights[7] = np.nan
        model.graph.initializer[0].CopyFrom(
            onnx.numpy_helper.from_array(weights, model.graph.initializer[0].name)
        )
        onnx.save(model, str(path))
    elif kind == "another embedding size":
        model = onnx.load(write_encoder(path))
        model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 5
        onnx.save(model, str(path))
    return path


REASONS = {
    "missing": "does not exist|There is no",
    "garbage": "not an ONNX file",
    "empty": "empty|not an ONNX file",
    "cut short": "not an ONNX file|cut short",
    "external data missing": "second file, 'bad.data'",
    "custom operator": "my.company",
    "two inputs": "not a face recognition network|2 inputs",
    "wrong rank": "not a face recognition network",
    "four colors": "not a face recognition network",
    "another embedding size": "5 dimensions, not 4",
}


def pack_with(path: Path, folder: Path) -> ModelPack:
    """A pack folder around an ONNX file."""
    pack = write_tiny_pack(folder)
    (folder / path.name).write_bytes(path.read_bytes() if path.exists() else b"")
    sha256 = sha256_of(folder / path.name)
    pack = replace(pack, encoder=replace(pack.encoder, file=path.name, sha256=sha256))
    write_manifest(pack)
    return pack


@pytest.mark.parametrize("kind", REASONS)
def test_a_file_that_cannot_be_used_is_named_with_the_reason(tmp_path: Path, kind: str) -> None:
    pack = write_tiny_pack(tmp_path / "tiny")
    path = make(kind, tmp_path)
    pack = replace(pack, folder=path.parent, encoder=replace(pack.encoder, file=path.name, sha256=""))
    with pytest.raises(ModelError, match=REASONS[kind]) as caught:
        open_model(pack, device="cpu", threads=1, detector=False)
    assert "bad.onnx" in caught.value.message


def embed(model: Path, photo: Path, output: Path) -> Result:
    arguments = ["embed", str(photo), "-o", str(output), "--model", str(model), "--threads", "1"]
    return CliRunner().invoke(build_app(["embed"]), arguments)


IN_A_PACK = {**REASONS, "NaN weights": "gave an embedding that is not finite"}
del IN_A_PACK["missing"]


@pytest.mark.parametrize("kind", IN_A_PACK)
def test_the_command_says_so_and_writes_no_file(tmp_path: Path, repository: Path, kind: str) -> None:
    pack = pack_with(make(kind, tmp_path), tmp_path / "pack")
    photo = repository / "examples" / "photos" / "astronaut.jpg"
    done = embed(pack.folder, photo, tmp_path / "out.npy")
    assert done.exit_code == ModelError.exit_code, done.stderr
    assert re.search(IN_A_PACK[kind], " ".join(done.stderr.split())), done.stderr
    assert "Traceback" not in done.stderr and not (tmp_path / "out.npy").exists()


def test_a_batch_fixed_at_one_embeds_one_by_one_with_a_warning(tmp_path: Path, repository: Path) -> None:
    photo = repository / "examples" / "photos" / "astronaut.jpg"
    one = pack_with(write_encoder(tmp_path / "one.onnx", batch=1), tmp_path / "one")
    any_number = write_tiny_pack(tmp_path / "any")
    done = embed(one.folder, photo, tmp_path / "one.npy")
    assert done.exit_code == 0, done.stderr
    assert "takes one crop at a time" in done.stderr
    assert embed(any_number.folder, photo, tmp_path / "any.npy").exit_code == 0
    np.testing.assert_allclose(np.load(tmp_path / "one.npy"), np.load(tmp_path / "any.npy"), atol=1e-5)
