"""Nobody outside hears of a photo, a person or a machine: nothing is reported, queued, or looked up.

Commands run in a home of their own and, where the system lets us, without any network. What they leave,
what names Python asks for, and (with strace) what any library connects to is held against short lists.
"""

from __future__ import annotations

import ast
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from facerec_cli.privacy import SWITCHES, device_id, keep_private, reporting, silence

# Below the home or the folder for temporary files: our own folder, and caches that say nothing of anybody.
ALLOWED = re.compile(
    r"home/\.local/share/facerec/|home/\.cache/(facerec|matplotlib)/|home/\.config/matplotlib/"
)
LISTENER = """
import os, socket
def heard(name):
    real = getattr(socket, name)
    def ask(host, *rest, **named):
        with open(os.environ["LOOKED_UP"], "a") as stream:
            print(name, host, file=stream)
        return real(host, *rest, **named)
    setattr(socket, name, ask)
for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr"):
    heard(name)
"""
API = """
import facerec_cli as facerec
model = facerec.open_model("sface")
faces = model.detect([facerec.read_image(PHOTO)])[0]
assert len(faces) == 3
"""
SEARCH = """
from pathlib import Path
import numpy as np
from facerec_cli.gallery.enrolled import EnrolledPeople
from facerec_cli.gallery.search_engines.engine import open_search_engine
from facerec_cli.gallery.search_engines.settings import SearchEngineOptions
rows = np.eye(32, dtype=np.float32)
people = EnrolledPeople("staff", tuple(map(str, range(32))), (rows,), np.arange(32), np.ones(32, np.int64))
for name, table in (("index", None), ("lancedb", "tables")):
    engine = open_search_engine(SearchEngineOptions(name, table=table), Path())
    assert engine.search(people, rows, 1)[0].ravel().tolist() == list(range(32))
"""
TRAIN = [
    *("train", "--data", "synthetic:12:6", "--backbone", "mobilefacenet", "--embedding-size", "32"),
    *("--set", "backbone.width=0.125", "-b", "12", "--steps", "2", "--set", "data.photos_per_identity=3"),
    *("--workers", "1", "--device", "cpu", "--out", "run"),
]
LOOPBACK = """
import fcntl, os, socket, struct, sys
with socket.socket() as any:
    fcntl.ioctl(any, 0x8914, struct.pack("16sh", b"lo", 1))  # SIOCSIFFLAGS, IFF_UP: processes talk through it
os.execvp(sys.argv[1], sys.argv[1:])
"""


def without_network() -> list[str]:
    """What to put before a command that shall have no network; nothing where that is not permitted."""
    for flags in ("-n", "-rn"):
        words = ["unshare", flags, sys.executable, "-c", LOOPBACK]
        try:
            if subprocess.run([*words, "true"], capture_output=True, timeout=30).returncode == 0:
                return words
        except OSError:
            break
    return []


def traced(log: Path) -> list[str]:
    """What to put before a command to see whom it connects to; nothing where that is not permitted."""
    words = ["strace", "-f", "-qq", "-e", "trace=connect,sendto,sendmmsg", "-A", "-o", str(log)]
    if shutil.which("strace") and subprocess.run([*words, "true"], capture_output=True).returncode == 0:
        return words
    return []


