"""Fetching one file over HTTP(S): resumed where it broke off, retried, never half there.

Bytes collect in ``NAME.part``; ``NAME.part.json`` keeps which address they came from and the validator
(ETag or Last-Modified) that tells whether the server still has the same file. Proxies are taken from the
environment, as urllib does.

By hand with the standard library: httpx and tenacity would be two base dependencies for the loop that tries
again, and neither goes on with a file only where its validator says that it is still the same.
"""

from __future__ import annotations

import http.client
import json
import logging
import re
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facerec_cli._version import __version__
from facerec_cli.errors import ModelError
from facerec_cli.files import output_error, write_file
from facerec_cli.progress import Progress, silent

_CHUNK = 1 << 16
_BROKEN = (
    urllib.error.URLError,
    http.client.HTTPException,
    TimeoutError,
    ConnectionError,
    ssl.SSLError,
)
_PASSING = {408, 425, 429, 500, 502, 503, 504}

log = logging.getLogger("facerec")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a download tries.

    Attributes:
        attempts: Tries in a row that bring no new byte before it gives up.
        timeout: Seconds without an answer before a try ends.
        pause: Seconds before the second try; doubled each time, up to 30.
        sleep: How to wait.
    """

    attempts: int = 5
    timeout: float = 30.0
    pause: float = 1.0
    sleep: Callable[[float], None] = time.sleep


def download(
    url: str,
    target: Path,
    *,
    max_bytes: int,
    progress: Progress = silent,
    patience: Patience | None = None,
) -> Path:
    """Fetch ``url`` into ``target``, going on where an earlier call was interrupted.

    Args:
        url: http(s) address; redirects are followed.
        target: The file to make; it appears when it is whole.
        max_bytes: A larger file is refused.
        progress: Told the bytes so far and in all.
        patience: When to give up.

    Raises:
        ModelError: The file is not there, too large, or could not be fetched; what came so far is kept.
        OutputError: ``target`` cannot be written.
    """
    part = _Part(target, url, max_bytes, progress)
    try:
        try:
            _fetch(part, patience or Patience())
        finally:
            part.drop_if_of_no_use()
    except OSError as fault:
        hint = "Or set FACEREC_HOME to a folder on another disk, and run it again."
        raise output_error(target, fault, hint=hint) from fault
    return target


def _fetch(part: _Part, patience: Patience) -> None:
    """Try until the file is whole, or no try has brought anything new for too long."""
    furthest, idle, pause = part.size, 0, patience.pause
    while True:
        try:
            if _continue(part, patience.timeout):
                part.finish()
                return
            reason = f"the connection ended after {part.size:,} bytes"
        except urllib.error.HTTPError as fault:
            if fault.code not in _PASSING:
                raise _gone(part.url, fault) from fault
            reason = f"the server answered {fault.code} {fault.reason}"
        except _BROKEN as fault:
            reason = str(getattr(fault, "reason", "") or fault or type(fault).__name__)
        if part.size > furthest:
            furthest, idle, pause = part.size, 0, patience.pause
        idle += 1
        if idle >= patience.attempts:
            raise ModelError(
                f"{part.url} could not be fetched: {reason}.",
                hint=f"{part.kept()} Without a way to that server: --mirror URL_OR_FOLDER.",
            )
        log.info("%s: %s; trying again in %.0f s", part.url, reason, pause)
        patience.sleep(pause)
        pause = min(2 * pause, 30.0)


class _SameKind(urllib.request.HTTPRedirectHandler):
    """Follows redirects to other web addresses only; urllib would also follow one to FTP."""

    def redirect_request(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        if not newurl.lower().startswith(("http://", "https://")):
            raise urllib.error.HTTPError(newurl, code, "", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class _Part:
    """The bytes so far, and what they are the beginning of.

    Args:
        target: Where the whole file goes.
        url: Where it is fetched from.
        max_bytes: A larger file is refused.
        progress: Told the bytes so far and in all.
    """

    def __init__(self, target: Path, url: str, max_bytes: int, progress: Progress) -> None:
        self.target, self.url, self.max_bytes, self.progress = target, url, max_bytes, progress
        self.path = target.with_name(target.name + ".part")
        self.note = target.with_name(target.name + ".part.json")
        try:
            known = json.loads(self.note.read_text())
            self.validator = str(known["validator"]) if known["url"] == url else ""
        except (OSError, ValueError, KeyError, TypeError):
            self.validator = ""

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def restart(self, validator: str) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_bytes(b"")
        self.validator = validator
        write_file(self.note, json.dumps({"url": self.url, "validator": validator}).encode())

    @property
    def can_go_on(self) -> bool:
        """Whether there are bytes that a later call can go on with."""
        return bool(self.validator) and self.size > 0

    def kept(self) -> str:
        """What is left for a later call, as a sentence."""
        if self.can_go_on:
            return f"{self.size:,} bytes are kept; run the same command again to go on."
        return "Nothing of it could be kept; run the same command again later."

    def drop_if_of_no_use(self) -> None:
        """Leave nothing behind that no later call would use."""
        if not self.can_go_on:
            self.path.unlink(missing_ok=True)
            self.note.unlink(missing_ok=True)

    def finish(self) -> None:
        self.path.replace(self.target)
        self.note.unlink(missing_ok=True)


def _continue(part: _Part, timeout: float) -> bool:
    """One request; returns whether the file is whole now."""
    if not part.validator:  # nothing would say that the rest belongs to what we have
        part.restart("")
    start = part.size
    headers = {"User-Agent": f"facerec/{__version__}", "Accept-Encoding": "identity"}
    if start:
        headers |= {"Range": f"bytes={start}-", "If-Range": part.validator}
    request = urllib.request.Request(part.url, headers=headers)
    try:
        response = urllib.request.build_opener(_SameKind).open(request, timeout=timeout)
    except urllib.error.HTTPError as fault:
        if fault.code == 416 and start:  # nothing after what we have: either all is here, or it changed
            whole = re.fullmatch(rf"bytes \*/{start}", fault.headers.get("Content-Range", ""))
            if not whole:
                part.restart("")
            return bool(whole)
        raise
    with response:
        if response.status == 206:
            match = re.match(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
            if not match or int(match[1]) != start:
                part.restart("")
                return False
            total = None if match[2] == "*" else int(match[2])
        else:
            part.restart(_validator(response.headers))
            start = 0
            length = response.headers.get("Content-Length")
            total = int(length) if length else None
        return _receive(response, part, start, total)


def _receive(response: http.client.HTTPResponse, part: _Part, done: int, total: int | None) -> bool:
    """Take what comes; whether it is all."""
    with part.path.open("ab") as stream:
        while True:
            if max(done, total or 0) > part.max_bytes:
                part.validator = ""  # the rest of it is of no use
                raise ModelError(
                    f"{part.url} is larger than {part.max_bytes:,} bytes; that is no model pack.",
                    hint="Check the address.",
                )
            part.progress(done, total)
            piece = response.read1(_CHUNK)
            if not piece:
                break
            stream.write(piece)
            done += len(piece)
    return total is None or done == total


def _validator(headers: http.client.HTTPMessage) -> str:
    """A strong ETag, or the date of the last change; empty where there is neither."""
    etag = headers.get("ETag", "")
    return str(etag if etag.startswith('"') else headers.get("Last-Modified", ""))


def _gone(url: str, fault: urllib.error.HTTPError) -> ModelError:
    reason = f"the server answered {fault.code} {fault.reason}"
    if 300 <= fault.code < 400:
        reason = (
            f"the server sends on from one address to the next without end ({fault.code})"
            if "loop" in str(fault.reason)
            else f"the server sends on to {fault.url}, which is not an address that facerec follows"
        )
    return ModelError(
        f"{url} could not be fetched: {reason}.",
        hint="If the pack has moved, name another place: --mirror URL_OR_FOLDER.",
    )
