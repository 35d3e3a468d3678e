"""What a `cyphera up` that was killed left behind: written down while it runs, found by the next one."""

import contextlib
import json
from collections.abc import Collection
from pathlib import Path

import psutil

RECORD = "up.processes.json"
LINGER_WITHIN = 5.0


def write_down(home: Path, processes: Collection[psutil.Process]) -> None:
    """Note the processes that are ours, with their start: a process id alone may be another program's tomorrow."""
    noted = [{"pid": process.pid, "started": process.create_time()} for process in processes]
    unfinished = home / f"{RECORD}.unfinished"
    unfinished.write_text(json.dumps(noted), encoding="utf-8")
    unfinished.replace(home / RECORD)


def find_orphans(home: Path) -> list[psutil.Process]:
    """Those of the noted processes that are still alive, for whoever knows that the `cyphera up` itself is not."""
    try:
        noted = json.loads((home / RECORD).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return []
    alive = []
    for each in noted:
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(each["pid"])
            if process.create_time() == each["started"] and process.status() != psutil.STATUS_ZOMBIE:
                alive.append(process)
    return alive


def end(processes: Collection[psutil.Process], *, at_once: bool = False) -> None:
    """End processes that are nobody's children any more: what does not go by itself is asked to, then made to."""
    left = psutil.wait_procs(list(processes), timeout=0 if at_once else LINGER_WITHIN)[1]
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    for process in psutil.wait_procs(left, timeout=LINGER_WITHIN)[1]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
