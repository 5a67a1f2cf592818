"""Opening networks: devices that are what they say, and files that cannot be used."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from tiny_pack import write_encoder, write_tiny_pack

from facerec_cli import runtime
from facerec_cli.errors import ModelError, UsageError
from facerec_cli.faces import open_model
from facerec_cli.faces.runtime.providers import PROVIDERS
from facerec_cli.faces.runtime.session import Network
from facerec_cli.runtime import one_blas_thread, usable_cores, wheel_conflict


@pytest.mark.parametrize("device", ["cuda", "tensorrt", "coreml", "openvino"])
def test_a_device_that_is_not_there_is_an_error_and_never_the_cpu(tmp_path: Path, device: str) -> None:
    path = write_encoder(tmp_path / "tiny.onnx")
    if PROVIDERS[device] in runtime.import_onnxruntime().get_available_providers():
        pytest.skip(f"this ONNX Runtime has {device}")
    with pytest.raises(ModelError, match=f"no {device} support") as caught:
        Network(path, device=device)
    assert "onnxruntime" in caught.value.hint


def test_auto_takes_what_is_there(tmp_path: Path) -> None:
    assert Network(write_encoder(tmp_path / "tiny.onnx"), device="auto").device in ("cpu", "cuda")


def test_misspelt_devices_and_no_threads(tmp_path: Path) -> None:
    path = write_encoder(tmp_path / "tiny.onnx")
    with pytest.raises(UsageError, match="no device 'gpu'") as caught:
        Network(path, device="gpu")
    assert "cuda" in caught.value.hint
    with pytest.raises(UsageError, match="at least 1"):
        Network(path, threads=0)


def test_a_provider_that_does_not_start_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime falls back to the CPU in silence where a driver is missing; we say so."""
    path = write_encoder(tmp_path / "tiny.onnx")
    module = runtime.import_onnxruntime()
    offered = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    real = module.InferenceSession

    def fallback(content: object, options: object, providers: list[str]) -> object:
        return real(content, options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(module, "get_available_providers", lambda: offered)
    monkeypatch.setattr(module, "InferenceSession", fallback)
    with pytest.raises(ModelError, match="cuda could not be started"):
        Network(path, device="cuda")
    network = Network(path, device="auto")
    assert network.device == "cpu"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, str]]]:
    """What sessions are asked for where all providers are offered; they run on the CPU all the same."""
    module = runtime.import_onnxruntime()
    real, seen = module.InferenceSession, []

    class Session:
        def __init__(self, content: object, options: object, providers: list[tuple[str, dict]]) -> None:
            seen.extend(providers)
            self.session = real(content, options, providers=["CPUExecutionProvider"])
            self.get_providers = lambda: [providers[0][0], "CPUExecutionProvider"]

        def __getattr__(self, name: str) -> object:
            return getattr(self.session, name)

    monkeypatch.setattr(module, "get_available_providers", lambda: list(PROVIDERS.values()))
    monkeypatch.setattr(module, "InferenceSession", Session)
    return seen


