"""Long proofs in batches: each batch that has ended is a line of a log, and a run that was cut off goes on after it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def in_batches(total: int, size: int, log: Path | None, run: Callable[[int, int], Row]) -> Row:
    """Run what is missing of a number of rounds; give the sum of all batches.

    run
        Gets the number of the first round and how many there are; its row must say `rounds`.
    """
    lines = log.read_text().splitlines() if log is not None and log.is_file() else []
    rows = [json.loads(line) for line in lines]
    while (done := sum(row["rounds"] for row in rows)) < total:
        row = run(done, min(size, total - done))
        rows.append(row)
        print(json.dumps(row), flush=True)
        if log is not None:
            with log.open("a") as file:
                file.write(json.dumps(row) + "\n")
    return summed(rows)


def summed(rows: list[Row]) -> Row:
    """Add up counts; of what is called longest or most, the largest counts; of True and False, whether all are."""
    total: Row = {"batches": len(rows)}
    for name in rows[0] if rows else ():
        values = [row[name] for row in rows]
        if all(isinstance(value, bool) for value in values):
            total[name] = all(values)
        elif isinstance(values[0], dict):
            total[name] = dict(sum((Counter(value) for value in values), Counter()))
        elif isinstance(values[0], str):
            total[name] = values[0]
        else:
            total[name] = max(values) if name.startswith(("longest", "most")) else sum(values)
    return total
