"""Reaching a Ray cluster, or starting a Ray on this machine, without a word to anybody outside."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from facerec_cli.errors import MissingExtraError, ResourceError, UsageError
from facerec_cli.runtime import usable_cores

_REACH = 10  # seconds to wait for a cluster's port
_STORE = 512 << 20  # bytes of the object store of a Ray that is started here


def import_ray() -> Any:
    """The ray module.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        return import_module("ray")
    except ImportError as error:
        raise MissingExtraError("ray", extra="ray", purpose="--engine ray") from error


def connect(ray: Any, address: str | None) -> bool:
    """Join the cluster at ``address``, or start a Ray here where it is None.

    Returns:
        Whether it has to be left again; a connection that the caller had already stays.

    Raises:
        ResourceError: There is no connection.
        UsageError: Not an address.
    """
    if ray.is_initialized():
        return False
    logging.getLogger("ray").setLevel(logging.ERROR)
    settings: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address is None:
        settings |= {"num_cpus": usable_cores(), "include_dashboard": False}
        settings |= {"address": "local", "object_store_memory": _STORE}
    else:
        check_reachable(address)
        settings["address"] = address
    try:
        with _signals_kept(), _no_questions_to_the_cloud():
            ray.init(**settings)
    except (OSError, RuntimeError, ValueError, ImportError, SystemExit) as error:
        raise ResourceError(
            f"No connection to a Ray cluster at {address or 'this machine'}: {brief(error)}",
            hint="It needs the same Python and Ray as here, and its token where it asks for one "
            "(RAY_AUTH_MODE=token, RAY_AUTH_TOKEN). `ray start --head` starts one.",
        ) from error
    return True


def check_reachable(address: str) -> None:
    """Refuse an address where nothing listens; Ray itself would wait for minutes.

    Raises:
        UsageError: Not an address.
        ResourceError: Nothing answers there.
    """
    if address == "auto":
        address = os.environ.get("RAY_ADDRESS") or "auto"
    if address == "auto":
        return  # Ray looks for it among this machine's processes
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        raise UsageError(
            f"--address {address} is neither auto, HOST:PORT nor ray://HOST:PORT.",
            hint="`ray start --head` prints the address.",
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_REACH).close()
    except (OSError, OverflowError) as error:
        raise ResourceError(
            f"No Ray cluster answers at {address}: {error}.",
            hint="`ray start --head` starts one and prints its address; ray:// takes its client's port.",
        ) from error


def brief(error: BaseException) -> str:
    """The last line of what Ray says, which is the one that tells."""
    if isinstance(error, SystemExit):
        return "it did not answer."
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:300]


@contextlib.contextmanager
def _signals_kept() -> Iterator[None]:
    """Ray takes SIGTERM for itself; the program's own way to end stays."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "SIGTERM"):
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _no_questions_to_the_cloud() -> Iterator[None]:
    """Do not start the process of Ray that asks which cloud it runs in.

    Even without its dashboard and with its usage report turned off, Ray 2.60 starts a process for that
    report, which looks up metadata.google.internal and calls 169.254.169.254. Nothing of ours needs it.
    """
    try:
        node = import_module("ray._private.node").Node
        start = node.start_api_server
    except (ImportError, AttributeError):  # another Ray
        yield
        return
    node.start_api_server = lambda self, **settings: None
    try:
        yield
    finally:
        node.start_api_server = start