class Stranger:
    """Somebody who runs programs for the first time, in a fresh home and with nothing set."""

    def __init__(self, folder: Path) -> None:
        self.work, self._names, self._trace = folder / "work", folder / "names", folder / "trace"
        for place in ("work", "home", "tmp", "hooks"):
            (folder / place).mkdir()
        (folder / "hooks" / "sitecustomize.py").write_text(LISTENER)
        self._folder = folder
        self._before = [*without_network(), *traced(self._trace)]

    def run(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a program; what the tests' own environment sets does not reach it."""
        package = Path(__file__).resolve().parents[1]
        kept = {
            name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT") if name in os.environ
        }
        environment = {
            **kept,
            "HOME": str(self._folder / "home"),
            "TMPDIR": str(self._folder / "tmp"),
            "PYTHONPATH": os.pathsep.join([str(self._folder / "hooks"), str(package)]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "OMP_NUM_THREADS": "1",
            "LOOKED_UP": str(self._names),
            **variables,
        }
        done = subprocess.run(
            [*self._before, sys.executable, *words],
            cwd=self.work,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        return done

    def facerec(self, *words: str) -> None:
        self.run("-m", "facerec_cli", *words)

    def left(self) -> list[str]:
        """What lies in the home and the folder for temporary files and has no business there."""
        places = [
            path for room in ("home", "tmp") for path in (self._folder / room).rglob("*") if path.is_file()
        ]
        names = [path.relative_to(self._folder).as_posix() for path in places]
        return sorted(name for name in names if not ALLOWED.match(name))

    def looked_up(self) -> list[str]:
        """The names that Python asked for, and the addresses outside this machine that any library called."""
        asked = self._names.read_text().splitlines() if self._names.exists() else []
        calls = self._trace.read_text(errors="replace") if self._trace.exists() else ""
        called = re.findall(r'AF_INET6?,.*?(?:inet_addr\(|AF_INET6, )"([^"]+)"', calls)
        return asked + [place for place in called if not re.match(r"(::ffff:)?127\.|::1$", place)]


@pytest.fixture
def stranger(tmp_path: Path) -> Stranger:
    return Stranger(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="looks into a home of Linux or macOS")
def test_embedding_and_verifying_leave_nothing_and_ask_nobody(stranger: Stranger, repository: Path) -> None:
    photos = repository / "examples" / "photos"
    stranger.facerec("embed", str(photos), "-o", "out.npy")
    stranger.facerec("verify", *(str(path) for path in sorted(photos.glob("*.jpg"))[:2]))
    stranger.facerec("models", "check")
    stranger.run("-c", API.replace("PHOTO", repr(str(photos / "three-people.jpg"))))
    assert stranger.left() == []
    assert stranger.looked_up() == []


@pytest.mark.skipif(sys.platform == "win32", reason="looks into a home of Linux or macOS")
def test_an_index_and_a_table_of_people_leave_nothing_and_ask_nobody(stranger: Stranger) -> None:
    for package, extra in (("faiss", "index"), ("lancedb", "lancedb")):
        pytest.importorskip(package, reason=f"needs {package}: pip install 'facerec-cli[{extra}]'")
    stranger.run("-c", SEARCH)
    assert stranger.left() == []
    assert stranger.looked_up() == []


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="looks into a home of Linux or macOS")
@pytest.mark.parametrize("processes", ["1", "2"])
def test_training_and_exporting_leave_nothing_and_ask_nobody(
    stranger: Stranger, processes: str, repository: Path
) -> None:
    pytest.importorskip("torch", reason="needs torch: pip install 'facerec-cli[train]'")
    stranger.facerec(*TRAIN, "--processes", processes)
    assert stranger.left() == []
    if processes == "1":
        crops = str(repository / "examples" / "photos")
        stranger.facerec("export", "run/last.pt", "-o", "net.onnx", "--crops", crops)
        assert stranger.left() == []
    assert stranger.looked_up() == []


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="looks into a home of Linux or macOS")
def test_examining_the_machine_leaves_nothing(stranger: Stranger) -> None:
    stranger.facerec("doctor")
    assert stranger.left() == []
    assert stranger.looked_up() == []


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Ray does not start there without more")
def test_a_ray_that_is_started_here_asks_nobody(stranger: Stranger, repository: Path) -> None:
    pytest.importorskip("ray", reason="needs ray: pip install 'facerec-cli[ray]'")
    photos = repository / "examples" / "photos"
    words = ["embed", str(photos), "-o", "out/", "--engine", "ray", "--actors", "1", "--threads", "1"]
    with tempfile.TemporaryDirectory(dir="/tmp") as short:  # for sockets, whose names are short
        stranger.run("-m", "facerec_cli", *words, RAY_AUTH_MODE="disabled", RAY_TMPDIR=short)
        assert not list(Path(short).rglob("usage_stats.json"))
    assert stranger.left() == []
    own = {"getaddrinfo localhost", "getaddrinfo 127.0.0.1"}
    assert [name for name in stranger.looked_up() if name not in own] == []


def test_what_the_user_has_set_is_respected() -> None:
    mine = {"ORT_DISABLE_TELEMETRY": "0", "RAY_USAGE_STATS_ENABLED": "1", "HF_HUB_DISABLE_TELEMETRY": ""}
    keep_private(mine)
    assert (mine["ORT_DISABLE_TELEMETRY"], mine["RAY_USAGE_STATS_ENABLED"]) == ("0", "1")
    assert mine["HF_HUB_DISABLE_TELEMETRY"] == "1"  # empty, which the library takes for not set
    assert [switch.variable for switch in reporting(mine)] == [
        "ORT_DISABLE_TELEMETRY",
        "RAY_USAGE_STATS_ENABLED",
    ]


def test_every_switch_is_off_unless_it_is_set() -> None:
    fresh: dict[str, str] = {}
    keep_private(fresh)
    assert set(fresh) == {switch.variable for switch in SWITCHES} and reporting(fresh) == []
    assert reporting({"ORT_DISABLE_TELEMETRY": "True", "RAY_USAGE_STATS_ENABLED": "0"}) == []


def test_importing_the_package_sets_them_before_anything_else() -> None:
    clean = {name: value for name, value in os.environ.items() if name not in {s.variable for s in SWITCHES}}
    told = "os.environ['ORT_DISABLE_TELEMETRY'], 'onnxruntime' in sys.modules"
    code = f"import facerec_cli, os, sys; print({told})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=clean)
    assert done.stdout.split() == ["1", "False"], done.stderr


def test_a_runtime_that_was_imported_first_is_told_to_be_silent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[str] = []
    runtime = SimpleNamespace(disable_telemetry_events=lambda: told.append("off"))
    monkeypatch.setitem(sys.modules, "onnxruntime", runtime)  # type: ignore[arg-type]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY")
    keep_private()
    assert told == ["off"] and os.environ["ORT_DISABLE_TELEMETRY"] == "1"
    assert caplog.messages == []  # a build without telemetry leaves no device id
    left = tmp_path / "Microsoft" / "DeveloperTools" / ".onnxruntime" / "deviceid"
    left.parent.mkdir(parents=True)
    left.touch()
    assert device_id() == left
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY")
    with caplog.at_level(logging.WARNING, "facerec"):
        keep_private()
    assert "onnxruntime was imported before facerec_cli" in caplog.text
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    silence(runtime)
    assert told == ["off", "off"]  # the user wants it to report


@pytest.mark.parametrize("folder", ["benchmarks", "models", "examples", "docs", ".ci"])
def test_no_program_of_ours_imports_a_runtime_before_the_package(folder: str, repository: Path) -> None:
    early = []
    for path in sorted((repository / folder).rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            roots = {name.partition(".")[0] for name in names}
            if "facerec_cli" in roots:
                break
            early += [
                f"{path.name}: {root}" for root in roots & {"onnxruntime", "insightface", "albumentations"}
            ]
    assert early == []
