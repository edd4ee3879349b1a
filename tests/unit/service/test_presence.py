import subprocess
import sys

import pytest

from lnc_service.presence import FilePresence, worker_name

_HOLD = """
import sys, time
from pathlib import Path
from lnc_service.presence import FilePresence
presence = FilePresence(Path(sys.argv[1]))
presence.hold("other")
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def other(tmp_path):
    """Another process that holds a lock."""
    command = [sys.executable, "-c", _HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_worker_is_gone_when_its_process_was_killed_and_not_before(tmp_path, other):
    presence = FilePresence(tmp_path)
    presence.hold("me")
    assert presence.gone(["other"]) == []
    other.kill()
    other.wait()
    assert presence.gone(["other"]) == ["other"]
    presence.release()


def test_a_worker_that_never_held_a_lock_is_gone(tmp_path):
    assert FilePresence(tmp_path).gone(["nobody"]) == ["nobody"]


def test_a_worker_that_stops_gives_its_lock_back(tmp_path):
    presence = FilePresence(tmp_path)
    presence.hold("me")
    presence.release()
    assert FilePresence(tmp_path).gone(["me"]) == ["me"]
    assert list(tmp_path.iterdir()) == []


def test_no_two_workers_have_the_same_name():
    assert worker_name() != worker_name()
