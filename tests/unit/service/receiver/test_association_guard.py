import contextlib
import socket
import struct
import threading
import time
from ipaddress import ip_network

import pytest

from lnc_service.receiver import association_guard
from lnc_service.receiver.association_guard import Connections, is_plausible_request
from tests.raw_scu import Association, Rejected, associate_rq, p_data, store_command
from tests.receiving import lets_in, objects_in, receiving, sample


@pytest.fixture
def hurried(monkeypatch):
    """Deadlines of a second instead of many."""
    for name in ("PDU_S", "REQUEST_S", "STALLED_S"):
        monkeypatch.setattr(association_guard, name, 1.0)


def _closed(sock, limit_s=5.0):
    sock.settimeout(limit_s)
    try:
        while sock.recv(4096):  # an abort may come first
            pass
    except TimeoutError:
        return False
    except ConnectionError:
        return True
    return True


def _stuck(port, item, **who):
    """Stop in the middle of an object."""
    association = Association(port, **who).open()
    association.sock.sendall(association.prepare(item)[:200])
    return association


def test_senders_that_stop_in_mid_object_lose_their_places_to_one_that_asks(tmp_path, hurried):
    with receiving(tmp_path, associations=3) as (port, spool):
        held = [_stuck(port, sample()) for _ in range(3)]
        assert lets_in(port) is None  # they may still go on
        assert lets_in(port, 5.0) is not None
        assert [_closed(a.sock) for a in held] == [True] * 3
        assert not list(spool.arriving.iterdir())


def test_senders_that_say_nothing_lose_their_places_to_one_that_asks(tmp_path, hurried):
    with receiving(tmp_path, associations=2) as (port, _):
        held = [Association(port).open() for _ in range(2)]
        assert lets_in(port, 5.0) is not None
        assert _closed(held[0].sock)  # the one that has been silent longest
        assert not _closed(held[1].sock, 0.1)
        held[1].release()


def test_a_pdu_that_trickles_in_has_a_deadline(tmp_path, hurried):
    with receiving(tmp_path) as (port, _):
        association = _stuck(port, sample())
        start = time.monotonic()
        while not _closed(association.sock, 0.1):
            with contextlib.suppress(ConnectionError):
                association.sock.sendall(b"\0")
        assert time.monotonic() - start < 5


def test_a_sender_that_is_slow_but_moves_is_not_ended(tmp_path, hurried, monkeypatch):
    monkeypatch.setattr(association_guard, "_PROGRESS_BYTES", 100)
    monkeypatch.setattr(association_guard, "PDU_S", 20.0)
    item = sample()
    with receiving(tmp_path, associations=1) as (port, spool):
        slow = Association(port).open()
        pdus = slow.prepare(item)
        for step in (pdus[:400], pdus[400:-120], pdus[-120:]):
            slow.sock.sendall(step)
            time.sleep(0.7)
            assert lets_in(port) is None
        assert slow.answer() == 0
        assert len(objects_in(spool)) == 1


@pytest.mark.parametrize("length", [0x7FFFFFFF, 0xFFFFFFFF, 2 << 20])
@pytest.mark.parametrize("kind", [1, 4])
def test_a_pdu_that_is_announced_too_long_is_not_read(tmp_path, kind, length):
    with receiving(tmp_path) as (port, _):
        association = Association(port)
        if kind == 4:
            association.open()
        association.sock.sendall(struct.pack(">BBI", kind, 0, length))
        assert _closed(association.sock)
        assert lets_in(port) is not None


def test_idle_connections_keep_nobody_out(tmp_path):
    with receiving(tmp_path, associations=3) as (port, _):
        idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(30)]
        assert lets_in(port) < 3
        for sock in idle:
            sock.close()


def test_idle_connections_are_closed(tmp_path, hurried):
    with receiving(tmp_path) as (port, _), socket.create_connection(("127.0.0.1", port)) as idle:
        assert _closed(idle)


def test_where_there_are_too_many_connections_the_one_that_waited_longest_goes(tmp_path, monkeypatch):
    monkeypatch.setattr(association_guard, "_CONNECTIONS_MAX", 3)
    with receiving(tmp_path) as (port, _):
        idle = []
        for _ in range(4):
            idle.append(socket.create_connection(("127.0.0.1", port)))
            time.sleep(0.1)
        assert _closed(idle[0])
        assert lets_in(port) is not None
        for sock in idle:
            sock.close()


