"""Connections to Postgres: how many each process has at most, and what everything together needs. All of it is here.

Both databases count, the product's and Dagster's: they are mostly on the same server. README and docs tell the same.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from cyphera_pipelines.settings import Settings

LOCK = 1
"""The one that holds the source's lock as long as the sync lasts."""

MERGING = 2
"""What two merges at once take; all else that a sync reads and writes finds its place between them."""

SYNC = LOCK + MERGING
"""A sync's connections to the product's database."""

DAGSTER_RUN = 1
"""A run's process to Dagster's storage."""

SYNC_PROCESS = SYNC + DAGSTER_RUN
"""A process that carries out a run: nothing else of the run has connections, since its step is in the same process."""

SYNCS_OF_A_BATCH = 4
BATCH = SYNCS_OF_A_BATCH * LOCK + MERGING + 2
"""A batch run to the product's database: its syncs share what is left beside their locks with looks at other sources.

One whose time is up and that only lists any more needs no more than any run.
"""

COMPARED_AT_ONCE = 2
VERIFICATION = LOCK + COMPARED_AT_ONCE + 1
"""`cyphera verify` compares two entities at a time, each on a connection of its own; all else shares one."""

COMPARED_AT_ONCE_BY_A_RUN = 1
"""A run has the connections of a sync, one less: it compares one entity after the other."""

API_PROCESS = 10
"""A process of the HTTP API: its threads hold a connection for the length of a transaction only."""

DAGSTER_SERVICE = 5
"""Each of Dagster's other processes to Dagster's storage."""

DAGSTER_SERVICES = 4
"""The webserver, the daemon, the code server, and `dagster dev`; `cyphera up` instead of that takes one connection."""

PEOPLE = 10
"""Kept for people, their commands and their BI tools."""

DAGSTER_RUNS_AT_ONCE = 10
"""What Dagster takes where `dagster.yaml` names no number of runs."""


@dataclass(frozen=True)
class ConnectionBudget:
    """What an installation needs. `runs_at_once` is None where `dagster.yaml` sets no limit: nobody can say then.

    `batches` of these runs sync many sources each.
    """

    runs_at_once: int | None
    api_processes: int
    batches: int = 0

    @property
    def runs(self) -> int:
        """The connections of all runs that may be at work at once."""
        return (self.runs_at_once or 0) * SYNC_PROCESS + self.batches * (BATCH - SYNC)

    @property
    def services(self) -> int:
        """The connections of what always runs: the API, Dagster's processes, and the sensors in its code server."""
        return self.api_processes * API_PROCESS + DAGSTER_SERVICES * DAGSTER_SERVICE + SYNC

    @property
    def needed(self) -> int:
        """Everything together."""
        return self.runs + self.services + PEOPLE

    def explained(self) -> str:
        """The sum, as in "93 connections: 10 runs x 4, ..."."""
        return (
            f"{self.needed} connections: {self.runs_at_once} runs x {SYNC_PROCESS}, {BATCH - SYNC} more for each of "
            f"{self.batches} batches, {self.api_processes} API processes "
            f"x {API_PROCESS}, {DAGSTER_SERVICES * DAGSTER_SERVICE + SYNC} for Dagster's own processes, "
            f"{PEOPLE} for people"
        )


def budget_of(settings: Settings) -> ConnectionBudget:
    """What the settings and `dagster.yaml` ask for."""
    limit = _runs_at_once(settings.dagster_yaml)
    return ConnectionBudget(None if limit < 0 else limit, settings.api_workers, settings.batches_at_once)


def _runs_at_once(file: Path) -> int:
    """The limit that Dagster itself would read there; negative for none."""
    configured: Any = yaml.safe_load(file.read_text(encoding="utf-8")) if file.is_file() else None
    of_instance = _part(_part(configured, "concurrency"), "runs").get("max_concurrent_runs")
    of_coordinator = _part(_part(configured, "run_coordinator"), "config").get("max_concurrent_runs")
    for limit in (of_instance, of_coordinator):
        if isinstance(limit, int):
            return limit
    return DAGSTER_RUNS_AT_ONCE


def _part(configured: Any, name: str) -> dict[str, Any]:
    part = configured.get(name) if isinstance(configured, dict) else None
    return part if isinstance(part, dict) else {}
