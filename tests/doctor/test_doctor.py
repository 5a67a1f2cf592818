"""`facerec doctor`: it sees what is broken, says what to type, and its exit code tells scripts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from facerec_cli import doctor
from facerec_cli.doctor import Finding, builds, examine, healthy, user
from facerec_cli.runtime import install_command


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "facerec_cli", "doctor", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
        timeout=300,
    )


def by_subject(findings) -> dict[str, Finding]:
    return {finding.subject: finding for finding in findings}


@pytest.fixture
def quick(monkeypatch):
    """No provider is started; what a test is not about answers at once."""
    monkeypatch.setattr(builds, "_provider", lambda device: Finding(f"device {device}", "ok", "faked"))
    monkeypatch.setattr(builds, "_driver", lambda: "")


def test_this_machine_is_fine_and_the_cpu_really_computes():
    done = run("--json")
    document = json.loads(done.stdout)
    found = {finding["subject"]: finding for finding in document["findings"]}
    assert found["device cpu"]["status"] == "ok" and found["model sface"]["status"] == "ok"
    assert found["python"]["detail"].startswith(".".join(map(str, sys.version_info[:3])))
    broken = [finding for finding in document["findings"] if finding["status"] == "broken"]
    assert (done.returncode, document["ok"]) == ((4, False) if broken else (0, True))


def test_two_wheels_at_once_are_broken_and_the_mend_removes_both(tmp_path):
    """A second wheel as pip would record it, on a path of its own."""
    info = tmp_path / "onnxruntime_gpu-1.20.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: onnxruntime-gpu\nVersion: 1.20.0\n")
    done = run("--json", PYTHONPATH=str(tmp_path))
    assert done.returncode == 4, done.stderr
    finding = next(f for f in json.loads(done.stdout)["findings"] if f["subject"] == "onnxruntime")
    assert finding["status"] == "broken" and "installed together" in finding["detail"]
    assert "the build that is imported is onnxruntime " in finding["detail"]
    assert finding["mend"].startswith("pip uninstall -y onnxruntime onnxruntime-gpu && pip install")


def test_a_runtime_that_cannot_be_imported_is_broken_and_the_rest_is_still_examined(tmp_path):
    (tmp_path / "onnxruntime").mkdir()
    (tmp_path / "onnxruntime" / "__init__.py").write_text(
        "raise ImportError('libonnxruntime.so: no such file')"
    )
    done = run(PYTHONPATH=str(tmp_path))
    assert done.returncode == 4, done.stderr
    assert "libonnxruntime.so" in done.stdout and "pip install --force-reinstall onnxruntime" in done.stdout
    assert "model sface" in done.stdout and "Traceback" not in done.stderr


def test_no_runtime_at_all_says_what_to_install(quick, monkeypatch):
    real = builds.installed_versions
    monkeypatch.setattr(
        builds, "installed_versions", lambda names: {} if "onnxruntime" in names else real(names)
    )
    failed = subprocess.CompletedProcess([], 1, "", "ModuleNotFoundError: No module named 'onnxruntime'")
    monkeypatch.setattr(builds, "_python", lambda code: failed)
    assert list(builds.onnxruntime()) == [
        Finding("onnxruntime", "broken", "not installed", "pip install onnxruntime")
    ]


def test_files_of_another_version_than_pip_says_are_broken(quick, monkeypatch):
    said = json.dumps({"package": "onnxruntime", "version": "1.2.3", "cuda": "", "providers": []})
    monkeypatch.setattr(builds, "_python", lambda code: subprocess.CompletedProcess([], 0, said, ""))
    finding = next(builds.onnxruntime())
    assert finding.status == "broken" and "imported is onnxruntime 1.2.3" in finding.detail


def test_a_provider_that_does_not_start_says_why():
    finding = builds._provider("cuda") if not builds._driver() else None
    if finding is None:
        pytest.skip("there is a GPU here")
    assert finding.status == "note" and "no NVIDIA driver here" in finding.detail and finding.mend == ""


def test_a_provider_that_crashes_is_broken(monkeypatch):
    monkeypatch.setattr(builds, "_python", lambda code: subprocess.CompletedProcess([], -11, "", ""))
    assert builds._provider("cuda").detail == "crashed with signal 11"
    assert builds._provider("cuda").status == "broken"


def test_a_provider_that_computes_wrong_numbers_is_found(monkeypatch, capsys):
    from facerec_cli.faces.runtime.session import Network

    real = Network.run
    monkeypatch.setattr(
        Network, "run", lambda *a, **k: [(s, [2 * out for out in outs]) for s, outs in real(*a, **k)]
    )
    with pytest.raises(SystemExit) as caught:
        builds.probe("cpu")
    assert caught.value.code == 4 and "wrong numbers" in capsys.readouterr().out


def test_a_gpu_without_its_wheel_is_noted_and_missing_libraries_are_broken(quick, monkeypatch):
    monkeypatch.setattr(builds, "_driver", lambda: "NVIDIA H100, 550.54")
    monkeypatch.setattr(builds, "installed_versions", lambda names: {"onnxruntime": "1.31.0"})
    found = by_subject(builds.gpu())
    assert found["gpu"].detail == "NVIDIA H100, 550.54" and found["cuda"].mend == install_command("cuda")
    monkeypatch.setattr(builds, "installed_versions", lambda names: {"onnxruntime-gpu": "1.31.0"})
    monkeypatch.setattr(builds, "_library", lambda name: "" if name == "cudnn" else f"lib{name}.so")
    found = by_subject(builds.gpu())
    assert (found["cudart"].status, found["cudnn"].status) == ("ok", "broken")
    assert "[cuda,cudnn]" in found["cudnn"].mend


def test_libraries_of_pips_packages_are_found(monkeypatch, tmp_path):
    monkeypatch.setattr(builds.sysconfig, "get_path", lambda name: str(tmp_path))
    monkeypatch.setattr(builds.ctypes.util, "find_library", lambda name: None)
    assert builds._library("cudnn") == ""
    library = tmp_path / "nvidia" / "cudnn" / "lib" / "libcudnn.so.9"
    library.parent.mkdir(parents=True)
    library.touch()
    assert builds._library("cudnn") == str(library)


def test_a_broken_model_is_found_with_what_to_type(quick):
    from facerec_cli.packs.folders import user_packs

    folder = user_packs() / "old"
    folder.mkdir(parents=True)
    (folder / "pack.toml").write_text("schema = 1\n")
    finding = by_subject(examine())["model old"]
    assert finding.status == "broken" and "'name' is missing" in finding.detail
    assert finding.mend == "facerec models remove old"


def test_a_home_that_cannot_be_written_is_broken(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FACEREC_HOME", str(tmp_path / "file"))
    finding = next(user.folders())
    assert finding.status == "broken" and "FACEREC_HOME" in finding.mend


def test_the_kept_embeddings_are_shown():
    from facerec_cli.embeddings.cache import cache_path

    assert "cache" not in by_subject(user.folders())
    cache_path().parent.mkdir(parents=True, exist_ok=True)
    cache_path().write_bytes(b"x" * 1_500_000)
    detail = by_subject(user.folders())["cache"].detail
    assert detail.startswith(f"{cache_path()}, 1.5 MB")


def test_unfinished_downloads_are_noted():
    from facerec_cli.home import home

    (home() / "downloads").mkdir(parents=True)
    (home() / "downloads" / "buffalo_l.zip.part").write_bytes(b"x" * 2_500_000)
    assert by_subject(user.folders())["downloads"].detail.startswith("1 unfinished, 2.5 MB")


def test_telemetry_is_off_unless_the_user_has_turned_it_on(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (found,) = user.telemetry(os.environ)
    assert (found.subject, found.status) == ("telemetry", "ok") and "ORT_DISABLE_TELEMETRY=1" in found.detail
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    (found,) = user.telemetry(os.environ)
    assert (found.status, found.mend) == ("note", "unset ORT_DISABLE_TELEMETRY")
    assert "ORT_DISABLE_TELEMETRY=0 is set here" in found.detail and "Microsoft" in found.detail


def test_a_device_id_that_an_earlier_program_left_is_found(monkeypatch, tmp_path):
    left = tmp_path / "Microsoft" / "DeveloperTools" / ".onnxruntime" / "deviceid"
    left.parent.mkdir(parents=True)
    left.write_text("x")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    found = by_subject(user.telemetry(os.environ))["device id"]
    assert found.status == "note" and str(left) in found.detail and str(left.parent) in found.mend


def test_passwords_of_proxies_are_not_shown():
    shown = list(user.variables({"https_proxy": "http://me:secret@proxy.example:8080", "PATH": "/bin"}))
    assert [finding.detail for finding in shown] == ["http://***@proxy.example:8080"]


def test_the_table_fits_80_columns_and_the_exit_code_is_4(quick, monkeypatch):
    import typer

    from facerec_cli.cli.doctor import doctor as command

    broken = Finding("onnxruntime", "broken", "two at once", "pip uninstall -y onnxruntime")
    monkeypatch.setattr(doctor, "examine", lambda: [Finding("python", "ok", "3.11 " * 40), broken])
    monkeypatch.setenv("COLUMNS", "80")
    app = typer.Typer()
    app.command()(command)
    done = CliRunner().invoke(app, [])
    assert done.exit_code == 4 and not healthy([broken])
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "    pip uninstall -y onnxruntime\n" in done.stdout


def test_the_probe_is_a_valid_network(tmp_path):
    import onnx

    path = Path(tmp_path / "probe.onnx")
    builds._write_probe(path)
    onnx.checker.check_model(str(path))


def test_the_cure_of_two_wheels_fits_the_machine(monkeypatch):
    from facerec_cli import runtime

    there = {"onnxruntime": "1.32", "onnxruntime-gpu": "1.32"}
    monkeypatch.setattr(runtime, "installed_versions", lambda names: there)
    monkeypatch.setattr(runtime, "has_nvidia_driver", lambda: False)
    assert runtime.wheel_conflict().endswith("pip install --force-reinstall onnxruntime")
    monkeypatch.setattr(runtime, "has_nvidia_driver", lambda: True)
    assert runtime.wheel_conflict().endswith("pip install --force-reinstall 'onnxruntime-gpu[cuda,cudnn]'")


def test_the_gpu_wheel_without_a_driver_is_noted_and_nothing_is_to_be_installed(quick, monkeypatch):
    monkeypatch.setattr(builds, "installed_versions", lambda names: {"onnxruntime-gpu": "1.32.0"})
    (finding,) = builds.gpu()
    assert finding.status == "note" and "no NVIDIA driver" in finding.detail and finding.mend == ""


def test_a_home_that_is_a_link_to_nothing_is_named(tmp_path, monkeypatch):
    (tmp_path / "home").symlink_to(tmp_path / "gone")
    monkeypatch.setenv("FACEREC_HOME", str(tmp_path / "home"))
    (finding,) = user.folders()
    assert (
        finding.status == "broken"
        and f"is a link to {tmp_path / 'gone'}, which is not there" in finding.detail
    )
    assert "Make that folder" in finding.mend
