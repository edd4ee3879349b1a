"""C-STORE, C-ECHO and notices on an established association: objects go to disk as they arrive, one answer each.

pynetdicom negotiates, and its state machine begins and ends associations. Messages are taken from the socket here: its
way copies an object some six times, holds it in memory until it is whole, waits between two polling threads, and
takes 6 ms of CPU for 239 kB, where bare sockets take one. No message waits in memory: the next is read when the one
before has been answered.
"""

from __future__ import annotations

import contextlib
import queue
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from pynetdicom import PYNETDICOM_IMPLEMENTATION_UID, PYNETDICOM_IMPLEMENTATION_VERSION
from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dul import DULServiceProvider

from lnc_service.arriving import Arriving
from lnc_service.logs import log
from lnc_service.receiver.association_guard import PDU_HEADER_BYTES, SHORT_WAIT_MS
from lnc_service.receiver.notices import (
    N_ACTION,
    N_CREATE,
    N_EVENT_REPORT,
    N_SET,
    NOT_PERFORMED,
    NOTICE_BYTES_MAX,
    Notice,
)

SUCCESS = 0x0000
OUT_OF_RESOURCES = 0xA700
CANNOT_UNDERSTAND = 0xC000

_P_DATA = 4
_ESTABLISHED, _CLOSING = "Sta6", "Sta13"
_COMMAND, _LAST = 1, 2
"""Bits of the message control header (PS3.8 E.2)."""
_STORE, _ECHO, _CANCEL, _RESPONSE = 0x0001, 0x0030, 0x0FFF, 0x8000
_SOP_CLASS, _FIELD, _MESSAGE, _ANSWERED, _DATA_SET, _STATUS, _SOP_INSTANCE = (
    *(0x0002, 0x0100, 0x0110, 0x0120),
    *(0x0800, 0x0900, 0x1000),
)
_REQUESTED_CLASS, _REQUESTED_INSTANCE, _EVENT_TYPE = 0x0003, 0x1001, 0x1002
"""Elements of group 0000 (PS3.7 E.1)."""
_WITH_DATA_SET = frozenset({_STORE, N_EVENT_REPORT, N_SET, N_ACTION, N_CREATE})
_NO_DATA_SET = 0x0101
_COMMAND_BYTES_MAX = 16 << 10
_UID_BYTES_MAX = 64
_IMPLEMENTATION = PYNETDICOM_IMPLEMENTATION_UID.encode()
_VERSION = f"{PYNETDICOM_IMPLEMENTATION_VERSION:{len(PYNETDICOM_IMPLEMENTATION_VERSION) + 1 & ~1}}".encode()
_END_IS_SEEN_S = 0.01
_LONG_WAIT_MS = 50
_PREAMBLE = b"\0" * 128 + b"DICM"


class BrokenMessageError(Exception):
    """What the peer sends is not a message that an SCP of ours may get; the association is aborted."""


@dataclass(frozen=True, slots=True)
class Command:
    """One request; the UIDs as they were sent, without padding."""

    field: int
    message: int
    sop_class: bytes
    sop_instance: bytes
    has_data_set: bool
    event_type: bytes = b""


@dataclass(frozen=True, slots=True)
class Titles:
    """Application entity titles that are written into a file (PS3.10 7.1); empty ones are not.

    stat
        The calling title, if its studies are measured before others.
    """

    calling: str = ""
    stat: str = ""
    called: str = ""


@dataclass(slots=True)
class Incoming:
    """One object that is coming in."""

    sop_class: str
    transfer_syntax: str
    arriving: Arriving
    data_begins: int


class Keeper(Protocol):
    """What is done with objects."""

    def begin(self) -> Arriving:
        """Start an object. Raises OSError where there is no room."""

    def check(self, incoming: Incoming) -> None:
        """Look at an object that grows. Raises OSError where it may not."""

    def keep(self, incoming: Incoming) -> int:
        """Keep a whole object; give the status to answer."""

    def hear(self, notice: Notice) -> int:
        """Take notice of something; give the status to answer."""


