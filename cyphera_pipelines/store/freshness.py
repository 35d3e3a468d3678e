"""How fresh sources are: one reading of `source_schedules`, whoever shows it."""

from contextlib import AbstractContextManager
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Row,
    Select,
    and_,
    case,
    cast,
    false,
    func,
    null,
    or_,
    select,
    tuple_,
)

from cyphera_pipelines.model.freshness import (
    BELIEVED_AHEAD_SECONDS,
    GRACE_SECONDS,
    GRACE_SHARE,
    Freshness,
    FreshnessCounts,
    SourceFreshness,
)
from cyphera_pipelines.model.schedule import DAY, PauseKind
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.schedules import pause_of, schedule_of
from cyphera_pipelines.store.tables import source_schedules as schedules
from cyphera_pipelines.store.tables import workspace_payment_configurations as configurations
from cyphera_pipelines.store.tables import workspaces


def seconds(amount: ColumnElement[Any] | float) -> ColumnElement[Any]:
    """So many seconds as an interval."""
    return func.make_interval(0, 0, 0, 0, 0, 0, amount)


def freshness_of_row() -> ColumnElement[str]:
    """The state of a row of `source_schedules`, as SQL: the only place that decides it."""
    period = case((schedules.c.daily_at.is_(None), schedules.c.changes_every_seconds), else_=DAY)
    return case(
        (schedules.c.paused_at.is_not(None), Freshness.PAUSED.value),
        (schedules.c.last_failure.is_not(None), Freshness.FAILING.value),
        (schedules.c.fresh_at.is_(None), Freshness.NEVER_SYNCED.value),
        (
            or_(
                schedules.c.fresh_at < func.now() - seconds(period * (1 + GRACE_SHARE) + GRACE_SECONDS),
                schedules.c.fresh_at > func.now() + seconds(BELIEVED_AHEAD_SECONDS),
            ),
            Freshness.LATE.value,
        ),
        else_=Freshness.FRESH.value,
    )


def count_by_freshness(database: Database, workspace_id: UUID | None = None) -> FreshnessCounts:
    """How many active sources are in each state, of one workspace or of all."""
    is_at_work = and_(schedules.c.claimed_by.is_not(None), schedules.c.lease_until > func.now())
    is_overdue = and_(
        schedules.c.paused_at.is_(None), schedules.c.due_at < func.now(), ~func.coalesce(is_at_work, false())
    )
    waited = case((is_overdue, func.extract("epoch", func.now() - schedules.c.due_at)), else_=null())
    state = freshness_of_row().label("state")
    counted = _with_source(
        select(
            state,
            func.count().label("sources"),
            func.count().filter(schedules.c.paused_kind == PauseKind.PERSON.value).label("by_people"),
            func.count(waited).label("overdue"),
            func.coalesce(func.max(waited), 0).label("seconds"),
        ),
        workspace_id,
    ).group_by(state)
    with _transaction(database, workspace_id) as connection:
        rows = connection.execute(counted).all()
    found = {row.state: row.sources for row in rows}
    return FreshnessCounts(
        sources={each: found.get(each.value, 0) for each in Freshness},
        paused_by_people=sum(row.by_people for row in rows if row.state == Freshness.PAUSED.value),
        overdue_sources=sum(row.overdue for row in rows),
        overdue_seconds=max((float(row.seconds) for row in rows), default=0.0),
    )


def list_least_fresh(database: Database, workspace_id: UUID | None = None, *, limit: int) -> list[SourceFreshness]:
    """The sources that are not fresh, worst first: what fails, what is paused for that, what is late, the others."""
    state = freshness_of_row()
    is_person_s = schedules.c.paused_kind == PauseKind.PERSON.value
    rank = case(
        (state == Freshness.FAILING.value, 0),
        (and_(state == Freshness.PAUSED.value, ~is_person_s), 1),
        (state == Freshness.LATE.value, 2),
        (state == Freshness.NEVER_SYNCED.value, 3),
        else_=4,
    )
    since = func.coalesce(
        schedules.c.failing_since, schedules.c.fresh_at, schedules.c.paused_at, configurations.c.created_at
    )
    worst = (
        _with_source(_states(), workspace_id)
        .where(state != Freshness.FRESH.value)
        .order_by(cast(rank, Integer), since, workspaces.c.slug, schedules.c.provider_name)
        .limit(limit)
    )
    with _transaction(database, workspace_id) as connection:
        return [_to_freshness(row) for row in connection.execute(worst)]


def read_freshness(database: Database, keys: list[tuple[str, str]] | None = None) -> dict[str, SourceFreshness]:
    """The freshness of the sources of those (slug, provider), or of all active ones, by partition key and in order."""
    wanted = _with_source(_states(), None).order_by(workspaces.c.slug, schedules.c.provider_name)
    if keys is not None:
        wanted = wanted.where(tuple_(workspaces.c.slug, schedules.c.provider_name).in_(keys))
    with database.control() as connection:
        found = [_to_freshness(row) for row in connection.execute(wanted)]
    return {each.key: each for each in found}


def freshness_of_workspace(database: Database, workspace_id: UUID) -> dict[str, SourceFreshness]:
    """The freshness of the workspace's active sources, by provider."""
    with database.tenant(workspace_id) as connection:
        rows = connection.execute(_with_source(_states(), workspace_id)).all()
    return {row.provider_name: _to_freshness(row) for row in rows}


def _transaction(database: Database, workspace_id: UUID | None) -> AbstractContextManager[Connection]:
    return database.control() if workspace_id is None else database.tenant(workspace_id)


def _states() -> Select[Any]:
    return select(schedules, workspaces.c.slug, freshness_of_row().label("state"))


def _with_source(statement: Select[Any], workspace_id: UUID | None) -> Select[Any]:
    """Only the schedules of active sources."""
    joined = (
        statement.select_from(schedules)
        .join(
            configurations,
            and_(
                configurations.c.workspace_id == schedules.c.workspace_id,
                configurations.c.provider_name == schedules.c.provider_name,
                configurations.c.is_active,
                configurations.c.deleted_at.is_(None),
            ),
        )
        .join(workspaces, workspaces.c.id == schedules.c.workspace_id)
    )
    return joined if workspace_id is None else joined.where(schedules.c.workspace_id == workspace_id)


def _to_freshness(row: Row[Any]) -> SourceFreshness:
    return SourceFreshness(
        key=f"{row.slug}:{row.provider_name}",
        state=Freshness(row.state),
        schedule=schedule_of(row),
        due_at=row.due_at,
        listing_due_at=row.listing_due_at,
        wanted_at=row.wanted_at,
        checked_at=row.checked_at,
        fresh_at=row.fresh_at,
        failures=row.failures,
        failing_since=row.failing_since,
        last_failure=row.last_failure,
        pause=pause_of(row),
    )
