"""Sources: the active configurations, seen from the pipeline."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, and_, func, or_, select

from cyphera_pipelines.model.errors import NotFoundError
from cyphera_pipelines.model.limits import HIGHEST_RATE, LOWEST_RATE, RateLimits
from cyphera_pipelines.model.source import Source, split_source_key
from cyphera_pipelines.model.writes import Write
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.tables import missing_objects, workspaces
from cyphera_pipelines.store.tables import payment_sync_sessions as sessions
from cyphera_pipelines.store.tables import source_schedules as schedules
from cyphera_pipelines.store.tables import workspace_payment_configurations as configurations


def list_sources(database: Database) -> list[Source]:
    """Every source, by partition key."""
    statement = _active_sources().order_by(workspaces.c.slug, configurations.c.provider_name)
    with database.control() as connection:
        return [_to_source(row) for row in connection.execute(statement)]


@dataclass(frozen=True)
class SourceState:
    """A source and how fresh it is.

    `last_status` is its newest session's; `missing_objects` are not in its tables; `paused_at` is None unless it is
    paused.
    """

    key: str
    workspace: str
    provider: str
    configuration_id: UUID
    is_test_mode: bool
    last_sync_at: datetime | None
    last_status: str | None
    missing_objects: int
    label: str | None
    paused_at: datetime | None
    paused_reason: str | None


def list_sources_with_state(database: Database) -> list[SourceState]:
    """Every source with its freshness, by partition key."""
    statement = _sources_with_state().order_by(workspaces.c.slug, configurations.c.provider_name)
    with database.control() as connection:
        return [_to_state(row) for row in connection.execute(statement)]


def find_source_state(database: Database, key: str) -> SourceState:
    """The source with that partition key and its freshness, or NotFoundError."""
    source = find_source(database, key)
    with database.control() as connection:
        statement = _sources_with_state().where(configurations.c.id == source.configuration_id)
        return _to_state(connection.execute(statement).one())


def _sources_with_state() -> Select[Any]:
    newest = (
        select(sessions.c.status)
        .where(sessions.c.workspace_id == workspaces.c.id, sessions.c.provider_name == configurations.c.provider_name)
        .order_by(sessions.c.created_at.desc())
        .limit(1)
        .scalar_subquery()
    )
    missing = (
        select(func.coalesce(func.sum(missing_objects.c.objects), 0))
        .where(
            missing_objects.c.workspace_id == workspaces.c.id,
            missing_objects.c.provider_name == configurations.c.provider_name,
            missing_objects.c.livemode == ~configurations.c.is_test_mode,
        )
        .scalar_subquery()
    )
    return (
        _active_sources()
        .add_columns(
            configurations.c.last_sync_at,
            configurations.c.label,
            newest.label("last_status"),
            missing.label("missing_objects"),
            schedules.c.paused_at,
            schedules.c.paused_reason,
        )
        .outerjoin(
            schedules,
            and_(
                schedules.c.workspace_id == configurations.c.workspace_id,
                schedules.c.provider_name == configurations.c.provider_name,
            ),
        )
    )


def _to_state(row: Row[Any]) -> SourceState:
    return SourceState(
        key=_to_source(row).key,
        workspace=row.slug,
        provider=row.provider_name,
        configuration_id=row.configuration_id,
        is_test_mode=row.is_test_mode,
        last_sync_at=row.last_sync_at,
        last_status=row.last_status,
        missing_objects=row.missing_objects,
        label=row.label,
        paused_at=row.paused_at,
        paused_reason=row.paused_reason,
    )


def find_source(database: Database, key: str) -> Source:
    """The source with that partition key, or NotFoundError."""
    slug, provider = split_source_key(key)
    statement = _active_sources().where(workspaces.c.slug == slug, configurations.c.provider_name == provider)
    with database.control() as connection:
        row = connection.execute(statement).one_or_none()
    if row is None:
        raise NotFoundError(
            f"There is no active source {key!r}: its workspace does not exist or has no active {provider} "
            "configuration. See: cyphera source list"
        )
    return _to_source(row)


def find_source_of(database: Database, workspace_id: UUID, provider: str) -> Source | None:
    """The workspace's source at the provider; None if it has no active configuration."""
    statement = _active_sources().where(workspaces.c.id == workspace_id, configurations.c.provider_name == provider)
    with database.control() as connection:
        row = connection.execute(statement).one_or_none()
    return None if row is None else _to_source(row)


def find_source_of_write(database: Database, write: Write) -> Source:
    """The source whose account the write was for: the active one, or else its own configuration if that is not removed.

    Raises NotFoundError where there is neither: its credentials are not to be used any more.
    """
    of_write = and_(configurations.c.id == write.configuration_id, configurations.c.deleted_at.is_(None))
    is_active = and_(configurations.c.is_active, configurations.c.deleted_at.is_(None))
    statement = (
        _sources(or_(is_active, of_write))
        .where(
            workspaces.c.id == write.workspace_id,
            configurations.c.provider_name == write.provider_name,
            configurations.c.is_test_mode == (not write.livemode),
        )
        .order_by(configurations.c.is_active.desc())
        .limit(1)
    )
    with database.control() as connection:
        row = connection.execute(statement).one_or_none()
    if row is None:
        raise NotFoundError(
            f"Write {write.id} cannot be looked into: its {write.provider_name} configuration was removed. Connect the "
            "account again, and it will be settled."
        )
    return _to_source(row)


def exists_still(database: Database, source: Source) -> bool:
    """Whether the source's configuration is still there, active or not."""
    existing = select(configurations.c.id).where(
        configurations.c.id == source.configuration_id, configurations.c.deleted_at.is_(None)
    )
    with database.tenant(source.workspace_id) as connection:
        return connection.execute(existing).first() is not None


def _active_sources() -> Select[Any]:
    return _sources(and_(configurations.c.is_active, configurations.c.deleted_at.is_(None)))


def _sources(condition: ColumnElement[bool]) -> Select[Any]:
    return (
        select(
            workspaces.c.id,
            workspaces.c.slug,
            configurations.c.provider_name,
            configurations.c.id.label("configuration_id"),
            configurations.c.is_test_mode,
            configurations.c.connected_account_id,
            # One by one and as texts: what else a workspace keeps there may be anything, of any size.
            configurations.c.metadata["store_raw"].astext.label("store_raw"),
            configurations.c.metadata[("rate_limits", "account")].astext.label("rate_of_account"),
            configurations.c.metadata[("rate_limits", "endpoint")].astext.label("rate_of_endpoint"),
        )
        .join(configurations, configurations.c.workspace_id == workspaces.c.id)
        .where(condition)
    )


def _to_source(row: Row[Any]) -> Source:
    return Source(
        workspace_id=row.id,
        workspace_slug=row.slug,
        provider=row.provider_name,
        configuration_id=row.configuration_id,
        is_test_mode=row.is_test_mode,
        store_raw=row.store_raw != "false",
        rate_limits=_rate_limits(row.rate_of_account, row.rate_of_endpoint),
        connected_account_id=row.connected_account_id,
    )


def _rate_limits(account: str | None, endpoint: str | None) -> RateLimits | None:
    """The limits that the texts name; None, which keeps to the provider's own, where they name none that make sense."""
    rates = [_rate(text) for text in (account, endpoint)]
    return None if rates[0] is None or rates[1] is None else RateLimits(rates[0], rates[1])


def _rate(text: str | None) -> float | None:
    try:
        rate = float(text or "")
    except ValueError:
        return None
    return rate if LOWEST_RATE <= rate <= HIGHEST_RATE else None
