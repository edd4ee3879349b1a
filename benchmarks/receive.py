"""The receiver beside DCMTK's storescp and Orthanc, and among bad peers.

    python benchmarks/receive.py race [--objects 200]      all receivers run at once and take turns
    python benchmarks/receive.py peers                     stuck, trickling, silent, endless
    python benchmarks/receive.py computing [--heads 5]      idle and while heads are measured, in turns
    python benchmarks/receive.py mutants [--mutants 10000] [--log FILE]   mutated PDUs and objects; goes on after a log

The race has 1 and 4 associations; after each kind of bad peer come the memory and the wait of a good one. Objects of
239 kB go over loopback. storescp does not sync what it answers with success; Orthanc and we do.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, closing, contextmanager, suppress
from multiprocessing import Pipe, Process
from multiprocessing.connection import Connection
from pathlib import Path
from typing import cast

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pydicom.uid import generate_uid  # noqa: E402

from benchmarks.rounds import Row, in_batches  # noqa: E402
from lnc_service.child import Computer  # noqa: E402
from lnc_service.demo.sample import icbm152, mr_series  # noqa: E402
from lnc_service.manifest import Closed, Manifest, close_study  # noqa: E402
from lnc_service.settings import load_settings  # noqa: E402
from lnc_service.spool import Spool  # noqa: E402
from tests.factories import NOW, head  # noqa: E402
from tests.mutated import send_mutant  # noqa: E402 - the checkout first
from tests.raw_scu import EXPLICIT_LE, MR, Association, Encoded, Rejected, encoded, p_data, store_command  # noqa: E402

PIXELS = random.Random(14).randbytes(239_000)  # noqa: S311
ROOT_UID = f"1.2.826.0.1.3680043.8.498.{random.randrange(10**9, 10**10)}"  # noqa: S311
BURST = 8
_ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("LNC_")}


def ours(folder: Path, port: int) -> list[str]:
    listen = f'[listen]\nhost = "127.0.0.1"\nport = {port}\nfree_disk_mb = 0\n'
    pacs = '[pacs]\nhost = "127.0.0.1"\nae_title = "PACS"\n'
    (folder / "lnc.toml").write_text(f'spool = "{folder}/spool"\n{listen}{pacs}')
    return [sys.executable, "-m", "lnc_service.receiver.receive", "--config", str(folder / "lnc.toml")]


def storescp(folder: Path, port: int) -> list[str]:
    return ["/usr/bin/storescp", "--fork", "-od", str(folder), "-pdu", "131072", str(port)]


def orthanc(folder: Path, port: int) -> list[str]:
    settings = {"DicomAet": "LNC", "DicomPort": port, "HttpServerEnabled": False, "Plugins": []}
    settings |= {"StorageDirectory": str(folder / "s"), "IndexDirectory": str(folder / "s")}
    (folder / "orthanc.json").write_text(json.dumps(settings))
    return ["/usr/sbin/Orthanc", str(folder / "orthanc.json")]


RECEIVERS: dict[str, Callable[[Path, int], list[str]]] = {"ours": ours, "storescp": storescp, "Orthanc": orthanc}


@contextmanager
def running(name: str, folder: Path):  # noqa: ANN201 - a generator of (process, port)
    """Run a receiver until the end of the block."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / name).mkdir()
    command = RECEIVERS[name](folder / name, port)
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, cwd=folder / name, env=_ENVIRONMENT | {"TCP_NODELAY": "1"}
        )
    try:
        if echo_s(port, 60) is None:
            raise SystemExit(f"{name} does not answer")
        yield process, port
    finally:
        process.terminate()
        process.wait(30)


def objects(count: int, study_uid: str | None = None) -> list[Encoded]:
    """Objects of a study; a new one unless it is named."""
    dataset = next(mr_series(*head(), NOW))
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"{ROOT_UID}.10000000"
    dataset.StudyInstanceUID = study_uid or generate_uid()
    dataset.Rows, dataset.Columns, dataset.PixelData = 250, 478, PIXELS
    block = dataset.private_block(0x0029, "BENCHMARK", create=True)
    for number in range(40):  # real headers hold some 8 kB of the vendor's
        block.add_new(number, "OB", PIXELS[:200])
    one = encoded(dataset)
    uids = [f"{ROOT_UID}.{random.randrange(10**7, 10**8)}" for _ in range(count)]  # noqa: S311 - of one length
    begin, end = one.data.split(one.sop_instance.encode(), 1)
    return [Encoded(one.sop_class, uid, one.syntax, begin + uid.encode() + end) for uid in uids]


def echo_s(port: int, limit_s: float) -> float | None:
    """Seconds until a new sender has an answer; None within the limit."""
    start = time.monotonic()
    while time.monotonic() - start < limit_s:
        with suppress(OSError, Rejected):
            association = Association(port, timeout_s=5)
            with closing(association.sock):
                association.open().echo()
                return round(time.monotonic() - start, 2)
        time.sleep(0.05)
    return None


