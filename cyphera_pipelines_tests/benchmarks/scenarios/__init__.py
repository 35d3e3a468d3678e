"""The scenarios, in the order in which they run: a table of contents."""

from collections.abc import Callable
from dataclasses import dataclass

from cyphera_pipelines_tests.benchmarks.figures import Result
from cyphera_pipelines_tests.benchmarks.scenarios import (
    analyst_questions,
    bad_neighbours,
    bare_loader,
    delta,
    due_sources,
    figures,
    first_load,
    idle_batch,
    idle_sources,
    live_limits,
    many_partitions,
    million_invoices,
    operations_page,
    outage,
    sdk_baseline,
    status,
    unchanged,
    unknown_limits,
    webhooks,
    writes_beside_a_load,
)
from cyphera_pipelines_tests.benchmarks.workbench import Workbench


@dataclass(frozen=True)
class Scenario:
    """One thing to measure. Those that are not `by_default` run only if named."""

    name: str
    summary: str
    run: Callable[[Workbench], Result]
    by_default: bool = True


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("first_load", "what a row costs: no latency, no limits, into empty tables", first_load.run),
        Scenario("bare_loader", "the same lists as ids and JSON only, for the ratio", bare_loader.run),
        Scenario("sdk_baseline", "a load with the stripe package's own pagination, for the ratio", sdk_baseline.run),
        Scenario("live_limits", "100 ms latency and Stripe's live limits: how close to the floor", live_limits.run),
        Scenario("unchanged", "a full re-sync in which nothing changed: what it writes", unchanged.run),
        Scenario("delta", "500 changes, applied from the provider's events", delta.run),
        Scenario("idle_sources", "1,000 sources in which nothing happened", idle_sources.run),
        Scenario("status", "how long it takes to say how fresh 10,000 sources are", status.run),
        Scenario(
            "idle_batch",
            "1,000 sources at rest in one batch run, against a run for each",
            idle_batch.run,
            by_default=False,
        ),
        Scenario(
            "due_sources",
            "10,000 sources due within an hour, or a part of both: how late each is looked at",
            due_sources.run,
            by_default=False,
        ),
        Scenario(
            "bad_neighbours",
            "how late sources are beside a workspace whose sources are slow, fail by the thousand, or take hours",
            bad_neighbours.run,
            by_default=False,
        ),
        Scenario(
            "analyst_questions",
            "the questions of docs/examples on a million invoices with their lines, with their plans",
            analyst_questions.run,
            by_default=False,
        ),
        Scenario(
            "figures",
            "MRR and revenue of 100,000 subscriptions over 36 months: built, unchanged, after 1 % changed",
            figures.run,
            by_default=False,
        ),
        Scenario(
            "operations_page",
            "the operations page with 10,000 sources and a million sessions: time, statements, bytes",
            operations_page.run,
            by_default=False,
        ),
        Scenario(
            "outage",
            "a provider is down for 10,000 sources: what looking for alerts takes meanwhile and afterwards",
            outage.run,
            by_default=False,
        ),
        Scenario("webhooks", "10,000 webhooks of 20 sources, applied as they come", webhooks.run, by_default=False),
        Scenario(
            "many_partitions",
            "Dagster's asset page and the sensors with 20,000 partitions",
            many_partitions.run,
            by_default=False,
        ),
        Scenario(
            "unknown_limits",
            "first loads at bursts, jitter and changes that nobody publishes",
            unknown_limits.run,
            by_default=False,
        ),
        Scenario(
            "writes_beside_a_load",
            "a first load in one process and writes from another, within the limits of one account",
            writes_beside_a_load.run,
            by_default=False,
        ),
        Scenario(
            "million_invoices", "memory over a load of a million invoices", million_invoices.run, by_default=False
        ),
    )
}
