"""The rules of when alerts are told: the deployment's, and those that a workspace has of its own."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, delete, func, select, text
from sqlalchemy.dialects.postgresql import insert

from cyphera_pipelines.model.alerts import COUNTED, DEFAULT_RULES, AlertCause, AlertRule
from cyphera_pipelines.model.audit import Action
from cyphera_pipelines.store.audit import OF_DEPLOYMENT, record_action
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.tables import alert_rules as rules


def read_rules(database: Database, workspace_id: UUID | None) -> dict[AlertCause, tuple[AlertRule, bool]]:
    """The rule of each cause, and whether it is somebody's own: the workspace's, or for the deployment not the default.

    Where a workspace has no rule of its own, the deployment's counts, which row-level security hides: so it is read by
    the pipeline itself.
    """
    with database.control() as connection:
        found = _set(connection, None)
    of_deployment = {cause: found.get(cause, default) for cause, default in DEFAULT_RULES.items()}
    if workspace_id is not None:
        with database.tenant(workspace_id) as connection:
            found = _set(connection, workspace_id)
    return {cause: (found.get(cause, rule), cause in found) for cause, rule in of_deployment.items()}


def set_rule(database: Database, workspace_id: UUID | None, rule: AlertRule) -> None:
    """Let this rule count from the next look on."""
    values = {
        "cause": rule.cause.value,
        "is_on": rule.is_on,
        "times": rule.times,
        "after_seconds": rule.after,
        "all_clear_after_seconds": rule.all_clear_after,
    }
    own = insert(rules).values(workspace_id=workspace_id, **values)
    of_deployment = workspace_id is None
    own = own.on_conflict_do_update(
        index_elements=["cause"] if of_deployment else ["workspace_id", "cause"],
        index_where=text("workspace_id IS NULL" if of_deployment else "workspace_id IS NOT NULL"),
        set_={name: own.excluded[name] for name in values if name != "cause"} | {"updated_at": func.now()},
    )
    with _transaction(database, workspace_id) as connection:
        connection.execute(own)
        _record(connection, workspace_id, rule.cause, values)


def forget_rule(database: Database, workspace_id: UUID | None, cause: AlertCause) -> bool:
    """Let the deployment's rule, or the default, count again; returns whether there was another."""
    own = delete(rules).where(_are_of(workspace_id), rules.c.cause == cause.value)
    with _transaction(database, workspace_id) as connection:
        if connection.execute(own).rowcount == 0:
            return False
        _record(connection, workspace_id, cause, {"is_default": True})
    return True


def _transaction(database: Database, workspace_id: UUID | None) -> AbstractContextManager[Connection]:
    return database.control() if workspace_id is None else database.tenant(workspace_id)


def _record(connection: Connection, workspace_id: UUID | None, cause: AlertCause, details: Mapping[str, Any]) -> None:
    record_action(connection, workspace_id or OF_DEPLOYMENT, Action.ALERT_RULE_CHANGED, cause.value, details)


def _set(connection: Connection, workspace_id: UUID | None) -> dict[AlertCause, AlertRule]:
    rows = connection.execute(select(rules).where(_are_of(workspace_id)))
    return {AlertCause(row.cause): _to_rule(row) for row in rows}


def _are_of(workspace_id: UUID | None) -> ColumnElement[bool]:
    return rules.c.workspace_id.is_(None) if workspace_id is None else rules.c.workspace_id == workspace_id


def _to_rule(row: Row[Any]) -> AlertRule:
    cause = AlertCause(row.cause)
    # As `store/alert_conditions.py` takes it.
    times = row.times if cause in COUNTED else None
    return AlertRule(cause, row.is_on, times, row.after_seconds, row.all_clear_after_seconds)
