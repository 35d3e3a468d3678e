"""The assets: one per synced table, all brought up to date, and checked, by one step.

One step since the engine lists all entities of a source at once over one set of rate limits; any subset may be
selected, and then only the entities behind it are synced. The checks are part of it since Dagster skips every step
after one that failed, and this one fails if a single entity did.
"""

import time
from collections.abc import Collection, Iterator
from typing import Any

from dagster import (
    AssetCheckKey,
    AssetCheckResult,
    AssetExecutionContext,
    AssetKey,
    Config,
    MaterializeResult,
    multi_asset,
)
from pydantic import Field

from cyphera_pipelines.model.columns import SyncedTable
from cyphera_pipelines.model.counted import counted
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.sessions import ConflictStrategy, EntityProgress, SessionStatus, SyncRequest
from cyphera_pipelines.orchestration.asset_specs import ASSET_SPECS, TABLES_BY_ASSET_KEY, asset_key
from cyphera_pipelines.orchestration.checks import CHECK_SPECS, check_tables
from cyphera_pipelines.orchestration.failures import ERROR_CODE, TextMetadata, failure, plain_failures
from cyphera_pipelines.orchestration.figure_reports import bring_figures_in_step
from cyphera_pipelines.orchestration.interruptible import run_interruptibly
from cyphera_pipelines.orchestration.log_redaction import redact_logs
from cyphera_pipelines.orchestration.materializations import (
    SyncedSource,
    has_changed_rows,
    has_changes,
    is_complete,
    materialization,
)
from cyphera_pipelines.orchestration.partitions import payment_sources, source_key_of
from cyphera_pipelines.orchestration.resources import DatabaseResource, KeyringResource
from cyphera_pipelines.orchestration.run_sessions import (
    LOOKS_FOR_CANCELLATION_EVERY,
    cancel_session_of_run,
    end_run_as_cancelled,
    raise_if_cancelled,
    run_ends_with_its_session,
    session_for_run,
)
from cyphera_pipelines.orchestration.session_links import session_metadata
from cyphera_pipelines.orchestration.storage import keep_to_one_connection
from cyphera_pipelines.store.sessions import get_session
from cyphera_pipelines.store.sources import find_source
from cyphera_pipelines.sync.engine import SyncJob, run_sync
from cyphera_pipelines.sync.outcome import SyncOutcome

SYNC_STEP = "sync_payment_source"


class SyncConfig(Config):
    """How to sync. A run that carries out an existing session takes these from the session."""

    full_sync: bool = Field(
        default=False, description="List everything from the beginning instead of continuing an unfinished listing."
    )
    only_changes: bool = Field(
        default=False,
        description="Apply what changed since the last sync, from the provider's events, listing nothing.",
    )
    batch_size: int = Field(default=100, ge=1, le=100, description="Objects per page asked of the provider, 1 to 100.")
    conflict_strategy: ConflictStrategy = Field(
        default=ConflictStrategy.OVERWRITE,
        description="What becomes of rows that are there and differ: OVERWRITE them, SKIP them, or leave them and FLAG "
        "each in an event.",
    )

    def as_request(self, entities: tuple[Entity, ...]) -> SyncRequest:
        """The same as a plain type."""
        return SyncRequest(
            entities=entities,
            batch_size=self.batch_size,
            full_sync=self.full_sync,
            conflict_strategy=self.conflict_strategy,
            only_changes=self.only_changes,
        )


def run_config_of(request: SyncRequest) -> dict[str, Any]:
    """The run configuration that asks for the request's options, by the names that `SyncConfig` gives them."""
    # Dagster knows the values of an enumeration by their names.
    options = request.as_config() | {"conflict_strategy": request.conflict_strategy.name}
    return {"ops": {SYNC_STEP: {"config": options}}}