class StorageReactor(DULServiceProvider):  # type: ignore[misc]  # pynetdicom's classes are Any to mypy
    """The upper layer of one association, which hands messages to a keeper instead of to pynetdicom."""

    def __init__(self, assoc: Association, keeper: Keeper, stat_titles: frozenset[str] = frozenset()) -> None:
        super().__init__(assoc)
        self._stat_titles = stat_titles
        self._run_loop_delay = 0  # the socket waits instead
        assoc.dimse = _NoMessages(assoc)
        self._messages = Messages(keeper, self._syntax, self._answer, self._titles)

    def _is_transport_event(self) -> bool:
        """Wait longer for data where only an abort of ours could be sent meanwhile."""
        idle = self.state_machine.current_state == _ESTABLISHED
        self.socket.wait_ms = _LONG_WAIT_MS if idle else SHORT_WAIT_MS
        return bool(super()._is_transport_event())

    def _read_pdu_data(self) -> None:
        """Read P-DATA until a message has been answered; leave all other PDUs to pynetdicom."""
        if self.state_machine.current_state == _CLOSING:
            self.socket.discard()
            return
        if self.state_machine.current_state != _ESTABLISHED:
            super()._read_pdu_data()
            return
        try:
            while self._read_data() or self._nothing_to_do_but_read():
                self._idle_timer.restart()
        except OSError:
            self.event_queue.put("Evt17")  # the connection is closed
        except (BrokenMessageError, struct.error):
            log.warning("broken message", extra={"peer": self.socket.connection.address})
            self.event_queue.put("Evt19")  # an invalid PDU: pynetdicom aborts
        if not self.event_queue.empty():
            self._messages.drop()

    def _nothing_to_do_but_read(self) -> bool:
        """Tell whether the next message has come while pynetdicom has nothing to do: its loop gives the core away."""
        return bool(self.event_queue.empty() and self.to_provider_queue.empty() and self.socket.ready)

    def _read_data(self) -> bool:
        """Read one PDU; tell whether more of the message must follow."""
        header = self.socket.read_header()
        if len(header) < PDU_HEADER_BYTES or header[0] != _P_DATA:
            self.socket.push_back(header)
            super()._read_pdu_data()
            return False
        (length,) = struct.unpack_from(">I", header, 2)
        body = self.socket.read_body(length)
        if len(body) < length:
            raise ConnectionError
        return self._messages.take(body)

    def _syntax(self, context: int) -> str:
        accepted = self.assoc._accepted_cx.get(context)  # noqa: SLF001 - the accepted contexts by number
        if accepted is None:
            raise BrokenMessageError
        return str(accepted.transfer_syntax[0])

    def _titles(self) -> Titles:
        """Give the titles that are written into files: rules look at them, and at the one whose studies come first."""
        asked = self.assoc.requestor.primitive
        calling = str(self.assoc.requestor.ae_title).strip()
        called = str(asked.called_ae_title or "").strip() if asked is not None else ""
        return Titles(calling, calling if calling in self._stat_titles else "", called)

    def _answer(self, context: int, response: bytes) -> None:
        pdv = struct.pack(">IBB", len(response) + 2, context, _COMMAND | _LAST) + response
        self.socket.send(struct.pack(">BBI", _P_DATA, 0, len(pdv)) + pdv)

    def run_reactor(self) -> None:
        """Run until the association ends; what is half written then is removed."""
        try:
            super().run_reactor()
        finally:
            self._messages.drop()
            self.to_user_queue.put(None)  # else the association waits for a request until its timeout


class _NoMessages(DIMSEServiceProvider):  # type: ignore[misc]
    """What pynetdicom's other thread asks for messages a thousand times a second, on every association."""

    def get_msg(self, block: bool = False) -> tuple[None, None]:  # noqa: ARG002, FBT001, FBT002 - pynetdicom's signature
        """Wait a little for the end of the association; there are no messages."""
        with contextlib.suppress(queue.Empty):
            self.msg_queue.get(timeout=_END_IS_SEEN_S)
        return None, None


