import os

import pytest

from lnc_service.manifest import Closed
from lnc_service.spool import Spool
from lnc_service.watch import Watch

QUIET_S, LONGEST_S = 10.0, 100.0
NOW = 1_800_000_000.0


class _Scene:
    """A spool whose files arrive when a test says so."""

    def __init__(self, root):
        self.spool = Spool(root)
        self.spool.prepare()

    def arrive(self, key, name, at):
        folder = self.spool.received / key
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.dcm").write_bytes(b"x")
        for path in (folder / f"{name}.dcm", folder, self.spool.received):
            os.utime(path, (at, at))

    def watch(self):
        return Watch(self.spool, QUIET_S, LONGEST_S)


@pytest.fixture
def scene(tmp_path):
    return _Scene(tmp_path)


def _due(watch, wall, monotonic):
    return {key: why for key, _, why in watch.look(wall, monotonic)}


def test_a_study_is_complete_when_nothing_arrived_for_the_quiet_time(scene):
    watch = scene.watch()
    scene.arrive("a", "1", NOW)
    assert _due(watch, NOW + 1, 1) == {}
    scene.arrive("a", "2", NOW + 8)
    assert _due(watch, NOW + 8, 8) == {}
    assert _due(watch, NOW + 15, 15) == {}
    assert _due(watch, NOW + 18, 18) == {"a": Closed.QUIET}


def test_studies_are_given_in_order_of_arrival(scene):
    for key, at in (("b", NOW), ("c", NOW + 1), ("a", NOW + 2)):
        scene.arrive(key, "1", at)
    assert [key for key, _, _ in scene.watch().look(NOW + 60, 0)] == ["b", "c", "a"]


def test_a_quiet_time_that_passed_while_nobody_looked_has_passed(scene):
    scene.arrive("a", "1", NOW)
    assert _due(scene.watch(), NOW + 11, 5000) == {"a": Closed.QUIET}
    assert _due(scene.watch(), NOW + 4, 5000) == {}


def test_a_closed_study_is_given_again_only_when_something_arrives(scene):
    watch = scene.watch()
    scene.arrive("a", "1", NOW)
    ((key, changed_ns, _),) = watch.look(NOW + 11, 0)
    watch.close(key, changed_ns)
    scene.spool.mark_closed(key, changed_ns)
    assert _due(watch, NOW + 30, 30) == {}
    assert _due(scene.watch(), NOW + 30, 0) == {}
    scene.arrive("a", "2", NOW + 40)
    assert _due(watch, NOW + 40, 40) == {}
    assert _due(watch, NOW + 51, 51) == {"a": Closed.QUIET}


def test_a_study_that_never_falls_quiet_is_taken_after_the_longest_wait(scene):
    watch = scene.watch()
    found = {}
    for second in range(0, 105, 5):
        scene.arrive("a", f"{second}", NOW + second)
        found |= _due(watch, NOW + second, second)
        assert bool(found) == (second >= LONGEST_S)
    assert found == {"a": Closed.LONGEST_WAIT}


@pytest.mark.parametrize("step_s", [-3600, 3600])
def test_a_clock_that_is_set_neither_holds_a_study_up_nor_closes_it_early(scene, step_s):
    watch = scene.watch()
    scene.arrive("a", "1", NOW)
    assert _due(watch, NOW, 0) == {}
    assert _due(watch, NOW + 5 + step_s, 5) == {}
    assert _due(watch, NOW + 10 + step_s, 10) == {"a": Closed.QUIET}


def test_files_from_the_future_are_measured_all_the_same(scene):
    scene.arrive("a", "1", NOW + 3600)
    watch = scene.watch()
    assert _due(watch, NOW, 0) == {}
    assert _due(watch, NOW + 10, 10) == {"a": Closed.QUIET}


def test_a_stray_file_and_a_removed_folder_do_no_harm(scene):
    watch = scene.watch()
    (scene.spool.received / "stray").write_bytes(b"x")
    scene.arrive("a", "1", NOW)
    assert _due(watch, NOW, 0) == {}
    (scene.spool.received / "a" / "1.dcm").unlink()
    (scene.spool.received / "a").rmdir()
    assert _due(watch, NOW + 11, 11) == {}


def test_a_look_costs_the_same_for_few_and_many_closed_studies(scene, monkeypatch):
    watch = scene.watch()
    for n in range(1000):
        scene.arrive(f"{n}", "1", NOW)
    for key, changed_ns, _ in watch.look(NOW + 60, 0):
        watch.close(key, changed_ns)
    looked_at = []
    monkeypatch.setattr(watch, "_notice", lambda key, *_: looked_at.append(key))
    for _ in range(10):
        watch.look(NOW + 90, 0)
    assert len(looked_at) <= 2000
    assert len(set(looked_at)) == 1000
