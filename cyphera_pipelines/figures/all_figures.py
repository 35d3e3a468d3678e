"""Bringing all of a source's figures in step: MRR and revenue, which know nothing of each other, side by side."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from cyphera_pipelines.figures.build import BuildResult, build_figures
from cyphera_pipelines.figures.revenue import RevenueResult, build_revenue
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.store.database import Database


def build_all(
    database: Database,
    source: Source,
    *,
    livemode: bool,
    as_of: datetime | None = None,
    full: bool = False,
    side_by_side: bool = True,
) -> tuple[BuildResult, RevenueResult]:
    """`build_figures` and `build_revenue`, each in a transaction and, at once, on a connection of its own.

    If one of them fails the other one's figures are kept, as if it had been built alone, and the failure is raised.
    Where connections are scarce, not `side_by_side`, one comes after the other, and the first failure ends both.
    """
    if not side_by_side:
        built = build_figures(database, source, livemode=livemode, as_of=as_of, full=full)
        return built, build_revenue(database, source, livemode=livemode, full=full)
    with ThreadPoolExecutor(1, thread_name_prefix="revenue") as beside:
        revenue = beside.submit(build_revenue, database, source, livemode=livemode, full=full)
        built = build_figures(database, source, livemode=livemode, as_of=as_of, full=full)
        return built, revenue.result()