class Messages:
    """Puts fragments together to messages and answers each.

    `answer` gets a context and an encoded response; `titles` gives the titles to write into files.
    """

    def __init__(
        self,
        keeper: Keeper,
        syntax_of: Callable[[int], str],
        answer: Callable[[int, bytes], None],
        titles: Callable[[], Titles] = Titles,
    ) -> None:
        self._keeper, self._syntax_of, self._send, self._titles = keeper, syntax_of, answer, titles
        self._fragments = bytearray()
        self._command: Command | None = None
        self._context = 0
        self._incoming: Incoming | None = None
        self._said = bytearray()

    def take(self, body: memoryview) -> bool:
        """Take the fragments of a P-DATA PDU; tell whether more must follow. Raises BrokenMessageError."""
        at = 0
        while at < len(body):
            length, context, control = struct.unpack_from(">IBB", body, at)
            end = at + 4 + length
            if length < 2 or end > len(body):  # noqa: PLR2004 - context and control header
                raise BrokenMessageError
            if control & _COMMAND:
                self._take_command(context, control, body[at + 6 : end])
            else:
                self._take_data(context, control, body[at + 6 : end])
            at = end
        return self._command is not None or bool(self._fragments)

    def drop(self) -> None:
        """Forget a message that did not end."""
        if self._incoming is not None:
            self._incoming.arriving.discard()
        self._incoming = self._command = None
        self._fragments.clear()
        self._said.clear()

    def _take_command(self, context: int, control: int, data: memoryview) -> None:
        self._fragments += data
        if self._command is not None or len(self._fragments) > _COMMAND_BYTES_MAX:
            raise BrokenMessageError
        if not control & _LAST:
            return
        command = decode_command(self._fragments)
        self._fragments.clear()
        self._context = context
        syntax = self._syntax_of(context)
        if command.field == _ECHO and not command.has_data_set:
            self._respond(command, SUCCESS)
        elif command.field in _WITH_DATA_SET and command.has_data_set:
            self._command = command
            if command.field == _STORE:
                self._begin(command, syntax)
        elif command.field == N_ACTION and not command.has_data_set:
            self._respond(command, NOT_PERFORMED)
        elif command.field != _CANCEL:
            raise BrokenMessageError

    def _begin(self, command: Command, syntax: str) -> None:
        """Open a file for an object; where there is no room its data are read and forgotten."""
        if not (0 < len(command.sop_class) <= _UID_BYTES_MAX and 0 < len(command.sop_instance) <= _UID_BYTES_MAX):
            return
        meta = file_meta(command.sop_class, command.sop_instance, syntax, self._titles())
        try:
            arriving = self._keeper.begin()
        except OSError:
            return
        self._incoming = Incoming(command.sop_class.decode("ascii", "replace"), syntax, arriving, len(meta))
        self._write(meta)

    def _take_data(self, context: int, control: int, data: memoryview) -> None:
        if self._command is None or context != self._context:
            raise BrokenMessageError
        if self._command.field == _STORE:
            self._write(data)
        else:
            self._said += data
            if len(self._said) > NOTICE_BYTES_MAX:
                raise BrokenMessageError
        if control & _LAST:
            command, incoming = self._command, self._incoming
            self._command = self._incoming = None
            status = self._keep(command, incoming) if command.field == _STORE else self._hear(command)
            self._respond(command, status)

    def _hear(self, command: Command) -> int:
        said, uids = bytes(self._said), (command.sop_class, command.sop_instance)
        self._said.clear()
        sop_class, sop_instance = (uid.decode("ascii", "replace") for uid in uids)
        return self._keeper.hear(Notice(command.field, sop_class, sop_instance, said, self._syntax_of(self._context)))

    def _write(self, data: bytes | memoryview) -> None:
        if self._incoming is None:
            return
        try:
            self._incoming.arriving.write(data)
            self._keeper.check(self._incoming)
        except OSError:
            self._incoming.arriving.discard()
            self._incoming = None

    def _keep(self, command: Command, incoming: Incoming | None) -> int:
        if incoming is None:
            named = 0 < len(command.sop_class) <= _UID_BYTES_MAX and 0 < len(command.sop_instance) <= _UID_BYTES_MAX
            return OUT_OF_RESOURCES if named else CANNOT_UNDERSTAND
        try:
            return self._keeper.keep(incoming)
        finally:
            incoming.arriving.discard()

    def _respond(self, command: Command, status: int) -> None:
        self._send(self._context, encode_response(command, status))


