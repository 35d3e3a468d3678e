"""What a stretch of a process' work costs: seconds, this process' CPU and memory, and the embedded server's CPU."""

import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

_BACKGROUND = ("checkpointer", "background writer", "walwriter", "autovacuum", "io worker", "logical replication")


@dataclass
class Consumption:
    """CPU is in seconds, memory in bytes. The server's CPU is that of all its processes, ended ones included.

    `background_cpu` is the part of it that its helpers took which serve nobody in particular: checkpointer, walwriter
    and the like. `peak_memory` is the most that this process ever had resident.
    """

    wall: float = 0.0
    client_cpu: float = 0.0
    server_cpu: float = 0.0
    background_cpu: float = 0.0
    peak_memory: int = 0


@contextmanager
def measured(home: Path) -> Iterator[Consumption]:
    """Measure what the body takes of this process and of the embedded server of that home. Filled in at its end."""
    consumption = Consumption()
    server_before, background_before = server_cpu(home)
    cpu_before, began = time.process_time(), time.perf_counter()
    yield consumption
    consumption.wall = time.perf_counter() - began
    consumption.client_cpu = time.process_time() - cpu_before
    server_after, background_after = server_cpu(home)
    consumption.server_cpu = server_after - server_before
    consumption.background_cpu = background_after - background_before
    consumption.peak_memory = peak_memory()


def server_cpu(home: Path) -> tuple[float, float]:
    """CPU seconds that all processes of the embedded server have taken so far, and its background helpers among them.

    Raises FileNotFoundError if it does not run.
    """
    first_line = (home / "postgres" / "postmaster.pid").read_text().splitlines()[0]
    postmaster = psutil.Process(int(first_line))
    own = postmaster.cpu_times()
    total = own.user + own.system + own.children_user + own.children_system
    background = 0.0
    for child in postmaster.children():
        with suppress(psutil.NoSuchProcess):
            times = child.cpu_times()
            total += times.user + times.system
            title = " ".join(child.cmdline())
            if any(name in title for name in _BACKGROUND):
                background += times.user + times.system
    return total, background


def process_cpu(process_id: int) -> float:
    """CPU seconds that a process has taken so far."""
    times = psutil.Process(process_id).cpu_times()
    return times.user + times.system


def peak_memory() -> int:
    """The most memory that this process ever had resident, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        # Linux counts into ru_maxrss what the parent had resident when it forked.
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1_024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1_024
