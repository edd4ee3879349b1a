"""Who may hold a connection, how many, and for how long: one peer must not keep the others out.

pynetdicom's network timeout sits on the listening socket only, its limit counts connections that have not asked for an
association yet, and its TLS handshake runs in the loop that accepts connections. Here

- a connection gets its threads when its first byte has come, and is dropped when none comes;
- each PDU has a deadline and a largest length;
- where all places are taken, the association that has received least is ended for one that asks;
- what is refused is logged.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any

from lnc_service.logs import log
from pynetdicom.association import Association
from pynetdicom.dul import DULServiceProvider
from pynetdicom.transport import AssociationSocket, RequestHandler, ThreadedAssociationServer

MAXIMUM_PDU_BYTES = 131072
"""DCMTK's upper limit; larger PDUs cost less CPU per object."""
PDU_S = 20.0
"""Longest time from the first byte of a PDU to its last, and for an answer to be taken."""
REQUEST_S = 10.0
"""Longest time for the TLS handshake, and again for the first byte of the association request."""
STALLED_S = 10.0
"""An association that has not moved for this long gives way to one that asks, where all places are taken."""

PDU_HEADER_BYTES = 6

_PDU_EXCESS_BYTES = 1 << 20
"""Senders that overstep the agreed maximum by less are forgiven."""
_REQUEST_BYTES_MAX = 256 << 10
"""128 presentation contexts with 40 transfer syntaxes each take about 140 kB."""
_REQUEST_HEAD = 68
_CONTEXT, _USER_INFORMATION = 0x20, 0x50
_CONTEXTS_MAX, _SYNTAXES_MAX, _USER_ITEMS_MAX = 128, 6000, 512
"""pynetdicom takes an object and 15 µs for each item of a request: 40 requests full of them took 570 MB and 28 s."""
_PROGRESS_BYTES = 16 << 10
_CONNECTIONS_MAX = 128
_KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}
"""A peer that was switched off is noticed after a minute."""
SHORT_WAIT_MS = 2
"""Longest wait for data before the state machine looks for something to send."""


@dataclass(eq=False, slots=True)
class Connection:
    """One peer on the line.

    moved
        When it last sent a fair amount of data, or had an answer; of `time.monotonic`.
    """

    address: str
    socket: socket.socket
    moved: float = field(default_factory=time.monotonic)
    thread: threading.Thread | None = None
    associated: bool = False
    _bytes: int = 0

    def count(self, size: int) -> None:
        """Note data that came."""
        self._bytes += size
        if self._bytes >= _PROGRESS_BYTES:
            self.move()

    def move(self) -> None:
        """Note that it is alive."""
        self.moved, self._bytes = time.monotonic(), 0

    def end(self) -> None:
        """Cut it off; its threads notice."""
        with contextlib.suppress(OSError):  # it has gone by itself
            self.socket.shutdown(socket.SHUT_RDWR)


class Connections:
    """All peers on the line, and the rules for another one. Safe for threads."""

    def __init__(self, networks: Sequence[IPv4Network | IPv6Network], total: int, per_address: int) -> None:
        self._networks = networks
        self._total, self._per_address = total, per_address
        self._all: list[Connection] = []
        self._lock = threading.Lock()

    def knows(self, address: str) -> bool:
        """Tell whether an address may connect; one of IPv4 may come in the form of IPv6 (::ffff:10.0.0.1)."""
        if not self._networks:
            return True
        ip = ip_address(address)
        ip = getattr(ip, "ipv4_mapped", None) or ip
        return any(ip in network for network in self._networks)

    def add(self, address: str, sock: socket.socket) -> Connection:
        """Take a new connection in; where there are too many, the one that has waited longest goes."""
        new = Connection(address, sock)
        with self._lock:
            self._forget_ended()
            waiting = [c for c in self._all if not c.associated]
            if len(self._all) >= _CONNECTIONS_MAX and waiting:
                _evict(min(waiting, key=lambda c: c.moved))
            self._all.append(new)
        return new

    def remove(self, connection: Connection) -> None:
        """Forget a connection that never became an association."""
        with self._lock:
            self._all = [c for c in self._all if c is not connection]

    def admit(self, connection: Connection) -> bool:
        """Give a connection one of the places for associations; where none is free, one that has stalled goes."""
        with self._lock:
            self._forget_ended()
            held = [c for c in self._all if c.associated]
            same = [c for c in held if c.address == connection.address]
            if len(same) >= self._per_address:
                connection.associated = _make_room(same)
            elif len(held) >= self._total:
                connection.associated = _make_room(held)
            else:
                connection.associated = True
            return connection.associated

    def end_all(self) -> None:
        """Cut everybody off."""
        with self._lock:
            for connection in self._all:
                connection.end()

    def _forget_ended(self) -> None:
        self._all = [c for c in self._all if c.thread is None or c.thread.is_alive()]