@multi_asset(
    name=SYNC_STEP,
    specs=ASSET_SPECS,
    check_specs=CHECK_SPECS,
    partitions_def=payment_sources,
    can_subset=True,
    # No backfill policy: then a backfill has a run for each source, and one that fails does not hold up the others.
    # With any policy Dagster asks for ranges of partitions, be it of one, and a range does not say which source.
)
def payment_tables(
    context: AssetExecutionContext, config: SyncConfig, database: DatabaseResource, keyring: KeyringResource
) -> Iterator[MaterializeResult[Any] | AssetCheckResult]:
    """Sync the source of the run's partition, and check its tables; only check them if no table was selected.

    Tables whose entity is whole are materialised, and checked. If any entity is not, the run ends as a failure that
    names it and the reason, so that Dagster shows that source as failed for those tables and as materialised for the
    others. If the session is cancelled, so is the run.
    """
    redact_logs(context.log)
    keep_to_one_connection(context.instance)
    source_key = source_key_of(context.run)
    if source_key is None:
        raise failure(
            "This run has no partition key, so there is no source to sync. Choose one source in 'Materialize', or "
            "several with a run for each, or sync one from the command line, as in: cyphera sync acme stripe",
            {ERROR_CODE: ErrorCode.INVALID_REQUEST.value},
        )
    with plain_failures({"source": source_key}), run_ends_with_its_session(context.instance, context.run):
        source = find_source(database.open(), source_key)
        if not context.selected_asset_keys:
            yield from check_tables(database.open(), source, context.selected_asset_check_keys)
            return
        keys = keyring.load()
        session, request = session_for_run(
            database.open(),
            context.instance,
            context.run,
            source,
            config.as_request(_selected_entities(context)),
            context.log,
            chosen=_chosen_options(context),
        )
    about: TextMetadata = {"source": source.key, **session_metadata(session)}
    with plain_failures(about), run_ends_with_its_session(context.instance, context.run):
        context.log.info(f"Session {session.id} syncs {', '.join(request.entities)} of {source.key}.")
        started = time.monotonic()
        job = SyncJob(
            database.open(), keys, source, session, request, dagster_run_id=context.run.run_id, log=context.log
        )
        outcome = run_interruptibly(
            lambda: run_sync(job),
            on_interrupt=lambda: cancel_session_of_run(database.open(), context.instance, context.run, session),
            on_wait=lambda: raise_if_cancelled(context.instance, context.run),
            wait_every=LOOKS_FOR_CANCELLATION_EVERY,
        )
        unchecked = set(context.selected_asset_keys)
        synced = SyncedSource(database.open(), source, session, time.monotonic() - started)
        for table, counts in _completed_tables(context, outcome):
            if request.only_changes and not has_changes(table, counts):
                # A source at rest leaves nothing but its session.
                continue
            yield materialization(synced, table, counts)
            unchecked.discard(asset_key(table))
        yield from check_tables(database.open(), source, _checks_but_of(context, unchecked))
        # The session decides, not the outcome: it may have been cancelled when everything was merged already.
        ended = get_session(database.open(), session.workspace_id, session.id)
        if ended.status is SessionStatus.CANCELLED:
            end_run_as_cancelled(context.instance, context.run, f"Session {session.id} was cancelled.")
            why = (ended.error_summary or {}).get("message", "The session was cancelled.")
            raise failure(why, about | {ERROR_CODE: ErrorCode.CANCELLED.value})
        bring_figures_in_step(
            context.instance,
            database.open(),
            source,
            has_changed=has_changed_rows(outcome.entities),
            show=context.log_event,
        )
        if outcome.error_summary is not None:
            raise failure(outcome.error_summary["message"], about | _what_went_wrong(outcome))


def _selected_entities(context: AssetExecutionContext) -> tuple[Entity, ...]:
    selected = {TABLES_BY_ASSET_KEY[key].entity for key in context.selected_asset_keys}
    return tuple(entity for entity in Entity if entity in selected)


def _chosen_options(context: AssetExecutionContext) -> set[str]:
    """The options that the run's configuration names. Dagster fills in the others, which then look chosen too."""
    steps: Any = context.run.run_config.get("ops") or {}
    return set((steps.get(SYNC_STEP) or {}).get("config") or {})


def _completed_tables(
    context: AssetExecutionContext, outcome: SyncOutcome
) -> Iterator[tuple[SyncedTable, EntityProgress]]:
    for table in TABLES_BY_ASSET_KEY.values():
        counts = outcome.entities.get(table.entity)
        if counts is not None and is_complete(counts) and asset_key(table) in context.selected_asset_keys:
            yield table, counts


def _checks_but_of(context: AssetExecutionContext, unchecked: Collection[AssetKey]) -> list[AssetCheckKey]:
    return [key for key in context.selected_asset_check_keys if key.asset_key not in unchecked]


def _what_went_wrong(outcome: SyncOutcome) -> TextMetadata:
    """The session's status and error code, and a sentence for each entity that is not whole."""
    summary: dict[str, dict[str, Any]] = (outcome.error_summary or {}).get("entities", {})
    wrong: TextMetadata = {"status": outcome.status.value}
    if outcome.code is not None:
        wrong[ERROR_CODE] = outcome.code.value
    for entity, counts in outcome.entities.items():
        if is_complete(counts):
            continue
        reason = summary.get(entity.value, {}).get("error") or (
            f"{counted(counts.failed, 'object')} could not be loaded; an event of the session names each, and why."
            if counts.failed
            else "The listing had not come to its end."
        )
        wrong[entity.value] = reason
    return wrong
