"""The Study Instance UID of an object on disk, in bounded time and memory whatever the object holds.

`pydicom.dcmread` reads whole sequences and inflates whole deflated objects: 1.5 MB from a peer cost 3.1 GB of memory.
Here only the heads of the elements are looked at; values are skipped, and a deflated object is inflated piece by piece.
"""

from __future__ import annotations

import os
import struct
import zlib
from dataclasses import dataclass

from pydicom.uid import DeflatedExplicitVRLittleEndian

INFLATED_BYTES_MAX = 512 << 20
"""A deflated object may be this large once inflated; larger ones are refused before the worker opens them."""
ELEMENTS_MAX = 100_000
"""So many elements are looked at; the Study Instance UID of a real object is among the first few hundred."""

_STUDY_UID = 0x0020_000D
_ITEM, _ITEM_GROUP = 0xFFFE_E000, 0xFFFE
_UNDEFINED = 0xFFFF_FFFF
_DEPTH_MAX = 64
_UID_LENGTH_MAX = 66
"""64 characters (PS3.5 9.1), and padding."""
_LONG_VRS = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))
"""Value representations whose length has 32 bits (PS3.5 7.1.2)."""
_WINDOW = 16 << 10
_INFLATE_STEP = 256 << 10
_HEADER_BYTES = 1 << 20
"""So much of an inflated object is kept to look for the UID."""


def study_uid_of(descriptor: int, offset: int, transfer_syntax: str) -> str | None:
    """Find the Study Instance UID of a data set; None if it has none, cannot be read, or inflates beyond the limit.

    descriptor
        Of the open file.
    offset
        Where the data set begins in it: behind the file meta information.
    """
    if transfer_syntax != DeflatedExplicitVRLittleEndian:
        return _find(_Window(descriptor, offset))
    head = _inflate_head(descriptor, offset)
    return None if head is None else _find(_Window(None, 0, head))


@dataclass(slots=True)
class _Window:
    """A look at some bytes of a file, or at bytes alone."""

    descriptor: int | None
    offset: int
    data: bytes = b""
    start: int = 0

    def read(self, at: int, size: int) -> bytes:
        """Give `size` bytes from `at`, fewer at the end."""
        if self.descriptor is not None and not self.start <= at <= self.start + len(self.data) - size:
            self.data, self.start = os.pread(self.descriptor, _WINDOW, self.offset + at), at
        return self.data[at - self.start : at - self.start + size]


def _find(window: _Window) -> str | None:
    """Walk over the elements of a little endian data set to its Study Instance UID at the top level.

    `implicit` has one entry for each open sequence or item of undefined length, the data set itself first.
    """
    implicit = [not _is_vr(window.read(0, 8)[4:6])]
    at = 0
    for _ in range(ELEMENTS_MAX):
        head = window.read(at, 12)
        if len(head) < 8 or not 0 < len(implicit) < _DEPTH_MAX:  # noqa: PLR2004 - tag and length
            return None
        tag, in_item, size, length = _element(head, implicit=implicit[-1])
        if tag == _STUDY_UID and len(implicit) == 1:
            return _uid(window.read(at + size, length)) if length <= _UID_LENGTH_MAX else None
        at += size
        if tag >> 16 == _ITEM_GROUP and tag != _ITEM:
            implicit.pop()
        elif length == _UNDEFINED:
            implicit.append(in_item)
        else:
            at += length
    return None


def _element(head: bytes, *, implicit: bool) -> tuple[int, bool, int, int]:
    """Take an element's head apart: its tag, whether items in it have implicit VR, bytes before the value, length."""
    group, element = struct.unpack_from("<HH", head)
    tag, vr = group << 16 | element, head[4:6]
    if group == _ITEM_GROUP or implicit:
        return tag, implicit, 8, struct.unpack_from("<I", head, 4)[0]
    if vr not in _LONG_VRS:
        return tag, implicit, 8, struct.unpack_from("<H", head, 6)[0]
    length = struct.unpack_from("<I", head, 8)[0] if len(head) >= 12 else 0  # noqa: PLR2004
    return tag, vr == b"UN", 12, length  # items in UN of undefined length have implicit VR (PS3.5 6.2.2)


def _is_vr(text: bytes) -> bool:
    """Tell an explicit VR from a length: senders exist that announce the one and send the other."""
    return text.isalpha() and text.isupper()


def _uid(value: bytes) -> str | None:
    """Decode the UID; None if it is empty or not text."""
    try:
        return value.decode("ascii").strip("\0 ") or None
    except UnicodeDecodeError:
        return None


def _inflate_head(descriptor: int, offset: int) -> bytes | None:
    """Inflate a whole object and keep its first bytes; None if it is broken or larger than allowed."""
    inflater, head, size = zlib.decompressobj(-zlib.MAX_WBITS), bytearray(), 0
    try:
        while not inflater.eof:
            data = inflater.unconsumed_tail or os.pread(descriptor, _INFLATE_STEP, offset)
            offset += 0 if inflater.unconsumed_tail else len(data)
            if not data:
                break
            piece = inflater.decompress(data, _INFLATE_STEP)
            head += piece[: _HEADER_BYTES - len(head)]
            size += len(piece)
            if size > INFLATED_BYTES_MAX:
                return None
    except zlib.error:
        return None
    return bytes(head)
