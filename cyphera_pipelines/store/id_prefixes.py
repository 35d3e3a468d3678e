"""Ids as people give them: whole, or as many of their first characters as tell them apart."""

import re
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, select, union_all

from cyphera_pipelines.model.errors import InvalidInputError, NotFoundError
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.tables import operator_keys
from cyphera_pipelines.store.tables import payment_sync_sessions as sessions
from cyphera_pipelines.store.tables import provider_writes as writes
from cyphera_pipelines.store.tables import workspace_api_keys as api_keys

SHORTEST_PREFIX = 4
"""Characters, without hyphens: with fewer, a slip of a finger finds somebody."""
_DIGITS = 32
_EXAMPLES = 3


def find_session_id(database: Database, text: str) -> UUID:
    """The id of the session, of any workspace, that the text is or begins: for operators, never for tenants.

    Raises InvalidInputError if it is no beginning of an id, or of several sessions', and NotFoundError.
    """
    return _find(database, sessions.c.id, text, "session", "cyphera sessions")


@dataclass(frozen=True)
class FoundKey:
    """The id of a key, and whether it is an operator's or a workspace's."""

    id: UUID
    is_operator_s: bool


def find_key_id(database: Database, text: str) -> FoundKey:
    """The key, of an operator or of any workspace, whose id the text is or begins. Raises as `find_session_id` does."""
    keys = union_all(select(operator_keys.c.id), select(api_keys.c.id)).subquery()
    found = _find(database, keys.c.id, text, "key", "cyphera key list SLUG, or: cyphera key list --operators")
    with database.control() as connection:
        is_operator_s = connection.execute(select(operator_keys.c.id).where(operator_keys.c.id == found)).first()
    return FoundKey(found, is_operator_s is not None)


def find_write_id(database: Database, text: str) -> UUID:
    """The id of the write at a provider, of any workspace, that the text is or begins. Raises as the others do."""
    return _find(database, writes.c.id, text, "write", "cyphera write list SLUG")


def _find(database: Database, column: ColumnElement[UUID], text: str, what: str, see: str) -> UUID:
    digits = text.strip().replace("-", "").lower()
    if not re.fullmatch(rf"[0-9a-f]{{{SHORTEST_PREFIX},{_DIGITS}}}", digits):
        raise InvalidInputError(
            f"{text!r} is not a {what}'s id, nor its first {SHORTEST_PREFIX} characters or more. See: {see}"
        )
    # As bounds, not as text: the primary key's index knows where they are.
    lowest, highest = (UUID(digits.ljust(_DIGITS, filler)) for filler in "0f")
    statement = select(column).where(column.between(lowest, highest)).order_by(column).limit(_EXAMPLES)
    with database.control() as connection:
        found = list(connection.execute(statement).scalars())
    if not found:
        raise NotFoundError(f"There is no {what} {text}. See: {see}")
    if len(found) > 1:
        raise InvalidInputError(
            f"Several {what}s' ids begin with {text!r}, as {', '.join(map(str, found))}. Give more characters."
        )
    return found[0]
