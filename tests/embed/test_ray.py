"""The Ray engine without a cluster: how many workers fit, what travels, what is refused and in what words."""

from __future__ import annotations

import dataclasses
import json
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from facerec_cli.cli import build_app
from facerec_cli.embed import EmbedOptions, embed_photos, embed_to_file
from facerec_cli.embed.engines.ray import RayEngine, lost, raise_fault, workers_of
from facerec_cli.embed.engines.ray_start import check_reachable
from facerec_cli.embed.engines.ray_worker import (
    Order,
    ShardEmbedder,
    check_versions,
    describe_fault,
    portable,
    versions,
)
from facerec_cli.embed.photo_result import make_shard
from facerec_cli.embeddings.npz_shards import NpzShards
from facerec_cli.errors import InputError, MissingExtraError, ResourceError, UsageError
from facerec_cli.faces import open_model
from facerec_cli.packs.manifest import ModelPack
from facerec_cli.packs.resolve import open_pack

Album = Callable[[int], Path]


@pytest.mark.parametrize(
    ("resources", "threads", "gpus", "workers"),
    [
        ({"CPU": 8}, 3, 0, 2),
        ({"CPU": 2}, 3, 0, 0),
        ({"CPU": 64, "GPU": 4}, 4, 0.25, 16),
        ({"CPU": 8, "GPU": 4}, 4, 0.25, 2),
        ({"CPU": 64, "GPU": 3}, 4, 0.4, 6),  # two share a GPU; the fifth of it that is left serves nobody
        ({"CPU": 64, "GPU": 3}, 4, 2, 1),
        ({"CPU": 64}, 4, 0.5, 0),
        ({}, 1, 0, 0),
    ],
)
def test_workers_that_a_machine_has_room_for(
    resources: dict[str, float], threads: int, gpus: float, workers: int
) -> None:
    assert workers_of(resources, threads, gpus) == workers


@pytest.mark.parametrize("address", ["auto:", "here", ":6379", "host:port", "ray://"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match=r"neither auto, HOST:PORT nor ray://HOST:PORT"):
        check_reachable(address)


def test_an_address_where_nothing_listens_is_refused_at_once() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        for address in (f"127.0.0.1:{port}", f"ray://127.0.0.1:{port}"):
            with pytest.raises(ResourceError, match=f"No Ray cluster answers at {address}.*ray start --head"):
                check_reachable(address)
        free.listen()
        check_reachable(f"127.0.0.1:{port}")


def test_a_cluster_that_does_not_answer_has_a_code_of_its_own(album: Album) -> None:
    pytest.importorskip("ray", reason="needs ray: pip install 'facerec-cli[ray]'")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    folder = album(1)
    words = [
        "embed",
        str(folder),
        "-o",
        str(folder.parent / "out.npy"),
        "--engine",
        "ray",
        "--address",
        address,
    ]
    done = CliRunner().invoke(build_app(["embed"]), words)
    assert done.exit_code == 9 and f"No Ray cluster answers at {address}" in done.stderr


def test_without_ray_the_extra_is_named(
    album: Album, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'facerec-cli\[ray\]'"):
        embed_to_file([album(1)], tmp_path / "out.npy", engine=RayEngine())
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--address", "auto"], "are for --engine ray"),
        (["--actors", "2", "--engine", "local"], "are for --engine ray"),
        (["--engine", "spark"], "--engine cannot be 'spark'"),
        (["--engine", "ray", "--crops", "crops"], "--crops is for --engine local"),
        (["--engine", "ray", "--actor-gpus", "1.5"], "neither a fraction nor a whole number"),
        (["--engine", "ray", "--actor-gpus", "inf"], "--actor-gpus inf does not fit"),
    ],
)
def test_flags_that_do_not_fit_are_refused(album: Album, flags: list[str], message: str) -> None:
    folder = album(1)
    output = str(folder.parent / "out.npy")
    done = CliRunner().invoke(build_app(["embed"]), ["embed", str(folder), "-o", output, *flags])
    assert done.exit_code == 2 and message in done.stderr and done.stdout == ""


