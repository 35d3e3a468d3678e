"""Whether the server has the connections that the installation may need."""

from dataclasses import dataclass

from sqlalchemy import Engine, text

from cyphera_pipelines.connection_budget import PEOPLE, SYNC_PROCESS, ConnectionBudget


@dataclass(frozen=True)
class ServerConnections:
    """What a server gives to users like ours, and how many of these connections others use right now."""

    usable: int
    used_by_others: int

    @property
    def left(self) -> int:
        """What is left for us."""
        return max(0, self.usable - self.used_by_others)


def read_server_connections(engine: Engine) -> ServerConnections:
    """Ask the server. Limits of our role and our database count too."""
    with engine.connect() as connection:
        return ServerConnections(*connection.execute(text(_ASK)).one())


def shortage(budget: ConnectionBudget, server: ServerConnections) -> str | None:
    """What is wrong and what to do, if the server has fewer connections than may be needed; None if all is well."""
    others = f", of which others use {server.used_by_others}" if server.used_by_others else ""
    has = f"Postgres gives {server.usable} connections to us{others}"
    runs = max(0, (server.left - budget.services - PEOPLE) // SYNC_PROCESS)
    fewer = f"set max_concurrent_runs in dagster.yaml to {runs}" if runs else "leave more connections to us"
    if budget.runs_at_once is None:
        return (
            f"{has}, but dagster.yaml sets no limit to the runs that work at once, and each needs {SYNC_PROCESS}. "
            f"{fewer[0].upper()}{fewer[1:]}; until then runs may have to wait for a connection."
        )
    if budget.needed <= server.left:
        return None
    raised = budget.needed - server.left
    return (
        f"{has}; this installation may need {budget.explained()}. {fewer[0].upper()}{fewer[1:]}, or raise the server's "
        f"max_connections by {raised}; until then runs may have to wait for a connection."
    )


_ASK = """
SELECT least(
        current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
            - coalesce(current_setting('reserved_connections', true), '0')::int,
        (SELECT nullif(rolconnlimit, -1) FROM pg_roles WHERE rolname = current_user),
        (SELECT nullif(datconnlimit, -1) FROM pg_database WHERE datname = current_database())
    ) AS usable,
    (SELECT count(*) FROM pg_stat_activity WHERE datid IS NOT NULL AND application_name NOT LIKE 'cyphera%')::int
"""
