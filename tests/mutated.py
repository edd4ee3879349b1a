"""Mutated PDUs and objects, and what a receiver answers to them."""

from __future__ import annotations

import random
import socket
import struct
from contextlib import closing

from tests.raw_scu import Association, Encoded, Rejected, associate_rq

STUDY_UID = b"\x20\x00\x0d\x00UI"


def _flip(data: bytearray, chance: random.Random) -> None:
    for _ in range(chance.choice((1, 1, 4, 32))):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _set_early(data: bytearray, chance: random.Random) -> None:
    data[chance.randrange(200)] = chance.randrange(256)


def _cut(data: bytearray, chance: random.Random) -> None:
    del data[chance.randrange(len(data)) :]


def _insert(data: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(data))
    data[at:at] = chance.randbytes(chance.randrange(1, 300))


def _other_context(data: bytearray, chance: random.Random) -> None:
    data[10] = chance.choice((0, 2, 3, 99, 255))


def _other_length(data: bytearray, chance: random.Random) -> None:
    length = chance.choice((0, 1, 5, 0x7FFFFFFF, 0xFFFFFFFF, 1 << 20))
    struct.pack_into(">I", data, chance.choice((2, 6)), length)


def _other_study(data: bytearray, chance: random.Random) -> None:
    at = bytes(data).index(STUDY_UID) + 8
    data[at : at + 12] = chance.choice((b"../../../etc", bytes(12), b" " * 12, chance.randbytes(12), b"/etc/passwd\0"))


MUTATIONS = (_flip, _flip, _flip, _set_early, _cut, _insert, _other_context, _other_length, _other_study)


def send_mutant(port: int, item: Encoded, chance: random.Random, wait_s: float = 0.4) -> str:
    """Send one mutant on a connection of its own; give what came back, in words."""
    try:
        association = Association(port, timeout_s=5.0)
    except OSError as error:
        return f"no connection: {type(error).__name__}"
    with closing(association.sock):
        try:
            if chance.random() < 0.1:
                request = bytearray(associate_rq("LNC", "FUZZ", association.contexts))
                _flip(request, chance)
                association.sock.sendall(request)
                association.sock.settimeout(wait_s)
                return f"association: PDU {association.read_pdu()[0]}"
            association.open()
            data = bytearray(association.prepare(item))
            chance.choice(MUTATIONS)(data, chance)
            association.sock.sendall(data)
            association.sock.shutdown(socket.SHUT_WR)
            association.sock.settimeout(wait_s)
            return f"status {association.answer():04X}"
        except Rejected:
            return "rejected"
        except TimeoutError:
            return "no answer"
        except (OSError, ValueError, struct.error):
            return "closed"
