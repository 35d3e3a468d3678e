"""The tags that tie runs, sources and sessions together."""

SOURCE_TAG = "cyphera/source"
"""The partition key of the source that a run syncs."""

SESSION_TAG = "cyphera/session_id"
"""The session that a run carries out. Retries inherit it."""

PARTITION_TAG = "dagster/partition"
"""Dagster's own tag for a run's partition key."""

WILL_RETRY_TAG = "dagster/will_retry"
"""Dagster's own tag on a failed run: `true` if another run will take its place."""
