"""The served page: who gets in, what is saved at once, and what is refused."""

from __future__ import annotations

import http.client
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from facerec_cli.errors import UsageError
from facerec_cli.review.decisions import read_decisions
from facerec_cli.review.serve import ReviewServer
from tests.chromium import Chromium, find_chromium
from tests.review.made_page import KEYS, PATHS, made_page


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ReviewServer]:
    one = ReviewServer(made_page(), tmp_path / "saved.json")
    thread = threading.Thread(target=one.run)
    thread.start()
    yield one
    one.stop()
    thread.join(10)
    assert not thread.is_alive()


def _ask(
    server: ReviewServer, path: str, body: bytes | None = None, method: str = "", **headers: str
) -> tuple[int, bytes, http.client.HTTPMessage]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method or ("GET" if body is None else "POST"), path, body, given)
    answer = connection.getresponse()
    found = answer.status, answer.read(), answer.headers
    connection.close()
    return found


def _decisions() -> bytes:
    faces = [{"path": PATHS[at], "face": 0, "key": KEYS[at]} for at in (5, 10)]
    made = {"format": "facerec decisions", "version": 1, "page": "clusters"}
    return json.dumps({**made, "decisions": [{"kind": "same", "faces": faces}]}).encode()


def test_nobody_gets_in_without_the_token_and_the_name(server: ReviewServer) -> None:
    inside = f"/{server.token}/"
    assert server.address == f"http://127.0.0.1:{server.port}{inside}"
    assert _ask(server, inside)[0] == 200
    for path in (
        "/",
        "/face/0",
        f"/{server.token}",
        f"/{server.token}x/",
        f"/{server.token[:-1]}/",
        "//",
        "/%00/",
    ):
        status, body, _ = _ask(server, path)
        assert (status, body) == (404, b"")
    for host in ("evil.example", f"localhost.evil:{server.port}", ""):
        assert _ask(server, inside, Host=host)[0] == 404
    assert _ask(server, f"{inside}../../etc/passwd")[0] == 404
    assert _ask(server, f"{inside}decisions", _decisions(), Origin="http://evil.example")[0] == 404
    assert _ask(server, "/x/decisions", _decisions())[0] == 404
    assert not server.saved.exists()
    assert _ask(server, inside, method="PUT", body=b"x")[0] == 501


def test_the_page_and_its_pictures(server: ReviewServer) -> None:
    status, body, headers = _ask(server, f"/{server.token}/")
    assert status == 200
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Frame-Options"] == "DENY"
    assert b'id="pictures">[]<' in body
    status, picture, headers = _ask(server, f"/{server.token}/face/0")
    assert (status, headers["Content-Type"], picture[:2]) == (200, "image/jpeg", b"\xff\xd8")
    for face in ("9", "14", "99999999", "-1", "x", "0/"):
        assert _ask(server, f"/{server.token}/face/{face}")[0] == 404


def test_decisions_are_checked_and_saved_at_once(server: ReviewServer, tmp_path: Path) -> None:
    place = f"/{server.token}/decisions"
    status, body, _ = _ask(server, place, b"{}")
    assert status == 400
    assert b"no file of decisions" in body
    other = _decisions().replace(b'"clusters"', b'"gallery"')
    assert _ask(server, place, other)[0] == 400
    assert not server.saved.exists()
    assert _ask(server, place, _decisions())[:2] == (200, b"saved")
    assert len(read_decisions(tmp_path / "saved.json")) == len(server.decisions) == 1
    for length in ("", "-1", "1e3", str(1 << 40), "0"):
        assert _ask(server, place, b"", method="POST", Content_Length=length)[0] == 413
    text = _ask(server, f"/{server.token}/")[1]  # the page goes on from there
    assert b'"decisions":[{"kind":"same"' in text


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    server = ReviewServer(made_page(), tmp_path / "closed" / "saved.json")
    thread = threading.Thread(target=server.run)
    thread.start()
    status, body, _ = _ask(server, f"/{server.token}/decisions", _decisions())
    server.stop()
    thread.join(10)
    assert status == 507
    assert b"cannot be written" in body


def test_a_port_that_is_taken_is_told(server: ReviewServer, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"Port {server.port} cannot be listened on"):
        ReviewServer(replace(made_page()), tmp_path / "other.json", port=server.port)


def test_keys_in_the_browser_reach_the_disk(server: ReviewServer, tmp_path: Path) -> None:
    if find_chromium() is None:
        pytest.skip("needs Chromium, to see what the page does")
    with Chromium(tmp_path / "browser") as browser:
        browser.open(server.address)
        assert browser.wait_for("document.querySelector('.shown img').naturalWidth") == 112
        browser.press("y", "n")
        browser.wait_for("document.getElementById('save').title === 'Everything is saved'")
        kinds = [one.kind for one in read_decisions(server.saved).items]
        assert sorted(kinds) == ["merge", "not_same", "same"]
        browser.open(server.address)
        assert "3 decisions" in browser.run("document.getElementById('summary').textContent")
        own = f"http://127.0.0.1:{server.port}/"
        asked = [one for one in browser.requests if not one.startswith(("data:", "blob:"))]
        assert all(one.startswith(own) for one in asked)
        assert all("404" in fault for fault in browser.faults)  # it asks for an icon
