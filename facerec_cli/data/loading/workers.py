"""What a process that prepares batches changes in itself before it begins."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from pathlib import Path

import cv2
import torch

# The longest name of a socket, in bytes, and what multiprocessing adds to the folder for temporary files.
_LONGEST = 107 if sys.platform == "linux" else 103
_ADDED = len("/pymp-12345678/listener-12345678")
_SHORT = "/tmp"  # there on every system that has such sockets


def prepare_worker(worker: int) -> None:
    """Make this process a good worker of a torch DataLoader; its ``worker_init_fn``."""
    _use_one_thread()
    _leave_signals_to_parent()
    _shorten_temporary_folder()


def _use_one_thread() -> None:
    """The workers are the parallelism."""
    torch.set_num_threads(1)
    cv2.setNumThreads(0)  # not 1, which waits for ever in a fork of a process whose OpenCV had threads


def _leave_signals_to_parent() -> None:
    """Leave the process group, and let Ctrl-C pass.

    Ctrl-C and the SIGTERM of `timeout` reach the whole group while the main process has a step to finish and
    a checkpoint to write. SIGTERM itself keeps its meaning: it is how Python ends the workers that are left
    when the main process exits, and then it waits for them.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "setpgrp"):  # not on Windows
        os.setpgrp()


def _shorten_temporary_folder() -> None:
    """Hand batches over through sockets whose names are short enough.

    They lie in the folder for temporary files. Where its name is too long, as those of a cluster's jobs can
    be, no batch would ever arrive and the main process would wait for ever.
    """
    longest = len(os.fsencode(tempfile.gettempdir())) + _ADDED
    if os.name == "posix" and longest > _LONGEST and Path(_SHORT).is_dir():
        tempfile.tempdir = _SHORT
