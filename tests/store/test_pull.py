"""Pulling a known pack: license first, then the archive from its server, a mirror, or not at all."""

from __future__ import annotations

import dataclasses
import functools
import http.server
import json
import shutil
import threading
import tomllib
import zipfile

import pytest

from facerec_cli.errors import ModelError, OutputError, UsageError
from facerec_cli.home import home
from facerec_cli.packs.resolve import open_pack
from facerec_cli.store import licenses as licences
from facerec_cli.store import pull
from facerec_cli.store.check import check
from facerec_cli.store.download import Patience
from facerec_cli.store.pull import pull as pull_pack

NO_WAIT = Patience(attempts=2, timeout=5, sleep=lambda seconds: None)


@pytest.fixture
def published(tiny, tmp_path, monkeypatch):
    """A server with a pack's archive, nested one folder deep as upstream's are, and the pack's manifest."""
    made = tiny.pack(tmp_path / "made", "buffalo_t", commercial=False)
    www = tmp_path / "www"
    www.mkdir()
    with zipfile.ZipFile(www / "buffalo_t.zip", "w") as archive:
        for file in ("encoder.onnx", "detector.onnx"):
            archive.write(made.folder / file, f"buffalo_t/{file}")
        archive.writestr("buffalo_t/1k3d68.onnx", b"not wanted")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=www))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    pack = dataclasses.replace(
        made,
        urls=(f"http://127.0.0.1:{server.server_port}/buffalo_t.zip",),
        license=dataclasses.replace(made.license, files=()),
    )
    monkeypatch.setattr(pull, "known_packs", lambda: {"buffalo_t": pack})
    yield dataclasses.replace(pack, folder=www)
    server.shutdown()
    server.server_close()


def test_a_pull_before_the_licence_is_accepted_is_refused(published):
    with pytest.raises(ModelError, match=r"non-commercial-research\. For research only") as caught:
        pull_pack("buffalo_t")
    assert "--accept-license" in caught.value.hint and not (home() / "packs").exists()


def test_acceptance_is_recorded_and_holds_for_these_terms_only(published):
    record = tomllib.loads(licences.accept(published).read_text())
    assert record["license"] == "non-commercial-research" and len(record["text_sha256"]) == 64
    assert record["accepted"].startswith("20") and licences.accepted_on(published) == record["accepted"]
    assert not licences.needs_acceptance(published)
    changed = dataclasses.replace(published.license, notice="Now it costs money.")
    assert licences.needs_acceptance(dataclasses.replace(published, license=changed))


def test_a_free_pack_needs_no_acceptance(tiny, tmp_path):
    assert not licences.needs_acceptance(tiny.pack(tmp_path / "free"))


def test_a_pull_registers_the_pack_and_leaves_nothing_else(published):
    licences.accept(published)
    pack = pull_pack("buffalo_t", patience=NO_WAIT)
    assert pack == open_pack("buffalo_t") and pack.folder == home() / "packs" / "buffalo_t"
    assert {p.name for p in pack.folder.iterdir()} == {"pack.toml", "encoder.onnx", "detector.onnx"}
    assert list((home() / "downloads").iterdir()) == []
    assert check("buffalo_t")[0].status == "ok"


def test_a_second_pull_uses_what_is_here(published):
    licences.accept(published)
    first = pull_pack("buffalo_t", patience=NO_WAIT)
    shutil.rmtree(published.folder)
    assert pull_pack("buffalo_t", patience=NO_WAIT) == first


def test_a_half_registered_folder_does_not_count_as_installed(published):
    licences.accept(published)
    half = home() / "packs" / "buffalo_t"
    half.mkdir(parents=True)
    (half / "encoder.onnx").write_bytes(b"half")
    with pytest.raises(ModelError, match="There is no model"):
        open_pack("pack:buffalo_t")
    pull_pack("buffalo_t", patience=NO_WAIT)
    assert open_pack("buffalo_t").encoder.embedding_size == 128


def test_other_files_than_the_published_ones_are_refused(published, tiny, tmp_path):
    licences.accept(published)
    tiny.encoder(tmp_path / "encoder.onnx", dimension=128, seed=9)
    with zipfile.ZipFile(published.folder / "buffalo_t.zip", "w") as archive:
        archive.write(tmp_path / "encoder.onnx", "encoder.onnx")
        archive.write(tmp_path / "made" / "detector.onnx", "detector.onnx")
    with pytest.raises(ModelError, match=r"encoder\.onnx in buffalo_t\.zip is not the published file"):
        pull_pack("buffalo_t", patience=NO_WAIT)
    assert not (home() / "packs" / "buffalo_t").exists()
    assert list((home() / "downloads").iterdir()) == []


