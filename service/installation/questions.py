"""Five answers → a file of settings with a word on each line. It is read back before it is written."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from lnc_dicom.errors import BadSettings
from lnc_service.settings import load_settings

DEFAULT_PORT = 104


@dataclass(frozen=True, slots=True)
class Answers:
    """What `lnc config init` asks.

    pacs
        HOST or HOST:PORT.
    senders
        Titles with commas between them; empty: every one.
    """

    ae_title: str
    pacs: str
    pacs_ae_title: str
    spool: str
    senders: str = ""


QUESTIONS = (
    ("ae_title", "Our application entity title", "LNC"),
    ("pacs", "Address of the PACS, HOST:PORT", ""),
    ("pacs_ae_title", "Its application entity title", ""),
    ("spool", "Folder for images and results, on a disk with room", "/var/lib/lnc"),
    ("senders", "Titles that may send to us, with commas; none: every one", ""),
)
"""Name of the answer, question, and what is taken where nothing is typed."""

_FILE = """\
# Written by `lnc config init`. Every setting: docs/reference/configuration.md.
spool = {spool}
# rules = "rules.toml"          # which studies are measured and where results go: docs/reference/rules.md
# database_url = "postgresql://…"  # for workers on several machines

[listen]
ae_title = {ae_title}
port = 11112
calling = [{senders}]           # titles that may send; none: every one

[pacs]
host = {host}
port = {port}
ae_title = {pacs_ae_title}
"""


def settings_text(answers: Answers) -> str:
    """Write the settings. Raises BadSettings where an answer cannot be used, saying which, never its value."""
    host, _, port = answers.pacs.strip().rpartition(":") if ":" in answers.pacs else (answers.pacs.strip(), "", "")
    if not host or (port and not port.isdigit()):
        raise BadSettings("the address of the PACS is HOST:PORT")
    senders = ", ".join(_quoted(title.strip()) for title in answers.senders.split(",") if title.strip())
    text = _FILE.format(
        spool=_quoted(answers.spool),
        ae_title=_quoted(answers.ae_title),
        senders=senders,
        host=_quoted(host),
        port=int(port or DEFAULT_PORT),
        pacs_ae_title=_quoted(answers.pacs_ae_title),
    )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "lnc.toml"
        file.write_text(text, encoding="utf-8")
        load_settings(file)
    return text


def _quoted(text: str) -> str:
    """Write a TOML string."""
    return '"' + text.strip().replace("\\", "\\\\").replace('"', '\\"') + '"'
