import resource
import struct
import zlib

import pytest
from pydicom import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from lnc_service.demo.sample import mr_series
from lnc_service.receiver import study_uid
from lnc_service.receiver.study_uid import study_uid_of
from tests.factories import NOW, head

SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian]
UID = b"\x20\x00\x0d\x00UI\x06\x001.2.3\0"


def _encode(dataset, syntax):
    file = DicomBytesIO()
    file.is_little_endian, file.is_implicit_VR = True, syntax == ImplicitVRLittleEndian
    write_dataset(file, dataset)
    data = file.getvalue()
    if syntax != DeflatedExplicitVRLittleEndian:
        return data
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflater.compress(data) + deflater.flush()


def _found(tmp_path, data, syntax=ExplicitVRLittleEndian):
    path = tmp_path / "object"
    path.write_bytes(b"in front" + data)
    with path.open("rb") as file:
        return study_uid_of(file.fileno(), 8, syntax)


def _nested(depth=2):
    dataset = Dataset()
    dataset.StudyInstanceUID = "9.9.9"
    dataset.is_undefined_length_sequence_item = True
    if depth:
        dataset.ReferencedImageSequence = [_nested(depth - 1), Dataset()]
        dataset["ReferencedImageSequence"].is_undefined_length = True
    return dataset


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_the_uid_of_an_image_is_found_in_every_encoding(tmp_path, syntax):
    image = next(mr_series(*head(), NOW))
    assert _found(tmp_path, _encode(image, syntax), syntax) == image.StudyInstanceUID


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_the_uid_of_a_referenced_study_is_not_taken_for_the_objects_own(tmp_path, syntax):
    dataset = _nested()
    dataset.StudyInstanceUID = "1.2.3"
    dataset.add_new(0x00091001, "OB", bytes(40_000))
    dataset.add_new(0x00091002, "UN", b"abc\0")
    assert _found(tmp_path, _encode(dataset, syntax), syntax) == "1.2.3"
    del dataset.StudyInstanceUID
    assert _found(tmp_path, _encode(dataset, syntax), syntax) is None


def test_the_encoding_is_taken_from_the_data_and_not_from_what_was_agreed(tmp_path):
    image = next(mr_series(*head(), NOW))
    data = _encode(image, ImplicitVRLittleEndian)
    assert _found(tmp_path, data, ExplicitVRLittleEndian) == image.StudyInstanceUID


def test_a_private_sequence_of_unknown_vr_holds_implicit_items(tmp_path):
    item = struct.pack("<HHI", 0x0008, 0x0060, 2) + b"MR"
    sequence = struct.pack("<HH2sxxI", 9, 0x1001, b"UN", 0xFFFFFFFF)
    sequence += b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + item + b"\xfe\xff\x0d\xe0\0\0\0\0" + b"\xfe\xff\xdd\xe0\0\0\0\0"
    assert _found(tmp_path, sequence + UID) == "1.2.3"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x08\x00",
        UID[:-2],
        b"\x20\x00\x0d\x00UI\x00\x00",
        b"\x20\x00\x0d\x00UI\x04\x00\xff\xfe\xfd\xfc",
        b"\x20\x00\x0d\x00UI\xff\xff" + bytes(70000),
        b"\xfe\xff\x0d\xe0\0\0\0\0" + UID,
        b"\x09\x00\x01\x00SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * 100 + UID,
        bytes(range(256)) * 4,
    ],
    ids=["empty", "cut", "cut value", "no value", "not text", "too long", "never opened", "too deep", "noise"],
)
def test_what_is_broken_has_no_uid_or_a_part_of_it_and_never_fails(tmp_path, data):
    assert _found(tmp_path, data) in {None, "1.2."}


def test_a_data_set_without_end_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(study_uid, "ELEMENTS_MAX", 100)
    assert _found(tmp_path, b"\x08\x00\x60\x00CS\x02\x00MR" * 99 + UID) == "1.2.3"
    assert _found(tmp_path, b"\x08\x00\x60\x00CS\x02\x00MR" * 100 + UID) is None


def test_a_deflated_object_is_inflated_to_a_limit_and_never_held_whole(tmp_path, monkeypatch):
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    data = deflater.compress(UID) + b"".join(deflater.compress(bytes(1 << 20)) for _ in range(64)) + deflater.flush()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert _found(tmp_path, data, DeflatedExplicitVRLittleEndian) == "1.2.3"
    monkeypatch.setattr(study_uid, "INFLATED_BYTES_MAX", 50 << 20)
    assert _found(tmp_path, data, DeflatedExplicitVRLittleEndian) is None
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20 << 10


def test_what_does_not_inflate_has_no_uid(tmp_path):
    assert _found(tmp_path, b"\xff" * 100, DeflatedExplicitVRLittleEndian) is None
