"""What the parent of several processes tells the user when one of them fails."""

import io
import signal
import subprocess

import pytest

from facerec_cli.training import processes


class Child:
    """A process that has ended with ``code``, or ends when it is told to."""

    def __init__(self, code=None):
        self.returncode = code

    def wait(self, timeout):
        if self.returncode is None:
            raise subprocess.TimeoutExpired("facerec", timeout)

    def poll(self):
        return self.returncode

    def send_signal(self, number):
        self.returncode = -number

    def kill(self):
        self.returncode = -signal.SIGKILL


@pytest.mark.parametrize(
    ("codes", "code", "said"),
    [
        ((0, 0), 0, ""),
        ((3, 3), 3, ""),  # all said the same, and the first one to the terminal
        ((7, 3), 3, "the cause"),  # the first one only lost its connection
        ((7, 7), 7, "the cause"),
        ((None, 3), 3, "the cause"),  # was still waiting for it
        ((3, None), 3, ""),
        ((7, -9), 137, "the causeProcess 1 was ended from outside by signal 9.\n"),
    ],
)
def test_the_process_that_failed_first_is_heard(monkeypatch, capsys, codes, code, said):
    monkeypatch.setattr(processes.time, "sleep", lambda seconds: None)
    children = [Child(code) for code in codes]
    if codes[0] == 7:  # the first one notices after the second has gone
        late = children[0] = Child()
        late.send_signal = lambda number: setattr(late, "returncode", 7)
    outputs = [io.BytesIO(), io.BytesIO(b"the cause")]
    assert processes._wait(children, outputs) == code
    assert capsys.readouterr().err == said
