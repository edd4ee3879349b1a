"""Free space on the spool's disk: senders are told to wait before it is full, and room is left for the database."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Watermark:
    """How much space must be free for more to be received.

    folder
        A folder on the disk.
    free_bytes
        New associations are refused below this, objects below half of it: what is under way may still end. The other
        half is kept for results and the workflow database.
    """

    folder: Path
    free_bytes: int

    def has_room_for_an_association(self) -> bool:
        """Tell whether another sender may begin."""
        return self._free() >= self.free_bytes

    def has_room_for_an_object(self) -> bool:
        """Tell whether an object may be kept."""
        return self._free() >= self.free_bytes // 2

    def _free(self) -> int:
        """Bytes that an unprivileged user may still write."""
        disk = os.statvfs(self.folder)
        return disk.f_bavail * disk.f_frsize
