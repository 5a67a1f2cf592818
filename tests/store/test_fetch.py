"""The files of a pack from their publishers: one, two, a detector alone, and what goes wrong."""

from __future__ import annotations

import dataclasses
import functools
import http.server
import shutil
import threading

import pytest
from typer.testing import CliRunner

from facerec_cli.cli.models import app
from facerec_cli.errors import ModelError
from facerec_cli.home import home
from facerec_cli.packs import detectors, known
from facerec_cli.packs.manifest_toml import write_manifest
from facerec_cli.packs.published import Download
from facerec_cli.packs.resolve import open_pack
from facerec_cli.store import licenses, pull
from facerec_cli.store.check import check
from facerec_cli.store.download import Patience
from facerec_cli.store.install import register
from facerec_cli.store.pull import pull as pull_pack
from facerec_cli.threshold import Threshold

NO_WAIT = Patience(attempts=2, timeout=5, sleep=lambda seconds: None)


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def publisher(monkeypatch):
    """Serves folders; each call is another publisher."""
    servers = []
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)

    def serve(folder):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def catalogue(monkeypatch):
    """Makes a manifest one that can be pulled."""

    def enter(pack):
        pack = dataclasses.replace(pack, license=dataclasses.replace(pack.license, files=()))
        monkeypatch.setattr(pull, "known_packs", lambda: {pack.name: pack})
        return pack

    return enter


@pytest.fixture
def made(tiny, tmp_path):
    return tiny.pack(tmp_path / "made", "published")


@pytest.fixture
def single(made, publisher, catalogue):
    """A recognition network in one file; the default pack's detector goes with it."""
    item = Download("encoder.onnx", (f"{publisher(made.folder)}/encoder.onnx",))
    return catalogue(dataclasses.replace(made, detector=None, downloads=(item,)))


def test_one_file_is_pulled_checked_and_registered(single):
    pack = pull_pack("published", patience=NO_WAIT)
    assert pack == open_pack("published") and pack.downloads == single.downloads
    assert {p.name for p in pack.folder.iterdir()} == {"pack.toml", "encoder.onnx"}
    assert list((home() / "downloads").iterdir()) == [] and check("published")[0].status == "ok"


def test_two_files_come_from_two_publishers(made, publisher, catalogue, tmp_path):
    places = [tmp_path / "first", tmp_path / "second"]
    addresses = []
    for place, file in zip(places, ("encoder.onnx", "detector.onnx"), strict=True):
        place.mkdir()
        shutil.copy(made.folder / file, place)
        addresses.append(Download(file, (f"{publisher(place)}/{file}",), (place / file).stat().st_size))
    catalogue(dataclasses.replace(made, downloads=tuple(addresses)))
    pack = pull_pack("published", patience=NO_WAIT)
    assert {p.name for p in pack.folder.iterdir()} == {"pack.toml", "encoder.onnx", "detector.onnx"}
    assert check("published")[0].status == "ok"


def test_a_detector_alone_goes_with_the_default_recognition_network(made, publisher, catalogue, monkeypatch):
    monkeypatch.setattr(pull, "prove_files", lambda pack, files: None)  # SFace is proved elsewhere
    item = Download("detector.onnx", (f"{publisher(made.folder)}/detector.onnx",))
    catalogue(dataclasses.replace(made, encoder=open_pack("sface").encoder, downloads=(item,)))
    pack = pull_pack("published", patience=NO_WAIT)
    assert pack.encoder == open_pack("sface").encoder and pack.detector.sha256 == made.detector.sha256
    assert {p.name for p in pack.folder.iterdir()} == {"pack.toml", "sface.onnx", "detector.onnx"}


def test_the_second_address_serves_where_the_first_has_moved_or_has_another_file(
    made, publisher, catalogue, tmp_path, tiny
):
    other = tmp_path / "other"
    tiny.encoder(other / "encoder.onnx", dimension=128, seed=5)
    right = f"{publisher(made.folder)}/encoder.onnx"
    urls = (f"{publisher(tmp_path)}/gone.onnx", f"{publisher(other)}/encoder.onnx", right)
    catalogue(dataclasses.replace(made, detector=None, downloads=(Download("encoder.onnx", urls),)))
    assert pull_pack("published", patience=NO_WAIT).encoder.sha256 == made.encoder.sha256
    assert list((home() / "downloads").iterdir()) == []


def test_another_file_than_the_published_one_is_refused(single, made, tiny):
    tiny.encoder(made.folder / "encoder.onnx", dimension=128, seed=9)
    with pytest.raises(
        ModelError, match=r"encoder\.onnx is not the published file: its sha256 is "
    ) as caught:
        pull_pack("published", patience=NO_WAIT)
    assert "--mirror" in caught.value.hint and not (home() / "packs" / "published").exists()
    assert list((home() / "downloads").iterdir()) == []