def decode_command(data: bytes | bytearray) -> Command:
    """Decode a command set (implicit VR little endian, PS3.7 6.3.1). Raises BrokenMessageError."""
    found: dict[int, bytes] = {}
    at = 0
    while at + 8 <= len(data):
        group, element, length = struct.unpack_from("<HHI", data, at)
        if group:
            raise BrokenMessageError
        found[element] = bytes(data[at + 8 : at + 8 + length])
        at += 8 + length
    numbers = [found.get(element, b"") for element in (_FIELD, _MESSAGE, _DATA_SET)]
    if any(len(number) != 2 for number in numbers):  # noqa: PLR2004 - unsigned short
        raise BrokenMessageError
    command, message, data_set = (int.from_bytes(number, "little") for number in numbers)
    sop_class = found.get(_SOP_CLASS) or found.get(_REQUESTED_CLASS, b"")
    sop_instance = found.get(_SOP_INSTANCE) or found.get(_REQUESTED_INSTANCE, b"")
    uids = (sop_class.strip(b"\0 "), sop_instance.strip(b"\0 "))
    return Command(command, message, *uids, data_set != _NO_DATA_SET, found.get(_EVENT_TYPE, b""))


def encode_response(command: Command, status: int) -> bytes:
    """Encode the answer to a request."""
    elements = [
        (_SOP_CLASS, _even(command.sop_class)),
        (_FIELD, struct.pack("<H", command.field | _RESPONSE)),
        (_ANSWERED, struct.pack("<H", command.message)),
        (_DATA_SET, struct.pack("<H", _NO_DATA_SET)),
        (_STATUS, struct.pack("<H", status)),
    ]
    if command.field != _ECHO:
        elements.append((_SOP_INSTANCE, _even(command.sop_instance)))
    if command.field == N_EVENT_REPORT:
        elements.append((_EVENT_TYPE, command.event_type))
    body = b"".join(struct.pack("<HHI", 0, element, len(value)) + value for element, value in elements)
    return struct.pack("<HHII", 0, 0, 4, len(body)) + body


def file_meta(sop_class: bytes, sop_instance: bytes, transfer_syntax: str, titles: Titles = Titles()) -> bytes:
    """Encode preamble and file meta information; the same bytes as pynetdicom's, whatever the peer calls a UID.

    titles
        Written as Source, Sending and Receiving Application Entity Title (PS3.10 7.1).
    """
    uids = ((2, sop_class), (3, sop_instance), (0x10, transfer_syntax.encode()), (0x12, _IMPLEMENTATION))
    body = struct.pack("<HH2sxxIH", 2, 1, b"OB", 2, 0x0100)
    for element, uid in uids:
        body += struct.pack("<HH2sH", 2, element, b"UI", len(_even(uid))) + _even(uid)
    body += struct.pack("<HH2sH", 2, 0x13, b"SH", len(_VERSION)) + _VERSION
    for element, name in ((0x16, titles.calling), (0x17, titles.stat), (0x18, titles.called)):
        if name:
            title = f"{name:{len(name) + 1 & ~1}}".encode("ascii", "replace")
            body += struct.pack("<HH2sH", 2, element, b"AE", len(title)) + title
    return _PREAMBLE + struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(body)) + body


def _even(uid: bytes) -> bytes:
    return uid + b"\0" * (len(uid) % 2)