def test_what_a_killed_pull_left_is_cleared(published):
    licences.accept(published)
    left = home() / "downloads" / ".facerec.buffalo_t.tmp"
    left.mkdir(parents=True)
    (left / "encoder.onnx").write_bytes(b"half")
    pull_pack("buffalo_t", patience=NO_WAIT)
    assert not left.exists()


def test_a_home_that_cannot_be_written_is_said(published, monkeypatch, tmp_path):
    licences.accept(published)
    monkeypatch.setattr(pull, "home", lambda: tmp_path / "file")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written") as caught:
        pull_pack("buffalo_t")
    assert "FACEREC_HOME" in caught.value.hint


def test_two_pulls_of_one_pack_do_not_mix(published):
    from facerec_cli.files import lock

    licences.accept(published)
    with (
        lock(home() / "downloads" / "buffalo_t"),
        pytest.raises(ModelError, match="Another facerec"),
    ):
        pull_pack("buffalo_t", patience=NO_WAIT)


def test_offline_says_what_to_do_instead(published, monkeypatch):
    licences.accept(published)
    monkeypatch.setenv("FACEREC_OFFLINE", "1")
    with pytest.raises(ModelError, match="offline") as caught:
        pull_pack("buffalo_t")
    assert published.urls[0] in caught.value.hint and "--mirror FOLDER" in caught.value.hint


@pytest.mark.parametrize("layout", ["archive", "folder"])
def test_a_mirror_folder_serves_offline(published, tmp_path, layout):
    licences.accept(published)
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    if layout == "archive":
        shutil.copy(published.folder / "buffalo_t.zip", mirror)
    else:
        shutil.copytree(tmp_path / "made", mirror / "buffalo_t")
    assert pull_pack("buffalo_t", mirror=str(mirror), offline=True).name == "buffalo_t"


def test_a_mirror_address_replaces_the_publisher(published, monkeypatch):
    licences.accept(published)
    address = published.urls[0].rpartition("/")[0]
    moved = dataclasses.replace(published, urls=("http://127.0.0.1:1/buffalo_t.zip",))
    monkeypatch.setattr(pull, "known_packs", lambda: {"buffalo_t": moved})
    monkeypatch.setenv("FACEREC_MIRROR", address + "/")
    assert pull_pack("buffalo_t", patience=NO_WAIT).name == "buffalo_t"


def test_an_empty_mirror_is_said(published, tmp_path):
    licences.accept(published)
    with pytest.raises(ModelError, match=r"neither buffalo_t\.zip nor buffalo_t/"):
        pull_pack("buffalo_t", mirror=str(tmp_path))


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [("buffalo_x", "no pack to pull called 'buffalo_x'", "buffalo_t"), ("sface", "embedded", "models show")],
)
def test_what_cannot_be_pulled_is_said(published, name, message, hint):
    with pytest.raises(ModelError) as caught:
        pull_pack(name)
    assert message in caught.value.message and hint in caught.value.hint


def test_a_pack_in_insightfaces_folder_is_not_pulled_again(published, tiny, monkeypatch, tmp_path):
    monkeypatch.setenv("INSIGHTFACE_HOME", str(tmp_path / "theirs"))
    folder = tmp_path / "theirs" / "models" / "buffalo_t"
    tiny.detector(folder / "det.onnx")
    tiny.encoder(folder / "rec.onnx")
    assert pull_pack("buffalo_t").folder == folder


def test_the_command_pulls_and_then_says_that_it_is_here(published):
    from typer.testing import CliRunner

    from facerec_cli.cli.models import app

    first = CliRunner().invoke(app, ["pull", "buffalo_t", "--accept-license"])
    assert (
        first.exit_code == 0 and first.stdout == f"pulled buffalo_t into {home() / 'packs' / 'buffalo_t'}\n"
    )
    assert "For research only." in first.stderr and "--model buffalo_t" in first.stderr
    again = CliRunner().invoke(app, ["pull", "buffalo_t"])
    assert again.exit_code == 0 and "is here already" in again.stdout
    document = json.loads(CliRunner().invoke(app, ["pull", "buffalo_t", "--json"]).stdout)
    assert document["status"] == "registered" and document["license_accepted"].startswith("20")


@pytest.mark.parametrize("mirror", ["ftp://host/packs", "s3://packs", "sftp://host/packs"])
def test_a_mirror_of_another_protocol_is_no_folder(published, mirror):
    licences.accept(published)
    with pytest.raises(UsageError, match="fetches from http:// and https:// addresses and from folders"):
        pull_pack("buffalo_t", mirror=mirror)


def test_a_mirror_folder_may_be_written_as_an_address(published, tmp_path):
    licences.accept(published)
    mirror = tmp_path / "a mirror"
    mirror.mkdir()
    shutil.copy(published.folder / "buffalo_t.zip", mirror)
    assert pull_pack("buffalo_t", mirror=mirror.as_uri(), offline=True).name == "buffalo_t"