def cpu_s(pid: int) -> float:
    """Processor time of a process and its children."""
    own = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return sum(map(int, own)) / os.sysconf("SC_CLK_TCK") + sum(cpu_s(int(child)) for child in children)


def sender(ports: dict[str, int], pipe: Connection, each: int) -> None:
    """Send `each` objects to the receiver that is named, whenever one is; reply with refusals, begin and answers."""
    study_uid, waiting = generate_uid(), list[Encoded]()
    links = {name: Association(port, timeout_s=60).open() for name, port in ports.items()}
    while (name := pipe.recv()) is not None:
        if not waiting:  # so that little but the receivers works between the turns
            waiting = objects(8 * BURST, study_uid)
        buffers = [links[name].prepare(waiting.pop(), n + 1) for n in range(each)]
        pipe.send("prepared")
        pipe.recv()
        refused, times = 0, [time.monotonic()]
        for buffer in buffers:
            links[name].sock.sendall(buffer)
            refused += bool(links[name].answer())
            times.append(time.monotonic())
        pipe.send((refused, times))
    for link in links.values():
        link.release()


def race(count: int, associations: int) -> None:
    """Let every receiver that is installed take turns; one line each."""
    names = [n for n in RECEIVERS if n == "ours" or shutil.which(RECEIVERS[n](Path(tempfile.mkdtemp()), 1)[0])]
    each = 1 if associations == 1 else BURST
    rates: dict[str, list[float]] = {name: [] for name in names}
    waits: dict[str, list[float]] = {name: [] for name in names}
    refused = dict.fromkeys(names, 0)
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        started = {name: stack.enter_context(running(name, Path(temporary))) for name in names}
        ports = {name: port for name, (_, port) in started.items()}
        pairs = [Pipe() for _ in range(associations)]
        senders = [Process(target=sender, args=(ports, pair[1], each), daemon=True) for pair in pairs]
        for process in senders:
            process.start()
        pipes = [pair[0] for pair in pairs]
        time.sleep(1)  # all have their associations
        before = {name: cpu_s(process.pid) for name, (process, _) in started.items()}
        for _ in range(count // (associations * each)):
            for name in random.sample(names, len(names)):
                for word in (name, "go"):
                    for pipe in pipes:
                        pipe.send(word)
                    got = [pipe.recv() for pipe in pipes]
                seconds = max(times[-1] for _, times in got) - min(times[0] for _, times in got)
                rates[name].append(associations * each / seconds)
                waits[name] += [b - a for _, times in got for a, b in itertools.pairwise(times)]
                refused[name] += sum(number for number, _ in got)
        cpu = {name: cpu_s(process.pid) - before[name] for name, (process, _) in started.items()}
        for pipe, process in zip(pipes, senders, strict=True):
            pipe.send(None)
            process.join()
    for name in names:
        rate, wait = statistics.median(rates[name]), sorted(waits[name])
        shares = {other: round(rate / statistics.median(rates[other]), 2) for other in names if other != name}
        p50, p99 = (round(1000 * wait[int(q * (len(wait) - 1))], 1) for q in (0.5, 0.99))
        line = {"receiver": name, "associations": associations, "objects": len(wait), "refused": refused[name]}
        line |= {"per_s": round(rate), "p50_ms": p50, "p99_ms": p99, "times": shares}
        line["cpu_ms_each"] = round(1000 * cpu[name] / len(wait), 2)
        print(json.dumps(line | {"load": round(os.getloadavg()[0], 1)}), flush=True)


def computing(heads: int) -> None:
    """Time C-STOREs, one after the other on one association, while heads are computed, and as many while nothing is."""
    waits: dict[str, list[float]] = {"idle": [], "computing": []}
    with tempfile.TemporaryDirectory() as temporary, running("ours", Path(temporary)) as (_, port):
        settings = load_settings(Path(temporary) / "ours" / "lnc.toml")
        manifest = _sample_study(Spool(settings.spool))
        computer = Computer(settings)
        computer.compute(manifest.key, manifest.job)  # reads the weights
        for _ in range(heads):
            thread = threading.Thread(target=computer.compute, args=(manifest.key, manifest.job))
            thread.start()
            bursts = 0
            while thread.is_alive():
                waits["computing"] += _store_times(port, 100)
                bursts += 1
            for _ in range(bursts):
                waits["idle"] += _store_times(port, 100)
        computer.close()
    for name, found in waits.items():
        p50, p99 = (round(1000 * sorted(found)[int(q * (len(found) - 1))], 1) for q in (0.5, 0.99))
        line = {"receiving": name, "heads": heads, "objects": len(found), "p50_ms": p50, "p99_ms": p99}
        print(json.dumps(line | {"load": round(os.getloadavg()[0], 1)}))


def _store_times(port: int, count: int) -> list[float]:
    """Seconds from the first byte of each object to its answer."""
    link, times = Association(port, timeout_s=60).open(), []
    buffers = [link.prepare(item, n + 1) for n, item in enumerate(objects(count))]
    for buffer in buffers:
        start = time.monotonic()
        link.sock.sendall(buffer)
        link.answer()
        times.append(time.monotonic() - start)
    link.release()
    return times


def _sample_study(spool: Spool) -> Manifest:
    """Put the sample head into a spool and close its study."""
    array, lps_mm = icbm152()
    study_uid = generate_uid()
    for dataset in mr_series(array.transpose(2, 1, 0), lps_mm[:, [2, 1, 0, 3]], NOW, study_uid=study_uid):
        buffer = io.BytesIO()
        dataset.save_as(buffer, enforce_file_format=True)
        kept = spool.keep(study_uid, buffer.getvalue())
    return cast("Manifest", close_study(spool, kept.parent.name, Closed.QUIET, "now"))


def mutants(first: int, count: int) -> Row:
    """Send mutated PDUs and objects to a receiver, then a good study."""
    with tempfile.TemporaryDirectory() as temporary, running("ours", Path(temporary)) as (process, port):
        (item,) = objects(1)
        chance = random.Random(14 + first)  # noqa: S311
        answers = Counter(send_mutant(port, item, chance, 0.2) for _ in range(count))
        waited = echo_s(port, 60)
        good = Association(port, contexts=[(MR, [EXPLICIT_LE])]).open()
        kept = [good.store(study, n + 1) for n, study in enumerate(objects(20))]
        good.release()
        memory = _most_memory_mb(process.pid)
        alive = process.poll() is None
    row: Row = {"rounds": count, "answers": dict(answers), "alive": alive, "good_study_kept": not any(kept)}
    return row | {"longest_wait_s": waited or 60.0, "most_memory_mb": memory}


def _most_memory_mb(pid: int) -> int:
    """Most memory that a process has held."""
    return int(Path(f"/proc/{pid}/status").read_text().split("VmHWM:")[1].split()[0]) >> 10


def peers() -> None:
    """One line for each kind of bad peer: most memory so far, and seconds until the next good sender is let in."""
    with tempfile.TemporaryDirectory() as temporary, running("ours", Path(temporary)) as (process, port):

        def say(what: str, **more: object) -> None:
            waited = echo_s(port, 60)
            print(
                json.dumps({"peers": what, "let_in_after_s": waited, "memory_mb": _most_memory_mb(process.pid)} | more)
            )

        (item,) = objects(1)
        say("none")
        idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(100)]
        say("100 silent connections")
        for sock in idle:
            sock.close()
        stuck = [association for _ in range(40) if (association := _stuck(port, item))]
        say("stuck in mid-object", held=len(stuck))
        say("trickling a byte a second for 40 s", longest_s=_trickle(port, stuck, 40))
        endless = Association(port).open()
        endless.sock.sendall(p_data(1, 3, store_command(item, 1)))
        with suppress(OSError):
            for _ in range(8000):
                endless.sock.sendall(p_data(1, 0, bytes(131000)))
        say("an object of 1 GB that does not end")
        endless.sock.close()
        good = Association(port, contexts=[(MR, [EXPLICIT_LE])]).open()
        kept = [good.store(study, n + 1) for n, study in enumerate(objects(20))]
        good.release()
        say("a good study afterwards", statuses=sorted(set(kept)))


