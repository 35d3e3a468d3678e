"""The names by which sessions and Dagster's runs find each other.

Both those who ask for a run (the API) and those who carry it out use them, and only the latter may import Dagster.
"""

CODE_LOCATION = "cyphera_pipelines.definitions"
"""The module that Dagster loads and, by Dagster's default, its name: a run is shown under the job of its location."""

REPOSITORY = "__repository__"
"""Dagster's name for what a module defines."""

SYNC_JOB = "sync_source"
"""The job that syncs one source."""

FIGURES_JOB = "build_figures"
"""The job that brings the figures of one source in step with its tables."""

VERIFICATION_JOB = "verify_source"
"""The job that carries out a session which compares a source's tables with the provider, and may mend them."""

SOURCES_PARTITIONS = "payment_sources"
"""The partitions of the job: one per source, with keys like `acme:stripe`."""

OUTBOX_SENSOR = "pending_sessions"
"""The sensor that starts a run for every session that has been left without one."""

SOURCE_TAG = "cyphera/source"
"""The partition key of the source that a run syncs."""

SESSION_TAG = "cyphera/session_id"
"""The session that a run carries out. Retries inherit it."""

PARTITION_TAG = "dagster/partition"
"""Dagster's own tag for a run's partition key."""

RUN_KEY_TAG = "dagster/run_key"
"""Dagster's own tag for what a sensor makes only one run for: here the session's id."""

SENSOR_TAG = "dagster/sensor_name"
"""Dagster's own tag for the sensor within which a run key is unique."""

WILL_RETRY_TAG = "dagster/will_retry"
"""Dagster's own tag on a failed run: `true` if another run will take its place."""

BATCH_JOB = "sync_due_sources"
"""The job that takes whatever sources are due."""

BATCH_UNTIL_TAG = "cyphera/takes_sources_until"
"""Until when a run of that job takes sources, in seconds since 1970: from then on it only ends what it has begun."""

BATCH_RUN_TAG = "cyphera/batch_run_id"
"""On the record of a source that failed in a batch: the batch's run."""
