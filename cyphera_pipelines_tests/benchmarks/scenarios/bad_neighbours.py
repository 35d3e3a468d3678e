"""Whether others wait for a workspace whose sources are slow, fail by the thousand, or take hours to list.

The same load twice, once alone and once with such neighbours: 10,000 hourly sources, a tenth of which need a sync and a
hundredth a listing. A smaller scale is the same load for a shorter time, and a smaller failing workspace.
"""

import statistics
from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from cyphera_pipelines.sandbox import SandboxAccount, SandboxOptions, SandboxProcess
from cyphera_pipelines_tests.benchmarks.figures import Result
from cyphera_pipelines_tests.benchmarks.neighbours import MOST_OF_A_WORKSPACE, NOBODY_LISTENS, add_neighbours
from cyphera_pipelines_tests.benchmarks.resting_sources import add_resting_sources
from cyphera_pipelines_tests.benchmarks.scenarios.due_sources import BATCH_SECONDS, GAP
from cyphera_pipelines_tests.benchmarks.scenarios.live_limits import LATENCY_MS
from cyphera_pipelines_tests.benchmarks.workbench import Workbench

SOURCES, WINDOW = 1_000, 360.0
LEAST_SOURCES, LEAST_WINDOW = 10, 5.0
SLOW_SOURCES, LONG_LISTINGS = 8, 5
SLOW_LATENCY_MS = 15_000.0
"""So that a listing of the account below takes ten minutes and more."""
ENDS_WITHIN = 60.0
"""Seconds for what is due last."""
KINDS = ("at rest", "to be synced", "to be listed")
_SLOW = SandboxAccount(api_key="sk_live_slow", account_id="acct_slow", customers=4_000, invoices=4_000)


def run(bench: Workbench) -> Result:
    """Both loads, one after the other, by two batches at once."""
    result = Result("bad_neighbours")
    bench.behave(SandboxOptions(latency_ms=LATENCY_MS))
    alone = _lateness(bench, "alone")
    failing = max(1, round(MOST_OF_A_WORKSPACE * min(bench.scale, 1.0)))
    with SandboxProcess([_SLOW], SandboxOptions(latency_ms=SLOW_LATENCY_MS)) as slow:
        add_neighbours(bench, failing, api_key="sk_live_refused", base_url=NOBODY_LISTENS, lists=False)
        add_neighbours(bench, SLOW_SOURCES, api_key=_SLOW.api_key, base_url=slow.url, lists=False)
        add_neighbours(bench, LONG_LISTINGS, api_key=_SLOW.api_key, base_url=slow.url, lists=True)
        beside = _lateness(bench, "beside bad neighbours")
    for kind in KINDS:
        for name, share in (("p50", 50), ("p99", 99)):
            values = [_percentile(of_kind[kind], share) for of_kind in (alone, beside)]
            result.add(f"{kind}: {name} alone", values[0], "s")
            result.add(f"{kind}: {name} beside", values[1], "s")
    result.notes.append(
        f"Neighbours: a workspace of {failing:,} sources whose provider refuses connections, one of {SLOW_SOURCES} "
        f"sources and one of {LONG_LISTINGS} listings whose provider answers after {SLOW_LATENCY_MS / 1_000:g} s. "
        "Seconds are from when a source is due to when its tables are known to be level: of "
        f"{', '.join(f'{len(seconds)} {kind}' for kind, seconds in beside.items())}."
    )
    return result


def _lateness(bench: Workbench, what: str) -> dict[str, list[float]]:
    """Of sources of each kind, the seconds from when each was due to when it was level."""
    count, window = max(LEAST_SOURCES, round(SOURCES * bench.scale)), max(LEAST_WINDOW, WINDOW * bench.scale)
    workspaces = add_resting_sources(bench, count, within=window)
    due = _make_kinds(bench, workspaces)
    printed = bench.run(
        "neighbours_process",
        str(window + ENDS_WITHIN),
        str(BATCH_SECONDS),
        str(GAP),
        title=f"{count:,} sources are due within {window:g} s, {what}",
        requests=2 * count,
    )
    with bench.database.control() as connection:
        statement = (
            "SELECT workspace_id, checked_at, now() AS now FROM sync.source_schedules WHERE workspace_id = ANY (:ids)"
        )
        rows = connection.execute(text(statement), {"ids": list(workspaces)}).all()
    seconds: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for row in rows:
        due_at, kind = due[row.workspace_id]
        due_at = max(due_at, datetime.fromisoformat(printed["began"]))
        # What was never come to has waited until now, at least.
        seconds[kind].append(((row.checked_at or row.now) - due_at).total_seconds())
    return seconds


def _make_kinds(bench: Workbench, workspaces: Sequence[UUID]) -> Mapping[UUID, tuple[datetime, str]]:
    """Let each tenth be synced, and each hundredth be listed. Returns when each source is due, and its kind."""
    synced, listed = workspaces[::10], workspaces[5::100]
    with bench.database.control() as connection:
        for column, ids in (("last_failure = 'It failed.'", synced), ("listing_due_at = now()", listed)):
            statement = f"UPDATE sync.source_schedules SET {column} WHERE workspace_id = ANY (:ids)"
            connection.execute(text(statement), {"ids": list(ids)})
        found = "SELECT workspace_id, due_at FROM sync.source_schedules WHERE workspace_id = ANY (:ids)"
        due: dict[UUID, datetime] = dict(connection.execute(text(found), {"ids": list(workspaces)}).tuples().all())
    kinds = dict.fromkeys(workspaces, "at rest") | dict.fromkeys(synced, "to be synced")
    kinds |= dict.fromkeys(listed, "to be listed")
    return {workspace_id: (due[workspace_id], kinds[workspace_id]) for workspace_id in workspaces}


def _percentile(seconds: Sequence[float], share: int) -> float:
    return statistics.quantiles([*seconds, *seconds], n=100, method="inclusive")[share - 1]