def test_gpus_that_are_no_number_are_refused() -> None:
    with pytest.raises(UsageError, match="neither a fraction nor a whole number"):
        RayEngine(actor_gpus=float("nan"))


def test_a_fault_reaches_the_user_as_it_was() -> None:
    raise_fault(describe_fault(None))
    with pytest.raises(InputError) as caught:
        raise_fault(describe_fault(InputError("what", hint="do")))
    assert (caught.value.message, caught.value.hint, caught.value.exit_code) == ("what", "do", 3)


def test_other_versions_are_refused_and_named() -> None:
    here = versions()
    check_versions(here, here)
    with pytest.raises(ResourceError, match=r"has OpenCV 4\.0, not .*Install the same versions"):
        check_versions(here, {**here, "OpenCV": "4.0"})


def test_ray_s_faults_are_told_briefly() -> None:
    gone = lost(RuntimeError("long\nModuleNotFoundError: No module named 'facerec_cli.embed'\nmore"))
    assert "not installed on a machine" in gone.message and "facerec-cli[ray]" in gone.hint
    assert "The cluster gave up: the end" in lost(RuntimeError("trace\nthe end\n")).message


@pytest.fixture
def order(tiny_pack: ModelPack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Order:
    """What a worker gets, with the object store replaced by a dictionary."""
    ray = pytest.importorskip("ray", reason="needs ray: pip install 'facerec-cli[ray]'")
    travelling, files = portable(open_pack(tiny_pack.folder))
    monkeypatch.setattr(ray, "get", {"reference": files}.__getitem__)
    options = EmbedOptions(batch_size=4, aligned=True)
    store = NpzShards(tmp_path / "out.npy.parts")
    return Order(travelling, "cpu", 1, options, store, str(tmp_path), None, versions(), "reference")


def shard_of(order: Order, photos: list[str]) -> tuple[bytes, str]:
    return ShardEmbedder(order).embed(3, photos)


def test_a_worker_needs_nothing_of_the_driver_s_disk_but_the_photos(
    order: Order, tiny_pack: ModelPack, album: Album
) -> None:
    """Paths are relative to the driver's folder and the model has travelled; rows say what the user typed."""
    folder = album(5)
    photos = [f"photos/{index:04d}.png" for index in range(5)] + ["photos/none.png", "photos/\udcff.png"]
    model = open_model(tiny_pack.folder, device="cpu")
    local = list(embed_photos([str(folder.parent / name) for name in photos], model, order.options))
    named = [dataclasses.replace(result, name=name) for result, name in zip(local, photos, strict=True)]
    expected = order.store.pack(make_shard(named, size=4, first=0, crops=None))
    for path in tiny_pack.folder.iterdir():
        path.unlink()
    assert shard_of(order, photos) == (expected, "")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sample": "photos/none.png"}, "does not see photos/none.png"),
        ({"versions": {"facerec": "0.0"}}, "not 0.0"),
        ({"device": "openvino"}, "openvino"),
    ],
)
def test_a_worker_that_cannot_work_says_why(order: Order, change: dict[str, object], message: str) -> None:
    content, fault = shard_of(dataclasses.replace(order, **change), ["photos/a.png"])  # type: ignore[arg-type]
    assert message in json.loads(fault)["message"] and content == b""


def test_both_networks_travel_without_a_folder(tiny_pack: ModelPack) -> None:
    pack, files = portable(
        open_pack(tiny_pack.folder)
    )  # which brings no detector: the default one goes along
    default = open_pack("pack:sface")
    assert default.detector_path is not None
    assert files == {
        "encoder.onnx": (tiny_pack.folder / "tiny.onnx").read_bytes(),
        "detector.onnx": default.detector_path.read_bytes(),
    }
    assert (pack.folder, pack.encoder.file) == (Path(), "encoder.onnx")
    assert pack.detector == dataclasses.replace(default.detector, file="detector.onnx")  # type: ignore[type-var]
