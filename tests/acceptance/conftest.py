"""Real peers: Orthanc as the PACS, DCMTK's storescu as the scanner, our service as a process of its own."""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request

import pytest

from lnc_dicom.cli.console import quieten_libraries
from lnc_service.demo.main import free_port
from lnc_service.jobs import list_jobs
from lnc_service.settings import load_settings
from lnc_service.states import ENDED

RESULTS = 3
"""Objects that a PACS gets by default of a T1 alone: SEG, SR, summary page; no predictions of a demonstration model."""
_LNC = [sys.executable, "-c", "from lnc_service.cli import main; main()"]


def lnc(*arguments):
    command = [*_LNC, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="session")
def process_once(data, tmp_path_factory):
    """Process a study the first time it is asked for; tests come in random order."""

    @functools.cache
    def run(name):
        out = tmp_path_factory.mktemp("out")
        done = lnc("process", data / name, "--out", out)
        assert done.returncode == 0, done.stderr
        return name, out, json.loads((out / "result.json").read_text())

    return run


def wait_for(what, limit_s=90.0):
    """Wait until `what` gives something; give it back."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        found = what()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"nothing within {limit_s} s")


class Orthanc:
    """Debian's Orthanc with a storage of its own."""

    def __init__(self, program, folder, plugins=()):
        self.dicom_port, self.http_port = free_port(), free_port()
        self.program, self.folder = program, folder
        self.process = None
        folder.mkdir()
        config = {
            "Name": "PACS",
            "DicomAet": "ORTHANC",
            "DicomPort": self.dicom_port,
            "HttpPort": self.http_port,
            "StorageDirectory": str(folder / "storage"),
            "IndexDirectory": str(folder / "index"),
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "Plugins": list(plugins),
            "DicomModalitiesInDatabase": True,
        }
        (folder / "orthanc.json").write_text(json.dumps(config))

    def start(self):
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen([self.program, str(self.folder / "orthanc.json")], stderr=log, stdout=log)
        wait_for(self._answers, 30)
        return self

    def _answers(self):
        try:
            return self.get("/system")
        except OSError:
            return None

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait()

    def get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}{path}") as answer:
            data = answer.read()
        return data if path.endswith("/file") else json.loads(data)

    def put(self, path, values, method="PUT"):
        data = json.dumps(values).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.http_port}{path}", data, method=method)
        with urllib.request.urlopen(request) as answer:
            return answer.read()

    def know(self, port, title="LNC"):
        """Tell it where an application entity listens, so that it can report and send."""
        self.put("/modalities/lnc", {"AET": title, "Host": "127.0.0.1", "Port": port})

    def objects(self):
        """Every stored object as bytes, by modality."""
        found = {}
        for identifier in self.get("/instances"):
            tags = self.get(f"/instances/{identifier}/simplified-tags")
            found.setdefault(tags["Modality"], []).append(self.get(f"/instances/{identifier}/file"))
        return found


@pytest.fixture
def orthanc(tmp_path, program):
    pacs = Orthanc(program("Orthanc"), tmp_path / "orthanc")
    yield pacs
    pacs.stop()


class Service:
    """`lnc serve` as a process; `program` is what runs `lnc`."""

    def __init__(self, folder, pacs_port, program=_LNC, more="", quiet_s=1.5, title="ORTHANC", database=""):
        self.port = free_port()
        self.program = list(program)
        self.environment = {**os.environ}
        self.spool = folder / "spool"
        self.config = folder / "lnc.toml"
        self.log = folder / "service.log"
        self.config.write_text(
            f'spool = "{self.spool}"\ndatabase_url = "{database}"\n'
            f'[listen]\nhost = "127.0.0.1"\nport = {self.port}\nstudy_quiet_s = {quiet_s}\n'
            f'[pacs]\nhost = "127.0.0.1"\nport = {pacs_port}\nae_title = "{title}"\ntimeout_s = 5\n'
            f"[retry]\nfirst_wait_s = 0.5\nlongest_wait_s = 2\nattempts = 5\nbackoff = 1.1\n{more}"
        )
        self.process = None
        self.groups = []

    def start(self, command="serve"):
        event = "listening" if command == "serve" else "working"
        before = self.events().count(event)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.program, command, "--config", str(self.config)],
                stderr=log,
                stdout=log,
                start_new_session=True,
                env=self.environment,
            )
        self.groups.append(self.process.pid)
        wait_for(lambda: self.events().count(event) > before, 60)
        return self

    def lines(self, event=None):
        """Log lines; every one of them is JSON."""
        text = self.log.read_text() if self.log.exists() else ""
        lines = [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
        return [line for line in lines if event in (None, line["event"])]

    def events(self):
        return [line["event"] for line in self.lines()]

    def kill(self):
        """Pull the plug of everything at once."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(40)

    def jobs(self, **options):
        return list_jobs(load_settings(self.config), **options)

    def finished(self, count):
        """The jobs, once so many have ended."""
        done = [j for j in self.jobs() if j.state in ENDED]
        return done if len(done) >= count else None

    def send(self, storescu, *paths, options=()):
        """Send files or folders as a scanner would."""
        command = [storescu, *options, "+sd", "+r", "-aec", "LNC", "127.0.0.1", str(self.port), *map(str, paths)]
        environment = {**os.environ, "TCP_NODELAY": "1"}
        subprocess.run(command, check=True, env=environment, capture_output=True)


@pytest.fixture
def service(tmp_path, orthanc):
    quieten_libraries()
    running = Service(tmp_path, orthanc.dicom_port)
    yield running
    running.stop()