def test_a_request_that_trickles_in_keeps_nobody_out(tmp_path, hurried):
    with receiving(tmp_path, associations=2) as (port, _):
        request = associate_rq("LNC", "SLOW", [])
        slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(5)]
        for sock in slow:
            sock.sendall(request[:20])
        assert lets_in(port) is not None
        assert all(_closed(sock) for sock in slow)


@pytest.mark.parametrize(
    ("contexts", "plausible"),
    [
        ([(f"1.2.{n}", ["1.2.840.10008.1.2.4.100"] * 45) for n in range(128)], True),
        ([(f"1.2.{n}", ["1.2"]) for n in range(129)], False),
        ([("1.2", ["1"] * 7000)], False),
    ],
    ids=["as many as make sense", "too many contexts", "too many syntaxes"],
)
def test_a_request_full_of_items_is_not_taken_apart(contexts, plausible):
    assert is_plausible_request(associate_rq("LNC", "SCANNER", contexts)[6:]) is plausible


def test_a_request_full_of_user_items_is_not_taken_apart(tmp_path):
    request = associate_rq("LNC", "SCANNER", [])
    items = b"\x54\0\0\5\0\1\x31\0\0" * 600
    at = request.rindex(b"\x50\0")
    request = request[:at] + struct.pack(">BBH", 0x50, 0, len(items)) + items
    with receiving(tmp_path) as (port, _), socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(request[:2] + struct.pack(">I", len(request) - 6) + request[6:])
        assert _closed(sock)
        assert not is_plausible_request(request[6:])


def test_noise_does_not_pile_up_threads_or_log_lines(tmp_path, caplog):
    with receiving(tmp_path) as (port, _):
        before = threading.active_count()
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", port)) as sock, contextlib.suppress(ConnectionError):
                sock.sendall(b"\xff" * 3000)
                assert _closed(sock)
        assert lets_in(port) is not None
        end = time.monotonic() + 5
        while threading.active_count() > before + 2 and time.monotonic() < end:
            time.sleep(0.05)
        assert threading.active_count() <= before + 2
    assert len(caplog.records) < 100


def test_one_address_cannot_take_all_places(tmp_path):
    with receiving(tmp_path, associations=3, associations_per_address=2) as (port, _):
        held = [Association(port).open() for _ in range(2)]
        with pytest.raises(Rejected, match=r"2, 3, 2"):
            Association(port).open()
        assert lets_in(port, source="127.0.0.2") is not None
        held[0].release()
        assert lets_in(port, 2.0) is not None
        held[1].release()


def test_addresses_that_are_not_on_the_list_are_turned_away(tmp_path, caplog):
    with receiving(tmp_path, addresses=("127.0.0.2", "127.1.0.0/16")) as (port, _):
        assert lets_in(port) is None
        assert [r.peer for r in caplog.records if r.msg == "address refused"] == ["127.0.0.1"]
        assert lets_in(port, source="127.0.0.2") is not None
        assert lets_in(port, source="127.1.2.3") is not None


@pytest.mark.parametrize(
    ("address", "known"),
    [("10.1.2.3", True), ("10.2.0.1", False), ("::ffff:10.1.2.3", True), ("fd00::1", True), ("fe80::1", False)],
)
def test_networks_of_both_kinds_are_compared(address, known):
    networks = [ip_network("10.1.0.0/16"), ip_network("fd00::/8")]
    assert Connections(networks, 1, 1).knows(address) is known


def test_every_refusal_is_logged_with_the_address(tmp_path, caplog, hurried):
    with receiving(tmp_path, associations=1) as (port, _):
        held = Association(port).open()
        with pytest.raises(Rejected):
            Association(port).open()
        held.sock.sendall(p_data(1, 3, store_command(sample(), 1))[:-9])
        assert _closed(held.sock)
    refused = {(r.msg, r.peer) for r in caplog.records if r.levelname == "WARNING" and r.name == "lnc"}
    assert refused == {("too many associations", "127.0.0.1"), ("PDU not finished in time", "127.0.0.1")}


def test_a_place_is_free_again_when_its_association_has_ended():
    connections = Connections((), 1, 1)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        first = connections.add("10.0.0.1", ours)
        assert connections.admit(first)
        second = connections.add("10.0.0.2", theirs)
        assert not connections.admit(second)
        connections.remove(first)
        assert connections.admit(second)
