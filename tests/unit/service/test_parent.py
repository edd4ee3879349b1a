import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from lnc_service.parent import when_parent_is_gone
from tests.acceptance.conftest import wait_for

_CHILD = """
import os, sys, threading
from lnc_service.parent import sigterm_with_parent, when_parent_is_gone
{}
print(os.getpid(), flush=True)
threading.Event().wait(60)
"""
_PARENT = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', sys.argv[1]]).wait()"


@pytest.mark.parametrize("watch", ["when_parent_is_gone(os.getppid(), lambda: os._exit(0))", "sigterm_with_parent()"])
def test_a_process_ends_with_the_one_that_started_it_though_that_is_killed(watch):
    command = [sys.executable, "-c", _PARENT, _CHILD.format(watch)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        child = int(parent.stdout.readline())
        os.kill(parent.pid, signal.SIGKILL)
        wait_for(lambda: not _runs(child), 20)


def _runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_parent_that_has_gone_before_is_noticed_at_once():
    gone = threading.Event()
    when_parent_is_gone(-1, gone.set)
    assert gone.wait(20)


def test_nothing_happens_while_the_parent_is_there(monkeypatch):
    monkeypatch.setattr("lnc_service.parent._LOOK_S", 0.01)
    gone = threading.Event()
    when_parent_is_gone(os.getppid(), gone.set)
    assert not gone.wait(0.1)
