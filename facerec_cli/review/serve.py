"""The review page from this machine to its own browser, for libraries too large for one file.

The standard library's server is enough for a page, its pictures and one thing that is sent back, and a web
framework would be one more thing to install and to trust with photos of people. It listens on the loopback
address alone. Another user or page of this machine does not get in either: every address begins with a
random token, and a request that was sent to another name than this one's (DNS rebinding) or comes from
another page is refused.
"""

from __future__ import annotations

import hmac
import re
import secrets
import threading
from dataclasses import replace
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from facerec_cli.errors import FacerecError, OutputError, UsageError
from facerec_cli.review.decisions import MOST_BYTES, Decisions, parse_decisions
from facerec_cli.review.page import ReviewPage, page_parts

HOST = "127.0.0.1"
_FACE = re.compile(r"face/(\d{1,9})")
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_PATIENCE = 30  # seconds for a request that does not come


class ReviewServer:
    """A page that saves each decision at once.

    Args:
        page: What is on it; its decisions are where it begins.
        saved: The file of decisions.
        port: Where it listens; 0 takes one that is free.

    Attributes:
        decisions: What was saved last.

    Raises:
        UsageError: The port is taken.
    """

    def __init__(self, page: ReviewPage, saved: Path, *, port: int = 0) -> None:
        self.page, self.saved = page, saved
        self.decisions: Decisions = page.decisions
        self.token = secrets.token_urlsafe(24)
        self._changing = threading.Lock()
        self.picture = lru_cache(4096)(self._picture)
        self._reading = threading.Lock()  # a photo is decoded once, however many of its faces are asked for
        server = self

        class Handler(_ReviewHandler):
            review = server

        try:
            self._http = ThreadingHTTPServer((HOST, port), Handler)
        except (OSError, OverflowError) as fault:
            raise UsageError(
                f"Port {port} cannot be listened on: {getattr(fault, 'strerror', None) or fault}.",
                hint="Leave --port out to take a free one.",
            ) from fault
        self._http.daemon_threads = True
        self.port = int(self._http.server_address[1])

    @property
    def address(self) -> str:
        """What to open in the browser."""
        return f"http://{HOST}:{self.port}/{self.token}/"

    def run(self) -> None:
        """Answer until somebody interrupts it, or calls :meth:`stop`."""
        try:
            self._http.serve_forever(poll_interval=0.2)
        finally:
            self._http.server_close()

    def stop(self) -> None:
        """End :meth:`run`, from another thread."""
        self._http.shutdown()

    def save(self, body: bytes) -> None:
        """Check decisions that a page has sent, and write them.

        Raises:
            FacerecError: They are none, are about something else, or cannot be written.
        """
        made = parse_decisions(body, str(self.saved))
        made.refuse_page(self.page.kind)
        with self._changing:
            made.write(self.saved)
            self.decisions = made

    def _picture(self, face: int) -> bytes | None:
        with self._reading:
            return self.page.pictures(face)


class _ReviewHandler(BaseHTTPRequestHandler):
    review: ReviewServer
    timeout = _PATIENCE
    server_version, sys_version = "facerec", ""
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        name = self._asked()
        face = _FACE.fullmatch(name or "")
        if name == "":
            page = replace(self.review.page, decisions=self.review.decisions)
            self._answer(200, "".join(page_parts(page, served=True)).encode(), "text/html; charset=utf-8")
        elif face is not None and int(face[1]) < len(self.review.page.faces):
            picture = self.review.picture(int(face[1]))
            self._answer(200 if picture else 404, picture or b"", "image/jpeg")
        else:
            self._refuse(404)

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if self._asked() != "decisions" or self.headers.get("Origin", self._own()) != self._own():
            self._refuse(404)
        elif not length.isascii() or not length.isdigit() or not 0 < int(length) <= MOST_BYTES:
            self._refuse(413)
        else:
            try:
                self.review.save(self.rfile.read(int(length)))
            except FacerecError as fault:
                code = 507 if isinstance(fault, OutputError) else 400
                self._answer(code, str(fault).encode(errors="replace"), "text/plain; charset=utf-8")
            else:
                self._answer(200, b"saved", "text/plain; charset=utf-8")

    def _own(self) -> str:
        return f"http://{HOST}:{self.review.port}"

    def _asked(self) -> str | None:
        """What is asked for, below the token; None where it is not for us to answer."""
        _, token, *rest = [*self.path.split("/", 2), ""]
        fits = hmac.compare_digest(token.encode(errors="replace"), self.review.token.encode())
        named = self.headers.get("Host", "") == f"{HOST}:{self.review.port}"
        return rest[0] if fits and named and self.path.count("/") >= 2 else None

    def _refuse(self, code: int) -> None:
        self.close_connection = True  # what it has sent is not read
        self._answer(code, b"", "text/plain; charset=utf-8")

    def _answer(self, code: int, body: bytes, kind: str) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is told of requests: their addresses have the token."""
