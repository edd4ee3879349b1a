"""A storage SCU on bare sockets: every byte can be changed or held back, and almost nothing but the peer is timed."""

from __future__ import annotations

import io
import socket
import struct
from dataclasses import dataclass, field

import pydicom
from pydicom import Dataset

EXPLICIT_LE = "1.2.840.10008.1.2.1"
VERIFICATION = "1.2.840.10008.1.1"
MR = "1.2.840.10008.5.1.4.1.1.4"
ASSOCIATE_RQ, ASSOCIATE_AC, ASSOCIATE_RJ, P_DATA, RELEASE_RQ, RELEASE_RP, ABORT = range(1, 8)


@dataclass
class Encoded:
    """An object without its file meta information."""

    sop_class: str
    sop_instance: str
    syntax: str
    data: bytes


class Rejected(Exception):
    """Result, source and reason of an A-ASSOCIATE-RJ."""


def encoded(dataset: Dataset) -> Encoded:
    """Encode a data set in the transfer syntax of its file meta."""
    file = io.BytesIO()
    pydicom.dcmwrite(file, dataset, enforce_file_format=True)
    data = file.getvalue()
    begin = 144 + struct.unpack("<I", data[140:144])[0]
    meta = dataset.file_meta
    return Encoded(dataset.SOPClassUID, dataset.SOPInstanceUID, meta.TransferSyntaxUID, data[begin:])


def _element(element: int, value: bytes) -> bytes:
    return struct.pack("<HHI", 0, element, len(value)) + value


def _uid(text: str) -> bytes:
    return text.encode() + b"\0" * (len(text) % 2)


def _command(*elements: tuple[int, bytes]) -> bytes:
    body = b"".join(_element(*e) for e in elements)
    return _element(0, struct.pack("<I", len(body))) + body


def store_command(item: Encoded, message: int) -> bytes:
    return _command(
        (0x0002, _uid(item.sop_class)),
        (0x0100, struct.pack("<H", 1)),
        (0x0110, struct.pack("<H", message)),
        (0x0700, struct.pack("<H", 0)),
        (0x0800, struct.pack("<H", 1)),
        (0x1000, _uid(item.sop_instance)),
    )


def echo_command(message: int = 1) -> bytes:
    return _command(
        (0x0002, _uid(VERIFICATION)),
        (0x0100, struct.pack("<H", 0x30)),
        (0x0110, struct.pack("<H", message)),
        (0x0800, struct.pack("<H", 0x101)),
    )


def p_data(context: int, control: int, data: bytes) -> bytes:
    return struct.pack(">BBI", P_DATA, 0, len(data) + 6) + struct.pack(">IBB", len(data) + 2, context, control) + data


def _item(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(body)) + body


def associate_rq(called: str, calling: str, contexts: list[tuple[str, list[str]]], max_pdu: int = 16384) -> bytes:
    body = struct.pack(">HH16s16s32x", 1, 0, called.ljust(16).encode(), calling.ljust(16).encode())
    body += _item(0x10, b"1.2.840.10008.3.1.1.1")
    for n, (abstract, syntaxes) in enumerate(contexts):
        inner = _item(0x30, abstract.encode()) + b"".join(_item(0x40, s.encode()) for s in syntaxes)
        body += _item(0x20, struct.pack(">B3x", 2 * n + 1 & 0xFF) + inner)
    body += _item(0x50, _item(0x51, struct.pack(">I", max_pdu)) + _item(0x52, b"1.2.3"))
    return struct.pack(">BBI", ASSOCIATE_RQ, 0, len(body)) + body


@dataclass
class Association:
    """An association with a receiver; `contexts` as (abstract syntax, transfer syntaxes)."""

    port: int
    called: str = "LNC"
    calling: str = "SCANNER"
    contexts: list[tuple[str, list[str]]] = field(
        default_factory=lambda: [(MR, [EXPLICIT_LE]), (VERIFICATION, [EXPLICIT_LE])]
    )
    timeout_s: float = 30.0
    source: str = "127.0.0.1"

    def __post_init__(self) -> None:
        self.max_pdu = 16384
        self.accepted: dict[int, str] = {}
        self.sock = socket.create_connection(("127.0.0.1", self.port), self.timeout_s, (self.source, 0))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def open(self) -> Association:
        self.sock.sendall(associate_rq(self.called, self.calling, self.contexts))
        kind, body = self.read_pdu()
        if kind == ASSOCIATE_RJ:
            self.sock.close()
            raise Rejected(tuple(body[1:4]))
        assert kind == ASSOCIATE_AC
        at = 68
        while at + 4 <= len(body):
            item, _, length = struct.unpack_from(">BBH", body, at)
            self._accept(item, body[at + 4 : at + 4 + length])
            at += 4 + length
        return self

    def _accept(self, item: int, value: bytes) -> None:
        if item == 0x21 and value[2] == 0:
            (size,) = struct.unpack_from(">H", value, 6)
            self.accepted[value[0]] = value[8 : 8 + size].rstrip(b"\0").decode()
        elif item == 0x50:
            at = value.index(b"\x51\0\0\4")
            (self.max_pdu,) = struct.unpack_from(">I", value, at + 4)

    def prepare(self, item: Encoded, message: int = 1) -> bytes:
        """Cut an object into PDUs."""
        (context,) = (2 * n + 1 for n, (a, s) in enumerate(self.contexts) if a == item.sop_class and item.syntax in s)
        room = self.max_pdu - 6
        pdus = [p_data(context, 3, store_command(item, message))]
        for at in range(0, len(item.data), room):
            last = at + room >= len(item.data)
            pdus.append(p_data(context, 2 if last else 0, item.data[at : at + room]))
        return b"".join(pdus)

    def store(self, item: Encoded, message: int = 1) -> int:
        self.sock.sendall(self.prepare(item, message))
        return self.answer()

    def echo(self) -> int:
        (context,) = (2 * n + 1 for n, (abstract, _) in enumerate(self.contexts) if abstract == VERIFICATION)
        self.sock.sendall(p_data(context, 3, echo_command()))
        return self.answer()

    def answer(self) -> int:
        """Read one response; its status. Raises ConnectionError at an abort or a closed connection."""
        kind, body = self.read_pdu()
        if kind != P_DATA:
            raise ConnectionError(f"PDU {kind}")
        at = body.index(b"\0\0\0\x09\x02\0\0\0")
        return struct.unpack_from("<H", body, at + 8)[0]

    def read_pdu(self) -> tuple[int, bytes]:
        kind, _, length = struct.unpack(">BBI", self._read(6))
        return kind, self._read(length)

    def _read(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            got = self.sock.recv(size - len(data))
            if not got:
                raise ConnectionError("closed")
            data += got
        return bytes(data)

    def release(self) -> None:
        self.sock.sendall(struct.pack(">BBII", RELEASE_RQ, 0, 4, 0))
        assert self.read_pdu()[0] == RELEASE_RP
        self.sock.close()
