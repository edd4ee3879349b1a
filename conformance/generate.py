"""Code → the tables of the conformance statement, between markers. `make statement` runs it; a test compares."""

from __future__ import annotations

import ast
import inspect
import itertools
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pydicom
from pydantic import BaseModel
from pydicom import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import UID
from pynetdicom import PYNETDICOM_IMPLEMENTATION_UID, AllStoragePresentationContexts
from pynetdicom._globals import DEFAULT_MAX_LENGTH

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from lnc_dicom import codes, errors  # noqa: E402 - the checkout first
from lnc_dicom.study.transfer_syntaxes import TRANSFER_SYNTAXES  # noqa: E402
from lnc_dicom.uids import LABEL_MAP_SEGMENTATION  # noqa: E402
from lnc_dicom.validate.content_tree import template_of, walk  # noqa: E402
from lnc_dicom.validate.sr import groups  # noqa: E402
from lnc_service import deliver, settings  # noqa: E402
from lnc_service.alternatives import CLASS_INSTEAD  # noqa: E402
from lnc_service.receiver import association_guard, receive, storage_scp, study_uid  # noqa: E402
from lnc_service.validate.messages import known_messages  # noqa: E402
from tests.broken_objects import written  # noqa: E402

STATEMENT = ROOT / "conformance" / "statement.md"
_BEGIN, _END = "<!-- generated: {} -->", "<!-- end of {} -->"
_VARIES = {"UI", "DA", "TM", "DT", "SQ", "PN", "OB", "OW"}
_SHOWN = 40
_TIMES = ("InstanceCreation", "Content", "Series")
"""Prefixes of attributes with the time of the result, which the source images may share by chance."""
_OF_ONE_RESULT = {"SoftwareVersions", "ManufacturerModelName", "NumberOfFrames", "DerivationDescription"}


