import os
import sys
import threading
import time

import pytest

from lnc_service.child import ChildEndedError, Computer, StoppingError, resident_mb
from lnc_service.settings import Settings

_CHILD = """
import json, os, sys, time
from lnc_service.child import prepare_process, serve_jobs

def work(key, job, settings):
    print("printed by a library")
    if key == "abort": os.abort()
    if key == "exit": sys.exit(3)
    if key == "hang": time.sleep(60)
    if key == "eat": eaten = b"x" * 800_000_000; time.sleep(60)
    return {"job": job, "port": settings.pacs.port, "pid": os.getpid(), "cores": len(os.sched_getaffinity(0))}

answers = prepare_process()
serve_jobs(iter(sys.stdin.readline, ""), answers, work)
"""


@pytest.fixture
def computer(tmp_path):
    settings = Settings(
        pacs={"host": "x", "ae_title": "PACS", "port": 4242},
        spool=tmp_path,
        compute={"time_limit_s": 4, "memory_limit_mb": 500},
    )
    computer = Computer(settings, [sys.executable, "-c", _CHILD])
    yield computer
    computer.close()


def test_a_child_answers_with_the_settings_that_it_was_given_and_is_kept(computer):
    first, second = computer.compute("good", "j1"), computer.compute("good", "j2")
    assert (first["job"], second["job"], first["port"]) == ("j1", "j2", 4242)
    assert first["pid"] == second["pid"]


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="there is one core only")
def test_computing_leaves_a_core_to_receiving(computer):
    assert computer.compute("good", "j1")["cores"] == len(os.sched_getaffinity(0)) - 1


@pytest.mark.parametrize(
    ("key", "reason"),
    [("abort", "signal 6"), ("exit", "exit 3"), ("hang", "longer than 4 s"), ("eat", "more than 500 MB")],
)
def test_a_child_that_ends_or_breaks_a_limit_says_why_and_the_next_job_is_computed(computer, key, reason):
    with pytest.raises(ChildEndedError, match=reason):
        computer.compute(key, "j1")
    assert computer.compute("good", "j2")["job"] == "j2"


def test_a_job_that_is_stopped_has_no_outcome_and_does_not_count_as_a_crash(computer):
    found = []

    def hang():
        try:
            computer.compute("hang", "j1")
        except StoppingError as error:
            found.append(type(error))

    thread = threading.Thread(target=hang)
    thread.start()
    time.sleep(1.0)
    computer.close()
    thread.join(5)
    assert found == [StoppingError]


def test_memory_of_a_process_that_is_gone_is_nothing():
    assert resident_mb(2**22 + 1) == 0
