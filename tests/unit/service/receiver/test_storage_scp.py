import io
import struct

import pydicom
import pytest
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.dimse_messages import C_ECHO_RSP, C_STORE_RSP
from pynetdicom.dsutils import create_file_meta, decode, encode_file_meta

from lnc_service.arriving import Arriving
from lnc_service.receiver.storage_scp import (
    CANNOT_UNDERSTAND,
    OUT_OF_RESOURCES,
    SUCCESS,
    BrokenMessageError,
    Command,
    Messages,
    Titles,
    encode_response,
    file_meta,
)
from tests.raw_scu import MR, Encoded, echo_command, store_command

ITEM = Encoded(MR, "1.2.3.4.5", ExplicitVRLittleEndian, b"the data set")


class Keeper:
    """Keeps in memory, and refuses where a test says so."""

    def __init__(self, folder):
        self.folder, self.kept, self.room, self.status = folder, [], 10**9, SUCCESS

    def begin(self):
        if not self.room:
            raise OSError
        return Arriving(self.folder)

    def check(self, incoming):
        if incoming.arriving.size > self.room:
            raise OSError

    def keep(self, incoming):
        self.kept.append(incoming.arriving.path.read_bytes()[incoming.data_begins :])
        return self.status


@pytest.fixture
def keeper(tmp_path):
    return Keeper(tmp_path)


@pytest.fixture
def talk(keeper, tmp_path):
    """Messages that go to the keeper, and the statuses of what they answer; nothing must be left in the folder."""
    answers = []

    def syntax_of(context):
        if context not in {1, 3}:
            raise BrokenMessageError
        return ExplicitVRLittleEndian

    def answer(context, response):
        answers.append((context, decode(io.BytesIO(response), True, True).Status))  # noqa: FBT003 - pynetdicom's

    messages = Messages(keeper, syntax_of, answer)
    yield messages, answers
    messages.drop()
    assert not list(tmp_path.iterdir())


def _pdv(context, control, data):
    return struct.pack(">IBB", len(data) + 2, context, control) + data


def _take(messages, *pdvs):
    return messages.take(memoryview(b"".join(pdvs)))


def _object(message=1, item=ITEM):
    return [_pdv(1, 3, store_command(item, message)), _pdv(1, 2, item.data)]


def test_an_object_in_one_pdu_is_kept_and_answered(talk, keeper):
    messages, answers = talk
    assert not _take(messages, *_object())
    assert keeper.kept == [ITEM.data]
    assert answers == [(1, SUCCESS)]


def test_fragments_are_put_together_wherever_they_are_cut(talk, keeper):
    messages, answers = talk
    command = store_command(ITEM, 1)
    assert _take(messages, _pdv(1, 1, command[:10]))
    assert _take(messages, _pdv(1, 1, command[10:20]), _pdv(1, 3, command[20:]), _pdv(1, 0, ITEM.data[:4]))
    assert _take(messages, _pdv(1, 0, b""))
    assert answers == []
    assert not _take(messages, _pdv(1, 2, ITEM.data[4:]))
    assert keeper.kept == [ITEM.data]


def test_several_messages_in_one_pdu_are_answered_in_order(talk, keeper):
    messages, answers = talk
    _take(messages, *_object(1), _pdv(3, 3, echo_command()), *_object(2))
    assert answers == [(1, SUCCESS), (3, SUCCESS), (1, SUCCESS)]
    assert len(keeper.kept) == 2


def test_what_the_keeper_says_is_answered(talk, keeper):
    messages, answers = talk
    keeper.status = CANNOT_UNDERSTAND
    _take(messages, *_object())
    assert answers == [(1, CANNOT_UNDERSTAND)]


@pytest.mark.parametrize("room", [0, 400])
def test_an_object_without_room_is_read_to_its_end_and_answered_with_try_again(talk, keeper, room, tmp_path):
    messages, answers = talk
    keeper.room = room
    large = Encoded(MR, "1.2.3", ExplicitVRLittleEndian, bytes(1000))
    assert _take(messages, _pdv(1, 3, store_command(large, 1)), _pdv(1, 0, large.data))
    assert not list(tmp_path.iterdir())
    _take(messages, _pdv(1, 2, b"end"))
    keeper.room = 10**9
    _take(messages, *_object())
    assert answers == [(1, OUT_OF_RESOURCES), (1, SUCCESS)]
    assert keeper.kept == [ITEM.data]


