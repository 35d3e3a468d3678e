"""How fresh sources are: one reading of `source_schedules`, whoever shows it."""

from contextlib import AbstractContextManager
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    Integer,
    Row,
    Select,
    Text,
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
from cyphera_pipelines.model.sessions import SILENT_FOR, SessionStatus
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.schedules import pause_of, schedule_of
from cyphera_pipelines.store.tables import payment_sync_sessions as sessions
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


def is_syncing() -> ColumnElement[bool]:
    """Whether a sync or a check of the row's source is at work, as SQL: the only place that decides it.

    A session that says it runs counts for as long as it is heard of, and a worker's claim for as long as its lease.
    """
    running = select(sessions.c.workspace_id, sessions.c.provider_name).where(
        sessions.c.status == SessionStatus.RUNNING.value, sessions.c.updated_at > func.now() - seconds(SILENT_FOR)
    )
    return or_(
        func.coalesce(_is_claimed(), false()), tuple_(schedules.c.workspace_id, schedules.c.provider_name).in_(running)
    )


def _is_claimed() -> ColumnElement[bool]:
    return and_(schedules.c.claimed_by.is_not(None), schedules.c.lease_until > func.now())


def count_by_freshness(database: Database, workspace_id: UUID | None = None) -> FreshnessCounts:
    """How many active sources are in each state, of one workspace or of all."""
    is_overdue = and_(
        schedules.c.paused_at.is_(None), schedules.c.due_at < func.now(), ~func.coalesce(_is_claimed(), false())
    )
    waited = case((is_overdue, func.extract("epoch", func.now() - schedules.c.due_at)), else_=null())
    state = freshness_of_row().label("state")
    counted = with_source(
        select(
            state,
            func.count().label("sources"),
            func.count().filter(is_syncing()).label("syncing"),
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
        syncing=sum(row.syncing for row in rows),
        paused_by_people=sum(row.by_people for row in rows if row.state == Freshness.PAUSED.value),
        overdue_sources=sum(row.overdue for row in rows),
        overdue_seconds=max((float(row.seconds) for row in rows), default=0.0),
    )


def list_least_fresh(database: Database, workspace_id: UUID | None = None, *, limit: int) -> list[SourceFreshness]:
    """The sources that are not fresh, worst first: what fails, what is paused for that, what is late, the others."""
    worst = (
        with_source(states_of_sources(), workspace_id)
        .where(freshness_of_row() != Freshness.FRESH.value)
        .order_by(*worst_first())
        .limit(limit)
    )
    with _transaction(database, workspace_id) as connection:
        return [to_freshness(row) for row in connection.execute(worst)]


_WORST_FIRST = [each.value for each in (Freshness.FAILING, Freshness.PAUSED, Freshness.LATE, Freshness.NEVER_SYNCED)]
"""What is paused for its failures comes second; what a person paused is better than all but what is fresh."""


def worst_first() -> tuple[ColumnElement[Any], ...]:
    """What sources are ordered by: how bad their state is, since when, slug and provider. No two are the same."""
    by_person = func.coalesce(schedules.c.paused_kind, PauseKind.PERSON.value) == PauseKind.PERSON.value
    # The state is told once for each row, and not compared with one after the other.
    rank = case(
        (and_(schedules.c.paused_at.is_not(None), by_person), len(_WORST_FIRST) + 1),
        else_=func.coalesce(
            func.array_position(cast(_WORST_FIRST, ARRAY(Text)), freshness_of_row()), len(_WORST_FIRST) + 2
        ),
    )
    since = func.coalesce(
        schedules.c.failing_since, schedules.c.fresh_at, schedules.c.paused_at, configurations.c.created_at
    )
    return cast(rank, Integer), since, workspaces.c.slug, schedules.c.provider_name


def read_freshness(database: Database, keys: list[tuple[str, str]] | None = None) -> dict[str, SourceFreshness]:
    """The freshness of the sources of those (slug, provider), or of all active ones, by partition key and in order."""
    wanted = with_source(states_of_sources(), None).order_by(workspaces.c.slug, schedules.c.provider_name)
    if keys is not None:
        wanted = wanted.where(tuple_(workspaces.c.slug, schedules.c.provider_name).in_(keys))
    with database.control() as connection:
        found = [to_freshness(row) for row in connection.execute(wanted)]
    return {each.key: each for each in found}


def freshness_of_workspace(database: Database, workspace_id: UUID) -> dict[str, SourceFreshness]:
    """The freshness of the workspace's active sources, by provider."""
    with database.tenant(workspace_id) as connection:
        rows = connection.execute(with_source(states_of_sources(), workspace_id)).all()
    return {row.provider_name: to_freshness(row) for row in rows}


def _transaction(database: Database, workspace_id: UUID | None) -> AbstractContextManager[Connection]:
    return database.control() if workspace_id is None else database.tenant(workspace_id)


def states_of_sources() -> Select[Any]:
    """Rows of `source_schedules` with their slug and state, as `to_freshness` reads them."""
    return select(schedules, workspaces.c.slug, freshness_of_row().label("state"), is_syncing().label("is_syncing"))


def with_source(statement: Select[Any], workspace_id: UUID | None) -> Select[Any]:
    """Only the schedules of active sources, with their configurations and workspaces."""
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


def to_freshness(row: Row[Any]) -> SourceFreshness:
    """What a row of `states_of_sources` tells."""
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
        is_syncing=row.is_syncing,
        last_failure_code=row.last_failure_code,
    )
