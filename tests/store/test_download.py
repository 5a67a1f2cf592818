"""Downloads against a server that behaves as badly as real ones do."""

from __future__ import annotations

import hashlib
import http.server
import re
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from facerec_cli.errors import ModelError, OutputError
from facerec_cli.store.download import Patience, download

CONTENT = np.random.default_rng(0).bytes(300_000)


class Server:
    """Serves one file at every path; ``plan`` says how each request in turn goes wrong."""

    def __init__(self) -> None:
        self.content = CONTENT
        self.plan: list[str] = []
        self.seen: list[SimpleNamespace] = []
        self.etag = True
        self.ranges = True
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def do_GET(self):
                asked = SimpleNamespace(path=self.path, range=self.headers.get("Range"))
                outer.seen.append(asked)
                outer.answer(self, outer.plan.pop(0) if outer.plan else "ok")

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http.server_port}"

    def answer(self, request, how: str) -> None:
        if how.isdigit():
            request.send_response(int(how))
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        if how.startswith("redirect"):
            request.send_response(302)
            request.send_header("Location", how.partition(" ")[2] or f"{self.url}/elsewhere.zip")
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        tag = '"' + hashlib.md5(self.content).hexdigest() + '"'
        wanted = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range") or "")
        fresh = request.headers.get("If-Range") == tag
        start = int(wanted[1]) if wanted and fresh and self.ranges else 0
        if start and start >= len(self.content):
            request.send_response(416)
            request.send_header("Content-Range", f"bytes */{len(self.content)}")
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        body = self.content[start:]
        request.send_response(206 if start else 200)
        if start:
            end = len(self.content) - 1
            first = start + 1 if how == "wrong range" else start
            request.send_header("Content-Range", f"bytes {first}-{end}/{len(self.content)}")
        if self.etag:
            request.send_header("ETag", tag)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if how == "cut":
            request.wfile.write(body[: len(body) // 2])
            request.wfile.flush()
            request.close_connection = True
            request.connection.shutdown(1)
        elif how == "hang":
            request.wfile.write(body[:1000])
            request.wfile.flush()
            time.sleep(1.5)
            request.close_connection = True
        else:
            request.wfile.write(body)


@pytest.fixture
def server(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    made = Server()
    yield made
    made.http.shutdown()
    made.http.server_close()


@pytest.fixture
def waits():
    return []


@pytest.fixture
def fetch(server, tmp_path, waits):
    def run(**settings):
        patience = Patience(attempts=3, timeout=settings.pop("timeout", 10.0), sleep=waits.append)
        settings.setdefault("max_bytes", 10_000_000)
        return download(f"{server.url}/a.zip", tmp_path / "a.zip", patience=patience, **settings)

    return run


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_comes_whole_with_progress(fetch, tmp_path):
    told = []
    assert fetch(progress=lambda done, total=None: told.append((done, total))).read_bytes() == CONTENT
    assert told[0] == (0, len(CONTENT)) and told[-1] == (len(CONTENT), len(CONTENT))
    assert names(tmp_path) == ["a.zip"]


def test_a_cut_connection_goes_on_where_it_stopped(fetch, server, waits):
    server.plan = ["cut", "cut", "cut", "cut", "ok"]  # more cuts than attempts, but each brought bytes
    assert fetch().read_bytes() == CONTENT
    starts = [int(asked.range[6:-1]) for asked in server.seen[1:]]
    assert starts[0] == len(CONTENT) // 2 and starts == sorted(set(starts))
    assert waits == [1.0] * 4


def test_an_interrupted_program_goes_on_with_the_next_call(fetch, server, tmp_path):
    def interrupt(done, total=None):
        if done > 100_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(progress=interrupt)
    assert names(tmp_path) == ["a.zip.part", "a.zip.part.json"]
    half = (tmp_path / "a.zip.part").stat().st_size
    assert fetch().read_bytes() == CONTENT
    assert 0 < half < len(CONTENT) and server.seen[1].range == f"bytes={half}-"
    assert names(tmp_path) == ["a.zip"]


def test_a_file_that_changed_meanwhile_is_fetched_anew(fetch, server):
    server.plan = ["cut", "503", "503", "503"]
    with pytest.raises(ModelError):
        fetch()
    server.content = CONTENT[::-1]
    assert fetch().read_bytes() == CONTENT[::-1]


@pytest.mark.parametrize("lacks", ["etag", "ranges"])
def test_a_server_that_cannot_resume_is_asked_for_all_again(fetch, server, lacks):
    setattr(server, lacks, False)
    server.plan = ["cut", "ok"]
    assert fetch().read_bytes() == CONTENT


def test_a_server_that_always_cuts_at_the_same_place_is_given_up(fetch, server, tmp_path):
    server.etag = False
    server.plan = ["cut"] * 20
    with pytest.raises(ModelError, match="connection ended after 150,000 bytes") as caught:
        fetch()
    assert "run the same command again" in caught.value.hint and "--mirror" in caught.value.hint
    assert not (tmp_path / "a.zip").exists()


def test_a_wrong_range_is_not_glued_on(fetch, server):
    server.plan = ["cut", "wrong range", "ok"]
    assert fetch().read_bytes() == CONTENT


def test_all_bytes_here_already_is_the_end(fetch, server, tmp_path):
    server.plan = ["cut", "503", "503", "503"]
    with pytest.raises(ModelError):
        fetch()
    (tmp_path / "a.zip.part").write_bytes(CONTENT)
    assert fetch().read_bytes() == CONTENT
    assert server.seen[-1].range == f"bytes={len(CONTENT)}-"


def test_passing_faults_are_waited_out_with_growing_pauses(fetch, server, waits):
    server.plan = ["503", "429", "ok"]
    assert fetch().read_bytes() == CONTENT
    assert waits == [1.0, 2.0]


@pytest.mark.parametrize("code", ["404", "403", "410"])
def test_a_final_answer_is_not_tried_again(fetch, server, code):
    server.plan = [code]
    with pytest.raises(ModelError, match=f"answered {code}") as caught:
        fetch()
    assert len(server.seen) == 1 and "--mirror" in caught.value.hint


def test_redirects_are_followed_and_keep_the_range(fetch, server):
    server.plan = ["redirect", "cut", "redirect", "ok"]
    assert fetch().read_bytes() == CONTENT
    assert [asked.path for asked in server.seen] == ["/a.zip", "/elsewhere.zip"] * 2
    assert server.seen[3].range == f"bytes={len(CONTENT) // 2}-"


def test_a_server_that_falls_silent_is_left(fetch, server):
    server.plan = ["hang", "ok"]
    assert fetch(timeout=0.3).read_bytes() == CONTENT


def test_nobody_there_is_said(tmp_path, server):
    server.http.shutdown()
    server.http.server_close()
    with pytest.raises(ModelError, match="could not be fetched"):
        download(
            f"{server.url}/a.zip",
            tmp_path / "a.zip",
            max_bytes=10,
            patience=Patience(attempts=2, timeout=2, sleep=lambda s: None),
        )


def test_a_file_that_is_too_large_is_refused_before_it_is_fetched(fetch, server, tmp_path):
    with pytest.raises(ModelError, match="larger than 1,000 bytes"):
        fetch(max_bytes=1000)
    assert names(tmp_path) == []


def test_a_full_disk_is_said(fetch, monkeypatch, tmp_path):
    from facerec_cli.store import download as module

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "_receive", full)
    with pytest.raises(OutputError, match="No space left") as caught:
        fetch()
    assert "FACEREC_HOME" in caught.value.hint


def test_a_damaged_note_means_starting_over(fetch, server, tmp_path):
    (tmp_path / "a.zip.part").write_bytes(b"rubbish")
    (tmp_path / "a.zip.part.json").write_text("[1]")
    assert fetch().read_bytes() == CONTENT
    assert server.seen[0].range is None


def test_a_server_that_never_answers_well_leaves_nothing_to_go_on_with(fetch, server, tmp_path):
    server.plan = ["500"] * 3
    with pytest.raises(ModelError, match="the server answered 500") as caught:
        fetch()
    assert (
        "bytes are kept" not in caught.value.hint and "run the same command again later" in caught.value.hint
    )
    assert names(tmp_path) == []


def test_bytes_that_cannot_be_gone_on_with_are_not_kept(fetch, server, tmp_path):
    """Without a validator nothing would say that the rest belongs to them."""
    server.etag, server.plan = False, ["cut"] * 9
    with pytest.raises(ModelError, match="could not be fetched") as caught:
        fetch()
    assert "Nothing of it could be kept" in caught.value.hint and names(tmp_path) == []


@pytest.mark.parametrize("code", ["404", "403"])
def test_a_refusal_leaves_no_empty_file(fetch, server, tmp_path, code):
    server.plan = [code]
    with pytest.raises(ModelError, match=code):
        fetch()
    assert names(tmp_path) == []


def test_a_circle_of_redirects_is_told_in_words_of_ours(fetch, server, tmp_path):
    server.plan = ["redirect"] * 40
    with pytest.raises(ModelError, match="sends on from one address to the next without end") as caught:
        fetch()
    assert "\n" not in str(caught.value) and "HTTP server returned" not in str(caught.value)
    assert names(tmp_path) == []


@pytest.mark.parametrize("place", ["ftp://127.0.0.1/a.zip", "file:///etc/hostname"])
def test_a_redirect_leads_to_the_web_only(fetch, server, tmp_path, place):
    server.plan = [f"redirect {place}"]
    with pytest.raises(ModelError, match=f"sends on to {place}, which is not an address"):
        fetch()
    assert names(tmp_path) == []