def _make_room(held: Iterable[Connection]) -> bool:
    """End the association that has stalled longest; False if none has stalled."""
    slowest = min(held, key=lambda c: c.moved)
    if time.monotonic() - slowest.moved < STALLED_S:
        return False
    _evict(slowest)
    return True


def _evict(connection: Connection) -> None:
    log.warning("ended to make room", extra={"peer": connection.address})
    connection.associated = False
    connection.end()


class GuardedSocket(AssociationSocket):  # type: ignore[misc]  # pynetdicom's classes are Any to mypy
    """A socket that reads a PDU at most for its deadline, and none that is too long."""

    connection: Connection

    def __init__(self, assoc: Association, client_socket: socket.socket, connection: Connection) -> None:
        super().__init__(assoc, client_socket=client_socket)
        self.connection = connection
        self.wait_ms = SHORT_WAIT_MS
        self._deadline = 0.0
        self._pushed_back = b""
        self._is_request = False
        self._buffer = bytearray(MAXIMUM_PDU_BYTES)
        self._poll = select.poll()  # unlike select, without a limit of 1,023 descriptors
        self._poll.register(client_socket, select.POLLIN)

    @property
    def ready(self) -> bool:
        """Tell whether there is data, after a short wait for it."""
        if self.socket is None or self.socket.fileno() < 0:
            return False
        if self._pushed_back or (isinstance(self.socket, ssl.SSLSocket) and self.socket.pending()):
            return True
        return bool(self._poll.poll(self.wait_ms))

    def recv(self, nr_bytes: int) -> bytearray:
        """Read for pynetdicom: first the six bytes that begin a PDU, then the rest of it. Raises OSError."""
        if self._pushed_back:
            header, self._pushed_back = self._pushed_back, b""
            return bytearray(header)
        if nr_bytes == PDU_HEADER_BYTES:
            header = self.read_header()
            self._is_request = header[:1] == b"\1"
            return bytearray(header)
        body = bytearray(self.read_body(nr_bytes, _REQUEST_BYTES_MAX))
        if self._is_request and not is_plausible_request(body):
            log.warning("too many items in an association request", extra={"peer": self.connection.address})
            raise OSError("too many items in an association request")
        return body

    def push_back(self, header: bytes) -> None:
        """Give the beginning of a PDU back, to be read again."""
        self._pushed_back = header

    def read_header(self) -> bytes:
        """Read the beginning of a PDU, fewer bytes where the peer has closed; its deadline starts here."""
        self._deadline = time.monotonic() + PDU_S
        return bytes(self._fill(PDU_HEADER_BYTES))

    def read_body(self, length: int, longest: int = MAXIMUM_PDU_BYTES + _PDU_EXCESS_BYTES) -> memoryview:
        """Read the rest of a PDU into a buffer that the next one overwrites. Raises OSError."""
        if length > longest:
            log.warning("PDU announced too long", extra={"peer": self.connection.address})
            raise OSError("PDU announced too long")
        if length > len(self._buffer):
            self._buffer = bytearray(length)
        return self._fill(length)

    def _fill(self, size: int) -> memoryview:
        whole, at = memoryview(self._buffer)[:size], 0
        while at < size:
            if self.socket is None:
                raise ConnectionError
            got = self._receive(whole[at:])
            if not got:
                return whole[:at]
            self.connection.count(got)
            at += got
        return whole

    def discard(self) -> None:
        """Throw away what still comes on a connection that is being closed."""
        self._deadline = time.monotonic() + PDU_S
        with contextlib.suppress(OSError):
            if self._receive(memoryview(self._buffer)):
                return
        self.close()

    def _receive(self, room: memoryview) -> int:
        """Read what is there, or wait for it until the deadline of the PDU."""
        try:
            self.socket.settimeout(max(self._deadline - time.monotonic(), 0.001))
            return int(self.socket.recv_into(room))
        except TimeoutError:
            log.warning("PDU not finished in time", extra={"peer": self.connection.address})
            raise

    def send(self, bytestream: bytes) -> None:
        """Send a PDU, at most for its deadline."""
        if self.socket is not None:
            self.socket.settimeout(PDU_S)
            super().send(bytestream)
            self.connection.move()

    def _shutdown_socket(self) -> None:
        """Close the socket, also where the peer has gone first: pynetdicom then leaves it to the garbage collector."""
        if self.socket is not None:
            with contextlib.suppress(OSError):
                self.socket.shutdown(socket.SHUT_RDWR)
            self.socket.close()