def _stuck(port: int, item: Encoded) -> Association | None:
    """Stop in the middle of an object; None if it was not let in."""
    try:
        association = Association(port).open()
        association.sock.sendall(association.prepare(item)[:60000])
    except (OSError, Rejected):
        return None
    return association


def _trickle(port: int, stuck: list[Association], seconds: float) -> float:
    """Send a byte a second on each; give the longest time that a good sender waited. Closes them."""
    end, longest = time.monotonic() + seconds, 0.0
    while time.monotonic() < end:
        for association in stuck:
            with suppress(OSError):
                association.sock.sendall(b"\0")
        longest = max(longest, echo_s(port, 60) or 60.0)
        time.sleep(1)
    for association in stuck:
        association.sock.close()
    return longest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["race", "peers", "computing", "mutants"])
    parser.add_argument("--objects", type=int, default=200)
    parser.add_argument("--heads", type=int, default=5)
    parser.add_argument("--mutants", type=int, default=10_000)
    parser.add_argument("--log", type=Path)
    arguments = parser.parse_args()
    if arguments.what == "race":
        for associations in (1, 4):
            race(arguments.objects, associations)
    elif arguments.what == "computing":
        computing(arguments.heads)
    elif arguments.what == "peers":
        peers()
    else:
        print(json.dumps(in_batches(arguments.mutants, 1000, arguments.log, mutants)))


if __name__ == "__main__":
    main()
