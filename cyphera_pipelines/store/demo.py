"""What the demo made, told apart from everything else, and deleted."""

from sqlalchemy import delete, text

from cyphera_pipelines.model.workspace import Workspace
from cyphera_pipelines.store.analysts import list_analysts, remove_analyst
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.tables import metadata, workspaces
from cyphera_pipelines.store.workspaces import list_workspaces

_OTHER_DATABASES = text(
    "SELECT datname FROM pg_database WHERE NOT datistemplate AND datname NOT IN (current_database(), :dagster, "
    "'postgres') ORDER BY 1"
)
_OTHER_TABLES = text(
    """
    SELECT relnamespace::regnamespace || '.' || relname FROM pg_class
    WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT relispartition AND relpersistence <> 't'
    AND relnamespace::regnamespace::text NOT IN ('pg_catalog', 'information_schema', 'sync', 'payments', 'analytics')
    AND relnamespace::regnamespace::text NOT LIKE 'pg\\_toast%' ORDER BY 1
    """
)


def find_demo_workspaces(database: Database) -> list[Workspace]:
    """The workspaces that the demo made, by slug."""
    return [workspace for workspace in list_workspaces(database) if workspace.is_demo]


def what_is_not_the_demos(database: Database) -> list[str]:
    """What else the server of the database holds, for people: workspaces, databases and tables that somebody made."""
    others = [f"workspace {workspace.slug}" for workspace in list_workspaces(database) if not workspace.is_demo]
    with database.control() as connection:
        databases = connection.execute(_OTHER_DATABASES, {"dagster": database.dagster_url.database}).scalars()
        others += [f"database {name}" for name in databases]
        others += [f"table {name}" for name in connection.execute(_OTHER_TABLES).scalars()]
    return others


def delete_demo_workspace(database: Database, workspace: Workspace) -> int:
    """Delete a workspace that the demo made, with all that belongs to it; returns how many rows of it there were."""
    for analyst in list_analysts(database, workspace):
        remove_analyst(database, analyst.role_name)
    of_it = [table for table in reversed(metadata.sorted_tables) if "workspace_id" in table.c]
    with database.control() as connection:
        rows = sum(
            connection.execute(delete(table).where(table.c.workspace_id == workspace.id)).rowcount for table in of_it
        )
        rows += connection.execute(
            delete(workspaces).where(workspaces.c.id == workspace.id, workspaces.c.is_demo)
        ).rowcount
    return rows
