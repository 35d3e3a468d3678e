"""Twenty thousand sources: how long Dagster's asset page and the sensors take."""

from cyphera_pipelines_tests.benchmarks.figures import Result
from cyphera_pipelines_tests.benchmarks.resting_sources import add_resting_sources
from cyphera_pipelines_tests.benchmarks.workbench import Workbench

SOURCES = 20_000
A_WEEK = 604_800.0


def run(bench: Workbench) -> Result:
    """Ask as the UI does, of the project's own code and a real storage."""
    result, sources = Result("many_partitions"), max(1, round(SOURCES * bench.scale))
    bench.behave()
    add_resting_sources(bench, sources, within=A_WEEK)
    printed = bench.run("partitions_process", title=f"{sources:,} partitions", requests=1)
    result.add("partitions", printed["partitions"])
    for name, seconds in printed["seconds"].items():
        result.add(name, seconds, "s", target=3 if name == "asset page, again" else None)
    result.notes.append(
        "The asset page is one asset with all its partitions and their status, asked as GraphQL in one process: what "
        "the browser takes to draw it is left out."
    )
    return result
