import os
from types import SimpleNamespace

import pytest

from lnc_service.receiver.disk import Watermark


@pytest.mark.parametrize(
    ("free_blocks", "association", "an_object"),
    [(100, True, True), (99, False, True), (50, False, True), (49, False, False)],
)
def test_associations_are_refused_before_objects_and_both_before_the_disk_is_full(
    tmp_path, monkeypatch, free_blocks, association, an_object
):
    disk = SimpleNamespace(f_bavail=free_blocks, f_bfree=10**9, f_frsize=4096)
    monkeypatch.setattr(os, "statvfs", lambda _: disk)
    watermark = Watermark(tmp_path, 100 * 4096)
    assert watermark.has_room_for_an_association() is association
    assert watermark.has_room_for_an_object() is an_object
