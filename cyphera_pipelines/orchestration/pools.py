"""Each provider's pool: how many runs may call it at once, changed in Dagster's UI under Deployment > Concurrency.

Dagster gives pools to steps, and one step syncs the sources of all providers. So a run's pool follows from the source
that it is for, and is put in when the run is stored; Dagster's queue goes by it from then on.
"""

from dagster import DagsterRun
from dagster._core.storage.dagster_run import RunOpConcurrency
from dagster_shared.record import copy

from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.model.runs import PARTITION_TAG
from cyphera_pipelines.model.source import split_source_key
from cyphera_pipelines.providers.registry import PROVIDERS


def in_pool_of_provider(run: DagsterRun) -> DagsterRun:
    """The run, in its provider's pool besides those that its steps have; a run without a source as it is.

    The queue looks at all pools of a run before it starts it: see `granularity` in dagster.yaml.
    """
    try:
        _slug, provider = split_source_key(run.tags.get(PARTITION_TAG, ""))
    except InvalidInputError:
        return run
    if provider not in PROVIDERS:
        return run
    steps = run.run_op_concurrency or RunOpConcurrency(root_key_counts={}, has_unconstrained_root_nodes=True)
    return run._replace(run_op_concurrency=copy(steps, all_pools={provider, *(steps.all_pools or ())}))