def test_a_longer_file_than_the_published_one_is_refused_while_it_comes(single, catalogue):
    item = dataclasses.replace(single.downloads[0], size=100)
    catalogue(dataclasses.replace(single, downloads=(item,)))
    with pytest.raises(ModelError, match="larger than 100 bytes"):
        pull_pack("published", patience=NO_WAIT)
    assert list((home() / "downloads").iterdir()) == []


def test_a_moved_address_is_said_with_what_to_do(single, made, tmp_path):
    kept = tmp_path / "stick"
    kept.mkdir()
    (made.folder / "encoder.onnx").rename(kept / "encoder.onnx")
    with pytest.raises(
        ModelError, match=r"encoder\.onnx could not be fetched: the server answered 404"
    ) as caught:
        pull_pack("published", patience=NO_WAIT)
    assert "If the pack has moved" in caught.value.hint and "--mirror URL_OR_FOLDER" in caught.value.hint
    assert pull_pack("published", mirror=str(kept), offline=True).name == "published"


def test_a_mirror_address_has_the_file_under_its_own_name(single, catalogue, publisher, made):
    dead = dataclasses.replace(single.downloads[0], urls=("http://127.0.0.1:1/encoder.onnx",))
    catalogue(dataclasses.replace(single, downloads=(dead,)))
    assert pull_pack("published", mirror=publisher(made.folder) + "/", patience=NO_WAIT).name == "published"


def test_an_empty_mirror_and_offline_say_what_is_needed(single, tmp_path):
    with pytest.raises(ModelError, match=r"has neither encoder\.onnx nor published/ with encoder\.onnx"):
        pull_pack("published", mirror=str(tmp_path))
    with pytest.raises(ModelError, match="offline") as caught:
        pull_pack("published", offline=True)
    assert f"Fetch {single.downloads[0].urls[0]} where you can, put it into a folder" in caught.value.hint


def test_the_command_asks_for_agreement_where_the_weights_are_not_free(made, publisher, catalogue):
    item = Download("encoder.onnx", (f"{publisher(made.folder)}/encoder.onnx",))
    terms = dataclasses.replace(
        made.license, weights="MIT, research data", commercial=False, notice="Research."
    )
    catalogue(dataclasses.replace(made, detector=None, downloads=(item,), license=terms))
    refused = CliRunner().invoke(app, ["pull", "published"])
    assert refused.exit_code == 4 and "--accept-license" in refused.stderr
    done = CliRunner().invoke(app, ["pull", "published", "--accept-license"])
    assert done.exit_code == 0 and "Research." in done.stderr
    assert licenses.accepted_on(open_pack("published"))
    shown = CliRunner().invoke(app, ["show", "published"], env={"COLUMNS": "80"}).stdout
    assert (
        "not measured here" in shown
        and "MIT, research data" in shown
        and item.urls[0] in shown.replace("\n", "")
    )


def test_a_folder_of_insightfaces_is_not_taken_for_another_publishers_pack(tiny, monkeypatch, tmp_path):
    monkeypatch.setenv("INSIGHTFACE_HOME", str(tmp_path / "theirs"))
    folder = tmp_path / "theirs" / "models" / "auraface"
    tiny.detector(folder / "det.onnx")
    tiny.encoder(folder / "rec.onnx")
    assert known.known_packs()["auraface"].license.commercial
    assert not open_pack("auraface").license.commercial and open_pack("auraface").license.weights == "unknown"


def test_a_pulled_detector_goes_with_another_network_under_its_own_terms(tiny, tmp_path, monkeypatch):
    theirs = tiny.pack(tmp_path / "theirs", "pulled", commercial=False, seed=3)
    monkeypatch.setattr(detectors, "known_packs", lambda: {"pulled": theirs})
    register(theirs.folder)
    mine = tiny.pack(tmp_path / "mine", "mine")
    write_manifest(dataclasses.replace(mine, threshold=Threshold(0.3, 0.001, "pairs", 3000)))
    pack = register(mine.folder, detector="pulled", force=True)
    assert pack.detector.sha256 == theirs.detector.sha256 != mine.detector.sha256
    assert pack.license.weights == "CC0-1.0; detector non-commercial-research" and pack.threshold is None
    assert not pack.license.commercial and "is that of pulled" in pack.license.notice
    monkeypatch.setattr(detectors, "known_packs", dict)
    assert "detector unknown" in register(mine.folder, detector="pulled", force=True).license.weights