@pytest.mark.parametrize(
    "item", [Encoded("", "1.2.3", "", b"x"), Encoded(MR, "", "", b"x"), Encoded(MR, "1" * 65, "", b"x")]
)
def test_an_object_without_usable_identity_is_refused(talk, keeper, item):
    messages, answers = talk
    _take(messages, *_object(item=item))
    assert answers == [(1, CANNOT_UNDERSTAND)]
    assert keeper.kept == []


def _with_field(command, value):
    at = command.index(b"\0\0\0\x01\x02\0\0\0") + 8
    return command[:at] + struct.pack("<H", value) + command[at + 2 :]


STORE = store_command(ITEM, 1)


@pytest.mark.parametrize(
    "pdvs",
    [
        [_pdv(1, 2, b"data without a command")],
        [_pdv(1, 3, STORE), _pdv(1, 3, STORE)],
        [_pdv(1, 3, STORE), _pdv(3, 2, b"another context")],
        [_pdv(99, 3, STORE)],
        [_pdv(1, 3, _with_field(STORE, 0x0020))],
        [_pdv(1, 3, _with_field(STORE, 0x0030))],
        [_pdv(1, 3, _with_field(echo_command(), 0x0001))],
        [_pdv(1, 3, b"")],
        [_pdv(1, 3, b"\x08\0" + STORE[2:])],
        [struct.pack(">IBB", 1, 1, 3)],
        [struct.pack(">IBB", 0xFFFFFFFF, 1, 3)],
        [_pdv(1, 1, bytes(1000))] * 20,
    ],
    ids=[
        *("no command", "second command", "other context", "unknown context", "C-FIND", "C-ECHO with data"),
        *("C-STORE without data", "empty", "not group 0000", "too short", "too long", "endless command"),
    ],
)
def test_what_is_not_a_message_of_ours_is_broken(talk, keeper, pdvs):
    messages, _ = talk
    with pytest.raises(BrokenMessageError):
        _take(messages, *pdvs)
    assert keeper.kept == []


def test_a_cancel_is_not_answered(talk):
    messages, answers = talk
    assert not _take(messages, _pdv(1, 3, _with_field(echo_command(), 0x0FFF)))
    assert answers == []


@pytest.mark.parametrize("sop_class", [MR, "1.2.840.10008.5.1.4.1.1.66.4"])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_the_file_meta_information_is_the_same_as_pynetdicoms(sop_class, syntax):
    for instance in ("1.2.3", "1.2.34"):
        theirs = encode_file_meta(
            create_file_meta(sop_class_uid=UID(sop_class), sop_instance_uid=UID(instance), transfer_syntax=syntax)
        )
        assert file_meta(sop_class.encode(), instance.encode(), syntax) == b"\0" * 128 + b"DICM" + theirs


@pytest.mark.parametrize("sender", ["ODD", "EVEN"])
def test_titles_are_written_after_everything_else(sender):
    titles = Titles(calling=sender, stat=sender, called="LNC")
    found = pydicom.dcmread(io.BytesIO(file_meta(MR.encode(), b"1.2.3", ImplicitVRLittleEndian, titles)))
    assert found.file_meta.SourceApplicationEntityTitle == found.file_meta.SendingApplicationEntityTitle == sender
    assert found.file_meta.ReceivingApplicationEntityTitle == "LNC"
    assert found.file_meta.MediaStorageSOPInstanceUID == "1.2.3"


@pytest.mark.parametrize(("field", "kind"), [(0x0001, C_STORE_RSP), (0x0030, C_ECHO_RSP)])
def test_a_response_has_the_elements_of_the_standard(field, kind):
    command = Command(field, 7, MR.encode(), b"1.2.3", has_data_set=True)
    response = decode(io.BytesIO(encode_response(command, 0xA700)), True, True)  # noqa: FBT003
    required = {e.keyword for e in kind().command_set} - {"OffendingElement", "ErrorComment"}
    assert {e.keyword for e in response} == required
    assert response.CommandField == field | 0x8000
    assert response.MessageIDBeingRespondedTo == 7
    assert response.AffectedSOPClassUID == MR
    assert response.Status == 0xA700
    assert response.CommandGroupLength == len(encode_response(command, 0xA700)) - 12
