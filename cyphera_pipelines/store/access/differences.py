"""What of a database is not as the matrix says, in people's words."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from sqlalchemy import Connection

from cyphera_pipelines.store.access.catalog import (
    PUBLIC,
    Privilege,
    as_shown,
    closed_schemas,
    missing_functions,
    policies,
    privileges,
    wanted_policies,
    wanted_privileges,
    without_row_level_security,
)
from cyphera_pipelines.store.access.everybody import doors_to_close


def grant_differences(connection: Connection) -> list[str]:
    """Privileges that are missing or more than declared. The roles have to exist."""
    wanted, present = wanted_privileges(), privileges(connection)
    return [
        *(f"{role} may not enter schema {schema}" for schema, role in closed_schemas(connection)),
        *_told(wanted - present, "lacks"),
        *_told(present - wanted, "has, beside what is declared,"),
        *doors_to_close(connection),
    ]


def row_level_security_differences(connection: Connection) -> list[str]:
    """Tables without row-level security, and policies that are not as declared.

    Needs a transaction in which a temporary table may be made.
    """
    missing = missing_functions(connection)
    return [
        *(f"{table} has no row-level security" for table in without_row_level_security(connection)),
        *(f"the function {name} is missing" for name in missing),
        # Without its functions a policy cannot be written down for comparison.
        *([] if missing else _policy_differences(connection)),
    ]


def _policy_differences(connection: Connection) -> Iterator[str]:
    wanted = {(policy.table, policy.name): policy for policy in wanted_policies()}
    shown = as_shown(connection, {policy.expression for policy in wanted.values()})
    present = {(policy.table, policy.name): policy for policy in policies(connection)}
    for (table, name), policy in wanted.items():
        found = present.pop((table, name), None)
        if found is None:
            yield f"{table} lacks the policy {name}"
        elif sorted(found.roles) != sorted(policy.roles) or found.definition != (shown[policy.expression],) * 2:
            yield f"the policy {name} of {table} is not as declared"
    for table, name in present:
        yield f"{table} has a policy {name} that is not declared"


def _told(differing: Iterable[Privilege], verb: str) -> Iterator[str]:
    kinds: dict[tuple[str, str], set[str]] = defaultdict(set)
    for each in differing:
        kinds[each.role, each.table].add(each.kind)
    for (role, table), names in sorted(kinds.items()):
        yield f"{'everybody' if role == PUBLIC else role} {verb} {', '.join(sorted(names))} on {table}"
