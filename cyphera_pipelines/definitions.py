"""What Dagster loads: a table of contents."""

from dagster import Definitions, in_process_executor

from cyphera_pipelines.orchestration.asset_specs import PROVIDER_SPECS
from cyphera_pipelines.orchestration.assets import payment_tables
from cyphera_pipelines.orchestration.batches import sync_due_sources
from cyphera_pipelines.orchestration.code_links import with_code_links
from cyphera_pipelines.orchestration.figures import build_figures_job, payment_figures
from cyphera_pipelines.orchestration.jobs import sync_changes, sync_source
from cyphera_pipelines.orchestration.resources import DatabaseResource, KeyringResource, PaymentProvidersResource
from cyphera_pipelines.orchestration.sensors import (
    alerts,
    due_sources,
    payment_sources_sensor,
    pending_sessions,
    requested_purges,
    retention,
    sessions_of_cancelled_runs,
    sessions_of_failed_runs,
    sessions_without_a_process,
    unsettled_writes,
)
from cyphera_pipelines.orchestration.verification import verify_source

_database = DatabaseResource()
_keyring = KeyringResource()

definitions = Definitions(
    assets=with_code_links([*PROVIDER_SPECS, payment_tables, payment_figures]),
    jobs=[sync_source, sync_changes, sync_due_sources, build_figures_job, verify_source],
    sensors=[
        payment_sources_sensor,
        pending_sessions,
        due_sources,
        requested_purges,
        retention,
        sessions_of_failed_runs,
        sessions_of_cancelled_runs,
        sessions_without_a_process,
        unsettled_writes,
        alerts,
    ],
    resources={
        "database": _database,
        "keyring": _keyring,
        "payment_providers": PaymentProvidersResource(database=_database, keyring=_keyring),
    },
    executor=in_process_executor,
)