def test_tensorrt_keeps_engines_for_each_file_and_computes_in_float32(
    tmp_path: Path, asked: list[tuple[str, dict[str, str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACEREC_HOME", str(tmp_path / "home"))
    paths = [write_encoder(tmp_path / "one.onnx"), write_encoder(tmp_path / "two.onnx", batch=1)]
    assert [Network(path, device="tensorrt").device for path in (*paths, paths[0])] == ["tensorrt"] * 3
    engines = [options for name, options in asked if name == PROVIDERS["tensorrt"]]
    assert {options["trt_fp16_enable"] for options in engines} == {"False"}
    folders = [Path(options["trt_engine_cache_path"]) for options in engines]
    assert folders[0] == folders[2] != folders[1]  # the same graph with other weights needs another engine
    assert all(folder.is_dir() and (tmp_path / "home") in folder.parents for folder in folders)
    assert [name for name, _ in asked[:2]] == [PROVIDERS["tensorrt"], PROVIDERS["cuda"]]


def test_tensorrt_runs_without_a_cache_where_the_home_cannot_be_written(
    tmp_path: Path,
    asked: list[tuple[str, dict[str, str]]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "home").write_text("a file")
    monkeypatch.setenv("FACEREC_HOME", str(tmp_path / "home"))
    Network(write_encoder(tmp_path / "one.onnx"), device="tensorrt")
    assert asked[0][1] == {"device_id": "0", "trt_fp16_enable": "False"}
    assert "built again" in caplog.text


def test_gpus_get_bound_inputs_and_whole_batches(
    tmp_path: Path, asked: list[tuple[str, dict[str, str]]]
) -> None:
    network = Network(write_encoder(tmp_path / "one.onnx"), device="auto")
    assert network.device == "cuda"
    assert asked[0][1]["cudnn_conv_algo_search"] == "HEURISTIC" and asked[0][1]["use_tf32"] == "0"
    zeros = np.zeros((20, 3, 112, 112), np.float32)
    spans = [span for span, _ in network.run(20, lambda rows, _: zeros[rows])]
    assert spans == [slice(0, 16), slice(16, 20)]
    assert network._binding() is network._binding()


@pytest.mark.parametrize("device", ["cuda", "tensorrt"])
def test_each_process_may_have_a_gpu_of_its_own(
    tmp_path: Path, asked: list[tuple[str, dict[str, str]]], device: str
) -> None:
    path = write_encoder(tmp_path / "one.onnx")
    Network(path, device=device), Network(path, device=device, gpu=3)
    found = [options["device_id"] for _, options in asked]
    assert found == (["0", "3"] if device == "cuda" else ["0", "0", "3", "3"])


def test_a_file_that_was_exchanged_is_refused(tmp_path: Path) -> None:
    pack = write_tiny_pack(tmp_path / "tiny")
    content = bytearray(pack.encoder_path.read_bytes())
    content[len(content) // 2] ^= 1
    pack.encoder_path.write_bytes(content)
    with pytest.raises(ModelError, match=r"sha256|changed"):
        open_model(pack.folder, device="cpu", threads=1, detector=False)


def test_an_input_that_the_network_refuses_is_an_error(tmp_path: Path) -> None:
    network = Network(write_encoder(tmp_path / "tiny.onnx"), device="cpu", threads=1)
    with pytest.raises(ModelError, match="failed on an input"):
        network.run(1, lambda span, _: np.zeros((1, 3, 50, 50), np.float32))


def test_the_callers_arithmetic_is_left_alone(tmp_path: Path) -> None:
    """ONNX Runtime's flushing of denormal numbers must reach the networks' threads only."""
    network = Network(write_encoder(tmp_path / "tiny.onnx"), device="cpu", threads=2)
    tiny = np.full(4, 1e-40, np.float32)
    network.run(4, lambda span, _: np.zeros((1, 3, 112, 112), np.float32))
    assert (tiny * np.float32(0.5)).sum() > 0


@pytest.mark.parametrize(
    ("installed", "driver", "expected"),
    [
        ({"onnxruntime"}, True, None),
        (set(), True, None),
        (
            {"onnxruntime", "onnxruntime-gpu"},
            True,
            "pip uninstall -y onnxruntime onnxruntime-gpu && "
            "pip install --force-reinstall 'onnxruntime-gpu[cuda,cudnn]'",
        ),
        (
            {"onnxruntime", "onnxruntime-gpu"},
            False,
            "pip uninstall -y onnxruntime onnxruntime-gpu && pip install --force-reinstall onnxruntime",
        ),
        (
            {"onnxruntime", "onnxruntime-openvino"},
            False,
            "pip install --force-reinstall onnxruntime-openvino",
        ),
    ],
)
def test_two_builds_of_onnxruntime(
    monkeypatch: pytest.MonkeyPatch, installed: set[str], driver: bool, expected: str | None
) -> None:
    monkeypatch.setattr(runtime, "has_nvidia_driver", lambda: driver)
    versions = {name: "1.0" for name in runtime.RUNTIME_WHEELS if name in installed}
    monkeypatch.setattr(runtime, "installed_versions", lambda names: versions)
    advice = wheel_conflict()
    assert advice is None if expected is None else str(advice).endswith(expected)


def test_auto_says_why_a_second_build_leaves_it_on_the_cpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_encoder(tmp_path / "tiny.onnx")
    both = {"onnxruntime": "1.0", "onnxruntime-gpu": "1.0"}
    monkeypatch.setattr(runtime, "installed_versions", lambda names: both)
    monkeypatch.setattr(
        runtime.import_onnxruntime(), "get_available_providers", lambda: ["CPUExecutionProvider"]
    )
    assert Network(path, device="auto").device == "cpu"
    assert "overwrite each other's files" in caplog.text


@pytest.mark.parametrize("broken", ["missing", "empty folder"])
def test_an_onnxruntime_that_is_not_whole(monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    import types

    module = None if broken == "missing" else types.ModuleType("onnxruntime")
    monkeypatch.setitem(sys.modules, "onnxruntime", module)
    with pytest.raises(ModelError, match="ONNX Runtime cannot be used") as caught:
        runtime.import_onnxruntime()
    assert "pip install" in caught.value.hint


def test_threads_are_at_least_one_and_at_most_the_cores() -> None:
    import os

    assert 1 <= usable_cores() <= (os.cpu_count() or 1)


def test_blas_has_its_threads_back_when_the_last_caller_is_through() -> None:
    threadpoolctl = pytest.importorskip("threadpoolctl", reason="threadpoolctl is not installed")

    def threads() -> list[int]:
        return [pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]

    before = threads()
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        first, second = one_blas_thread(), one_blas_thread()
        assert first.__enter__() and set(threads()) <= {1}
        assert second.__enter__()
        first.__exit__(None, None, None)
        assert set(threads()) <= {1}
        second.__exit__(None, None, None)
        assert set(threads()) <= {2}
    assert threads() == before
