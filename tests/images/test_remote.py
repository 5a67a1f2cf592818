"""Photos at URLs: which names are URLs, what is found below one, and every fault with its name."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from facerec_cli.cli.program import build_app
from facerec_cli.errors import InputError, ResourceError
from facerec_cli.images import ImageError, find_images, read_image, remote
from facerec_cli.images.remote import is_url, list_url, read_url

pytest.importorskip("pyarrow", reason="needs pyarrow: pip install 'facerec-cli[cloud]'")
PNG = cv2.imencode(".png", np.full((10, 12, 3), 7, np.uint8))[1].tobytes()


@pytest.fixture
def memory() -> Iterator[Any]:
    files = pytest.importorskip("fsspec", reason="needs fsspec").filesystem("memory")
    files.pipe(
        {"/album/b.png": PNG, "/album/a/c.PNG": PNG, "/album/.hidden.png": PNG, "/album/notes.txt": b""}
    )
    yield files
    files.rm("/album", recursive=True)


@pytest.mark.parametrize("name", ["s3://bucket/a.jpg", "memory://a", "abfs+x://a", "HTTP://a"])
def test_urls(name: str) -> None:
    assert is_url(name)


@pytest.mark.parametrize("name", ["C:\\photos", "a/b://c", "://a", "photo.jpg", "s3:/bucket", "1s://a"])
def test_paths(name: str) -> None:
    assert not is_url(name)


def test_photos_below_a_url_are_found_in_order(memory: Any, tmp_path: Path) -> None:
    below = ["memory://album/a/c.PNG", "memory://album/b.png"]
    assert find_images(["memory://album"]) == find_images(["memory://album/"]) == below
    assert find_images(["memory://album/gone.jpg", "memory://nothing"]) == [
        "memory://album/gone.jpg", "memory://nothing",
    ]  # fmt: skip
    listed = tmp_path / "list.txt"
    listed.write_text("memory://album/b.png\n  memory://album/a  \n")
    assert find_images([listed]) == below[::-1]


def test_a_local_url_reads_any_name(tmp_path: Path) -> None:
    folder = tmp_path / "fü nf 100%"
    folder.mkdir()
    (folder / "a b.png").write_bytes(PNG)
    assert find_images([f"file://{folder}"]) == [f"file://{folder}/a b.png"]
    assert read_image(f"file://{folder}/a b.png").shape == (10, 12, 3)


@pytest.mark.parametrize(
    ("name", "status", "reason"),
    [
        ("memory://album/gone.png", "missing", "no such file"),
        ("memory://album/notes.txt", "empty", "the file is empty"),
    ],
)
def test_statuses_are_those_of_files(memory: Any, name: str, status: str, reason: str) -> None:
    with pytest.raises(ImageError) as caught:
        read_image(name)
    assert (caught.value.status, caught.value.reason) == (status, reason)


def test_a_file_beyond_the_limit_is_not_fetched(memory: Any) -> None:
    assert read_url("memory://album/b.png", len(PNG)) == PNG
    assert read_url("memory://album/b.png", len(PNG) - 1) is None


def test_an_unknown_protocol_is_a_fault_of_the_command() -> None:
    with pytest.raises(InputError, match=r"nosuch://a/b\.png cannot be opened"):
        read_image("nosuch://a/b.png")


class Flaky(http.server.SimpleHTTPRequestHandler):
    """Fails the first two requests for every file."""

    seen: ClassVar[dict[str, int]] = {}

    def do_GET(self) -> None:
        self.seen[self.path] = self.seen.get(self.path, 0) + 1
        if self.seen[self.path] <= 2 and "flaky" in self.path:
            self.send_error(503)
        else:
            super().do_GET()

    def log_message(self, *arguments: object) -> None: ...


def test_a_web_server_that_stumbles_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("aiohttp", reason="needs aiohttp: pip install 'facerec-cli[cloud]'")
    monkeypatch.setattr(remote, "_PAUSE", 0)
    for name in ("flaky.png", "a.png"):
        (tmp_path / name).write_bytes(PNG)
    handler = functools.partial(Flaky, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        root = f"http://127.0.0.1:{server.server_port}"
        assert read_image(f"{root}/a.png").shape == (10, 12, 3)
        assert read_image(f"{root}/flaky.png").shape == (10, 12, 3)
        with pytest.raises(ImageError) as caught:
            read_image(f"{root}/gone.png")
        assert caught.value.status == "missing"
        server.shutdown()


class Away:
    """A file system of a place that cannot be reached, as pyarrow's tell of it."""

    def __init__(self, fault: Exception) -> None:
        self.fault = fault

    def get_file_info(self, path: object) -> None:
        raise self.fault

    open_input_file = get_file_info
    type_name = "s3"


NOT_THERE = OSError("When resolving region: AWS Error NETWORK_CONNECTION: Could not resolve hostname")
DENIED = OSError("When getting information: AWS Error ACCESS_DENIED during HeadObject operation")


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Exception, bool], list[str]]]:
    """Make every bucket one that answers with a fault, when it is opened or later; counts the openings."""
    opened: list[str] = []

    def arrange(fault: Exception, at_once: bool) -> list[str]:
        def open_native(root: str) -> Away:
            opened.append(root)
            if at_once:
                raise fault
            return Away(fault)

        monkeypatch.setattr(remote, "_native", open_native)
        return opened

    monkeypatch.setattr(remote, "_unreached", {})
    monkeypatch.setattr(remote, "_PAUSE", 0)
    yield arrange


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize(("fault", "kind"), [(NOT_THERE, ResourceError), (DENIED, InputError)])
def test_a_store_that_does_not_answer_is_told_apart_from_one_that_refuses(
    store: Callable[[Exception, bool], list[str]], fault: Exception, kind: type[Exception], at_once: bool
) -> None:
    store(fault, at_once)
    with pytest.raises(kind, match="cannot be reached"):
        list_url("s3://bucket/photos/")


@pytest.mark.parametrize(
    "words", [["s3://bucket/photos/", "-o", "out.npy"], ["PHOTO", "-o", "s3://bucket/faces/"]]
)
def test_embed_ends_with_a_code_of_the_family_where_a_store_does_not_answer(
    store: Callable[[Exception, bool], list[str]], words: list[str], tmp_path: Path
) -> None:
    store(NOT_THERE, True)
    (tmp_path / "a.png").write_bytes(PNG)
    named = [
        word.replace("PHOTO", str(tmp_path)).replace("out.npy", str(tmp_path / "out.npy")) for word in words
    ]
    done = CliRunner().invoke(build_app(["embed"]), ["embed", *named])
    assert done.exit_code == 9 and "s3://bucket cannot be reached" in done.stderr
    assert "HTTPS_PROXY" in done.stderr and sorted(path.name for path in tmp_path.iterdir()) == ["a.png"]


def test_a_photo_of_a_store_that_does_not_answer_is_a_row_and_the_store_is_not_asked_for_each(
    store: Callable[[Exception, bool], list[str]],
) -> None:
    opened = store(NOT_THERE, True)
    for name in "abc":
        with pytest.raises(ImageError, match="cannot be fetched") as caught:
            read_image(f"s3://bucket/{name}.png")
        assert caught.value.status == "unreadable"
    assert opened == ["s3://bucket"]


def test_a_place_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_TIMEOUT", 0.01)
    with pytest.raises(ResourceError, match=r"s3://b cannot be reached: no answer within 0\.01 seconds"):
        remote._soon("s3://b", threading.Event().wait)
