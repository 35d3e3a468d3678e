"""Alerts as people see them: what is wrong, and what was."""

from uuid import UUID

from sqlalchemy import Connection, text

from cyphera_pipelines.model.alerts import Alert, AlertState, alert_of
from cyphera_pipelines.store.database import Database


def list_alerts(
    database: Database,
    workspace_id: UUID | None,
    states: tuple[AlertState, ...] = (AlertState.OPEN, AlertState.RECOVERING),
    *,
    limit: int = 100,
    offset: int = 0,
) -> list[Alert]:
    """Alerts in these states, what ended first last: the workspace's by its rules, or all by the deployment's."""
    transaction = database.control() if workspace_id is None else database.tenant(workspace_id)
    with transaction as connection:
        return alerts_in(connection, of_workspace=workspace_id is not None, states=states, limit=limit, offset=offset)


def alerts_in(
    connection: Connection, *, of_workspace: bool, states: tuple[AlertState, ...], limit: int, offset: int = 0
) -> list[Alert]:
    """The same, within a transaction that sees one workspace or all."""
    raised = _raised(of_workspace=of_workspace)
    statement = text(_LIST.format(raised=raised))
    given = {"states": [state.value for state in states], "limit": limit, "offset": offset}
    return [alert_of(row, raised=raised) for row in connection.execute(statement, given).mappings()]


def count_alerts(connection: Connection, *, of_workspace: bool) -> dict[AlertState, int]:
    """How many alerts are in each state, within a transaction that sees one workspace or all."""
    statement = text(_COUNT.format(raised=_raised(of_workspace=of_workspace)))
    found = {row.state: row.alerts for row in connection.execute(statement)}
    return {state: found.get(state.value, 0) for state in AlertState}


def _raised(*, of_workspace: bool) -> str:
    return "raised_for_workspace_at" if of_workspace else "raised_at"


# One that ended before the rule was met is none of theirs.
_STATE = """
    CASE WHEN ended_at IS NOT NULL THEN CASE WHEN {raised} IS NOT NULL THEN 'ended' END
        WHEN {raised} IS NULL THEN 'waiting' WHEN recovered_at IS NULL THEN 'open' ELSE 'recovering' END
"""
IS_PAUSED = """
    EXISTS (
        SELECT FROM sync.source_schedules AS schedule
        WHERE schedule.workspace_id = alert.workspace_id AND schedule.provider_name = alert.provider_name
        AND schedule.paused_kind = CASE alert.cause
            WHEN 'credentials' THEN 'credentials' WHEN 'given_up' THEN 'failures'
        END
    ) AS is_paused
"""
"""Whether the source is paused now, for what the alert is about."""

_LIST = f"""
    SELECT alert.*, workspaces.slug AS workspace_slug, {IS_PAUSED}
    FROM sync.alerts AS alert JOIN sync.workspaces ON workspaces.id = alert.workspace_id
    WHERE {_STATE} = ANY (:states)
    ORDER BY ended_at DESC NULLS FIRST, began_at, alert.id LIMIT :limit OFFSET :offset
"""
_COUNT = f"SELECT {_STATE} AS state, count(*) AS alerts FROM sync.alerts GROUP BY 1"
