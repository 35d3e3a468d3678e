"""Who is signed in to the operations page: a token in a cookie, good for as long as the key behind it is."""

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import delete, func, insert, literal_column, or_, select, update

from cyphera_pipelines.model.key_levels import KeyLevel
from cyphera_pipelines.model.workspace import Workspace
from cyphera_pipelines.store.api_keys import Caller
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.operator_keys import OperatorKey
from cyphera_pipelines.store.tables import operator_keys, ops_sign_ins, workspace_api_keys, workspaces

LASTS = timedelta(hours=12)
"""However much it is used."""
LASTS_IDLE = timedelta(hours=2)
"""Without a page asked for. A page that refreshes itself asks."""
SEEN_IS_NOTED_EVERY = timedelta(minutes=1)
FORGOTTEN_AT_ONCE = 1_000


@dataclass(frozen=True)
class SignIn:
    """Whose sign-in it is: a workspace's, or with None an operator's; and the key that was shown."""

    workspace: Workspace | None
    key_id: UUID
    key_name: str
    level: KeyLevel


def begin_sign_in(database: Database, token: str, holder: OperatorKey | Caller, *, instead_of: str | None) -> None:
    """Sign the holder of a key in under the new token; the browser's earlier token, if any, is worth nothing any more.

    What has expired is forgotten with it.
    """
    if isinstance(holder, Caller):
        whose = {"workspace_id": holder.workspace.id, "workspace_key_id": holder.key_id}
    else:
        whose = {"operator_key_id": holder.id}
    values = {"token_digest": _digest(token), "expires_at": func.now() + LASTS, **whose}
    over = select(ops_sign_ins.c.token_digest).where(
        or_(ops_sign_ins.c.expires_at < func.now(), ops_sign_ins.c.seen_at < func.now() - LASTS_IDLE)
    )
    with database.control() as connection:
        forgotten = over.limit(FORGOTTEN_AT_ONCE).with_for_update(skip_locked=True)
        connection.execute(delete(ops_sign_ins).where(ops_sign_ins.c.token_digest.in_(forgotten)))
        if instead_of is not None:
            connection.execute(delete(ops_sign_ins).where(ops_sign_ins.c.token_digest == _digest(instead_of)))
        connection.execute(insert(ops_sign_ins).values(values))


def find_sign_in(database: Database, token: str) -> SignIn | None:
    """Whose token it is; None where it is unknown, over or idle, or its key was revoked or has expired."""
    of_operator, of_workspace = operator_keys, workspace_api_keys
    key = func.coalesce
    seen = select(
        workspaces,
        key(of_operator.c.id, of_workspace.c.id).label("key_id"),
        key(of_operator.c.name, of_workspace.c.name).label("key_name"),
        key(of_operator.c.level, of_workspace.c.level).label("level"),
        (ops_sign_ins.c.seen_at < func.now() - SEEN_IS_NOTED_EVERY).label("is_to_be_noted"),
    ).select_from(
        ops_sign_ins.outerjoin(of_operator, of_operator.c.id == ops_sign_ins.c.operator_key_id)
        .outerjoin(of_workspace, of_workspace.c.id == ops_sign_ins.c.workspace_key_id)
        .outerjoin(workspaces, workspaces.c.id == ops_sign_ins.c.workspace_id)
    )
    is_this = ops_sign_ins.c.token_digest == _digest(token)
    seen = seen.where(
        is_this,
        ops_sign_ins.c.expires_at > func.now(),
        ops_sign_ins.c.seen_at > func.now() - LASTS_IDLE,
        key(of_operator.c.revoked_at, of_workspace.c.revoked_at).is_(None),
        key(of_operator.c.expires_at, of_workspace.c.expires_at, literal_column("'infinity'::timestamptz"))
        > func.now(),
        workspaces.c.deleted_at.is_(None),
    )
    with database.control() as connection:
        row = connection.execute(seen).one_or_none()
        if row is not None and row.is_to_be_noted:
            connection.execute(update(ops_sign_ins).where(is_this).values(seen_at=func.now()))
    if row is None or row.key_id is None:
        return None
    workspace = None if row.id is None else Workspace(row.id, row.slug, row.name, row.created_at, row.is_demo)
    return SignIn(workspace, row.key_id, row.key_name, KeyLevel(row.level))


def end_sign_in(database: Database, token: str) -> None:
    """Make the token worth nothing."""
    with database.control() as connection:
        connection.execute(delete(ops_sign_ins).where(ops_sign_ins.c.token_digest == _digest(token)))


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