def is_plausible_request(body: bytes | bytearray) -> bool:
    """Tell whether an A-ASSOCIATE-RQ (PS3.8 9.3.2) has as many items as a sender may have use for."""
    contexts = syntaxes = user_items = 0
    for kind, begin, end in _items(body, _REQUEST_HEAD, len(body)):
        if kind == _CONTEXT:
            contexts += 1
            syntaxes += sum(1 for _ in _items(body, begin + 4, end))
        elif kind == _USER_INFORMATION:
            user_items += sum(1 for _ in _items(body, begin, end))
        if contexts > _CONTEXTS_MAX or syntaxes > _SYNTAXES_MAX or user_items > _USER_ITEMS_MAX:
            return False
    return True


def _items(body: bytes | bytearray, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Walk over items: kind, begin and end of what each holds."""
    while at + 4 <= end:
        kind, length = struct.unpack_from(">BxH", body, at)
        yield kind, at + 4, min(at + 4 + length, end)
        at += 4 + length


class GuardedHandler(RequestHandler):  # type: ignore[misc]
    """Makes the association of a connection."""

    server: GuardedServer

    def handle(self) -> None:
        """Start the association, with our socket and reactor."""
        assoc = self._create_association()
        connection = self.server.current.connection
        reactor = self.server.make_reactor(assoc)
        reactor.artim_timer.timeout, reactor._idle_timer.timeout = assoc.acse_timeout, assoc.network_timeout  # noqa: SLF001 - nothing public sets them
        assoc.dul = reactor
        assoc.set_socket(GuardedSocket(assoc, self.request, connection))
        connection.thread = assoc
        assoc.start()


class GuardedServer(ThreadedAssociationServer):  # type: ignore[misc]
    """Accepts connections; everything that a peer can delay happens in a thread of its own."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self,
        *args: Any,  # noqa: ANN401 - pynetdicom's
        connections: Connections,
        make_reactor: Callable[[Association], DULServiceProvider],
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        self.connections = connections
        self.make_reactor = make_reactor
        self.current = threading.local()
        super().__init__(*args, request_handler=GuardedHandler, **kwargs)

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection; the TLS handshake comes later."""
        sock, address = self.socket.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEPALIVE.items():
            if hasattr(socket, name):
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        return sock, address

    def verify_request(self, request: socket.socket, client_address: tuple[str, int]) -> bool:  # noqa: ARG002
        """Refuse addresses that are not on the list."""
        known = self.connections.knows(client_address[0])
        if not known:
            log.warning("address refused", extra={"peer": client_address[0]})
        return known

    def process_request_thread(self, request: socket.socket, client_address: tuple[str, int]) -> None:
        """Wait for the peer to speak, then start its association."""
        connection = self.connections.add(client_address[0], request)
        try:
            if self.ssl_context is not None:
                request.settimeout(REQUEST_S)
                request = connection.socket = self.ssl_context.wrap_socket(request, server_side=True)
            if _speaks(request):
                self.current.connection = connection
                self.finish_request(request, client_address)
        except OSError as error:  # ssl.SSLError is one
            log.warning("connection refused", extra={"peer": client_address[0]}, exc_info=error)
        finally:
            if connection.thread is None:
                self.connections.remove(connection)
                self.shutdown_request(request)


def _speaks(sock: socket.socket) -> bool:
    """Tell whether a first byte comes in time."""
    if isinstance(sock, ssl.SSLSocket) and sock.pending():
        return True
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(REQUEST_S * 1000))