def table(heads: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Write a Markdown table."""
    heads = list(heads)
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def services() -> str:
    """List verification and storage, by role."""
    sent = ", ".join(dataset.SOPClassUID.name.removesuffix(" Storage") for dataset in _objects().values())
    rows = [
        ("Verification", "no", "yes"),
        ("Storage Commitment Push Model", "yes, where `commitment` of a destination is set", "no"),
        ("Study Root Query/Retrieve, FIND", "yes, where `read_back` of a destination is set", "no"),
        (f"Storage: {len(AllStoragePresentationContexts)} classes (Annex A)", "no", "yes"),
        (f"Storage: {sent}", "yes", "yes"),
    ]
    return table(("network service", "as user (SCU)", "as provider (SCP)"), rows)


def transfer_syntaxes() -> str:
    """List the accepted transfer syntaxes, in the order of preference."""
    decoded = [(uid.name, uid, "decoded") for uid in TRANSFER_SYNTAXES]
    refused = [(uid.name, uid, "kept, study refused by name (LNC-110)") for uid in receive.REFUSED_LATER]
    return table(("transfer syntax", "UID", "pixels"), [*decoded, *refused])


def accepted() -> str:
    """List every storage class that is accepted."""
    rows = [(c.abstract_syntax.name, c.abstract_syntax, "SCP") for c in AllStoragePresentationContexts]
    return table(("SOP class", "UID", "role"), rows)


def sent() -> str:
    """List the classes that are sent."""
    rows = [
        (d.SOPClassUID.name, d.SOPClassUID, f"{d.file_meta.TransferSyntaxUID.name}; `{name}`")
        for name, d in _objects().items()
    ]
    rows += [(given.name, given, f"sent where {_class_name(own)} is refused") for own, given in CLASS_INSTEAD.items()]
    return table(("SOP class", "UID", "transfer syntax; file"), rows)


def _class_name(sop_class: UID) -> str:
    return "Label Map Segmentation Storage" if sop_class == LABEL_MAP_SEGMENTATION else sop_class.name


def received_statuses() -> str:
    """List the statuses with which a C-STORE to us is answered."""
    rows = [
        (f"{storage_scp.SUCCESS:04X}", "the object is on disk, synced"),
        (
            f"{storage_scp.OUT_OF_RESOURCES:04X}",
            "not written, larger than `listen.largest_object_mb`, or the disk is nearly full; send it again",
        ),
        (
            f"{storage_scp.CANNOT_UNDERSTAND:04X}",
            f"it has no Study Instance UID, or inflates to more than {study_uid.INFLATED_BYTES_MAX >> 20} MiB",
        ),
    ]
    return table(("status of C-STORE", "when"), rows)


def sent_statuses() -> str:
    """List the consequences of answers to our C-STORE."""
    stored = ", ".join(f"{status:04X}" for status in sorted(deliver._STORED))  # noqa: SLF001 - the statement is about it
    refused = ", ".join(f"{status:04X}" for status in sorted(deliver._REFUSED))  # noqa: SLF001
    rows = [
        (stored, "stored", "the next object is sent"),
        (
            "0122, or the class is not accepted",
            "SOP class refused",
            "the object is sent in another class (5.2.1), if it can",
        ),
        (f"{refused}, A9xx, Cxxx", "refused for good (LNC-202)", "the object is not sent again, the others are"),
        ("any other", "not stored now", "the object is sent again, `retry.attempts` times"),
        ("no answer", "PACS unreachable (LNC-201)", "what it lacks is sent again for `retry.give_up_after_h`"),
    ]
    return table(("status", "means", "consequence"), rows)


def association() -> str:
    """List the association policies."""
    listen = settings.Listen()
    rows = [
        ("maximum PDU received, bytes", association_guard.MAXIMUM_PDU_BYTES, DEFAULT_MAX_LENGTH),
        ("associations at once", f"`listen.associations` ({listen.associations})", "one per study"),
        ("of these from one address", f"`listen.associations_per_address` ({listen.associations_per_address})", "one"),
        ("longest time for a PDU, seconds", f"{association_guard.PDU_S:g}", "`pacs.timeout_s`"),
        ("asynchronous operations", "none", "none"),
        ("called AE title is checked", "yes, `listen.also_called` besides", "not applicable"),
        ("calling AE title is checked", "where `listen.calling` is set", "not applicable"),
        ("AE title", f"`listen.ae_title` ({listen.ae_title})", f"`listen.ae_title` ({listen.ae_title})"),
        ("implementation class UID", PYNETDICOM_IMPLEMENTATION_UID, "the same (pynetdicom's)"),
    ]
    return table(("policy", "as acceptor", "as requestor"), rows)


def configuration() -> str:
    """List every setting with default and meaning."""
    return table(("parameter", "default", "meaning"), _settings(settings.Settings, ""))


def _settings(model: type[BaseModel], prefix: str) -> Iterable[tuple[str, str, str]]:
    meanings = _attribute_docstrings(model)
    for name, field in model.model_fields.items():
        kind = field.annotation
        if inspect.isclass(kind) and issubclass(kind, BaseModel):
            yield from _settings(kind, f"{prefix}{name}.")
        else:
            yield (
                f"`{prefix}{name}`",
                "required" if field.is_required() else _default(field.default),
                meanings.get(name, ""),
            )


def _default(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return f"`{text}`" if text else ""


def _attribute_docstrings(model: type[BaseModel]) -> dict[str, str]:
    """Give the first line of the string below every attribute of a class."""
    body = ast.parse(textwrap.dedent(inspect.getsource(model))).body[0].body  # type: ignore[attr-defined]
    found = {}
    for attribute, text in itertools.pairwise(body):
        if isinstance(attribute, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            found[attribute.target.id] = str(text.value.value).split("\n")[0]  # type: ignore[union-attr]
    return found


def error_codes() -> str:
    """List every error code."""
    classes = [c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, errors.LncError)]
    rows = sorted((c.code, (inspect.getdoc(c) or "").splitlines()[0]) for c in classes)
    return table(("code", "meaning"), [row for row in rows if row[0] != "LNC-000"])


def local_codes() -> str:
    """List the codes of our own scheme."""
    found = sorted(c for c in vars(codes).values() if isinstance(c, Code) and c.scheme_designator == codes.LOCAL_SCHEME)
    rows = [(c.value, c.scheme_designator, c.meaning) for c in found]
    rows.append((f"{codes.CATEGORY_PROBABILITY}-1, -2, …", codes.LOCAL_SCHEME, "Probability of a category of the site"))
    return table(("code", "scheme", "meaning"), rows)


def standard_codes() -> str:
    """List the codes of the standard that are written."""
    found = {
        c for v in vars(codes).values() for c in (v.values() if isinstance(v, dict) else (v,)) if isinstance(c, Code)
    }
    rows = sorted((c.scheme_designator, c.value, c.meaning) for c in found if c.scheme_designator != codes.LOCAL_SCHEME)
    return table(("scheme", "code", "meaning"), rows)


def report_content() -> str:
    """List the content items of the report: those of the root and those of one group."""
    sr = _objects()["measurements.dcm"]
    first = next(iter(groups(sr)))
    rows = [("TID 1500", *_row(item, -1)) for where, item in walk(sr) if where.count(".") == 1]
    rows += [(f"TID {template_of(first[1])}", *_row(item, w.count(".") - 2)) for w, item in walk(first[1])]
    return table(("template", "relationship", "value type", "concept name"), rows)


def _row(item: Dataset, depth: int) -> tuple[str, str, str]:
    name = item.ConceptNameCodeSequence[0]
    concept = f"{name.CodeValue} {name.CodingSchemeDesignator} {name.CodeMeaning}"
    return item.RelationshipType, item.ValueType, f"{'> ' * (depth + 1)}{concept}"


def attributes_of(name: str) -> Callable[[], str]:
    """Give the function that lists the attributes of an object."""

    def attributes() -> str:
        dataset = next(d for file, d in _objects().items() if file.startswith(name))  # of several pages the first
        source = _source()
        rows = []
        for element in dataset:
            ours = element.keyword.startswith(_TIMES)
            copied = not ours and element.tag in source and source[element.tag].value == element.value
            rows.append(
                (element.tag, element.keyword, element.VR, "images" if copied else "lnc-dicom", _value(element))
            )
            if copied:
                rows[-1] = (*rows[-1][:-1], "")
        return table(("tag", "attribute", "VR", "from", "value"), rows)

    return attributes


def _value(element: pydicom.DataElement) -> str:
    """Give a value that is the same in every result; empty for all others."""
    if element.VR in _VARIES or element.keyword in _OF_ONE_RESULT or element.is_empty:
        return ""
    text = str(element.value) if element.VM == 1 else "\\".join(str(v) for v in element.value)
    return text if len(text) <= _SHOWN else ""


def harmless_messages() -> str:
    """List the messages of validators that are harmless, with their causes."""
    rows = [(row.program, f"`{row.example[:90]}`", row.cause) for row in known_messages() if row.harmless]
    return table(("program", "message", "cause"), rows)


_SOURCE = "source"
_cache: dict[str, Dataset] = {}


def _objects() -> dict[str, Dataset]:
    """Encode the objects of a small synthetic head, in the order in which they are sent."""
    if not _cache:
        with tempfile.TemporaryDirectory() as folder:
            _cache.update(written(Path(folder)))
            _cache[_SOURCE] = pydicom.dcmread(min(Path(folder).glob("*.dcm")))
    return {name: dataset for name, dataset in _cache.items() if name != _SOURCE}


def _source() -> Dataset:
    _objects()
    return _cache[_SOURCE]


TABLES: dict[str, Callable[[], str]] = {
    "services": services,
    "transfer syntaxes": transfer_syntaxes,
    "SOP classes accepted": accepted,
    "SOP classes sent": sent,
    "statuses answered": received_statuses,
    "statuses received": sent_statuses,
    "association policies": association,
    "configuration": configuration,
    "error codes": error_codes,
    "local codes": local_codes,
    "standard codes": standard_codes,
    "report content": report_content,
    "attributes of the segmentation": attributes_of("segmentation"),
    "attributes of the report": attributes_of("measurements"),
    "attributes of the summary page": attributes_of("summary"),
    "messages of validators": harmless_messages,
}


def render(text: str) -> str:
    """Put every table of the statement between its markers. Raises ValueError if a marker is missing."""
    return replace_tables(text, TABLES)


def replace_tables(text: str, tables: Mapping[str, Callable[[], str]]) -> str:
    """Put every table between its markers. Raises ValueError if a marker is missing."""
    for name, make in tables.items():
        begin, end = _BEGIN.format(name), _END.format(name)
        before, rest = text.split(begin)
        text = f"{before}{begin}\n\n{make()}\n\n{end}{rest.split(end)[1]}"
    return text


if __name__ == "__main__":
    STATEMENT.write_text(render(STATEMENT.read_text(encoding="utf-8")), encoding="utf-8")
