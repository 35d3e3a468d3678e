"""What the demo made, told apart from everything else."""

from sqlalchemy import select, text

from cyphera_pipelines.model.workspace import Workspace
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.tables import workspaces

_OTHER_DATABASES = text(
    "SELECT datname FROM pg_database WHERE NOT datistemplate AND datname NOT IN (current_database(), :dagster, "
    "'postgres') ORDER BY 1"
)
_OTHER_TABLES = text(
    """
    SELECT relnamespace::regnamespace || '.' || relname FROM pg_class
    WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT relispartition AND relpersistence <> 't'
    AND relnamespace::regnamespace::text NOT IN
    ('pg_catalog', 'information_schema', 'sync', 'payments', 'figures', 'analytics', 'analytics_test')
    AND relnamespace::regnamespace::text NOT LIKE 'pg\\_toast%' ORDER BY 1
    """
)


def find_demo_workspaces(database: Database) -> list[Workspace]:
    """The workspaces that the demo made, by slug; those too that were deleted and not purged."""
    shown = [workspaces.c[name] for name in Workspace.__dataclass_fields__]
    with database.control() as connection:
        rows = connection.execute(select(*shown).where(workspaces.c.is_demo).order_by(workspaces.c.slug)).all()
    return [Workspace(**row._mapping) for row in rows]


def what_is_not_the_demos(database: Database) -> list[str]:
    """What else the server of the database holds, for people: workspaces, databases and tables that somebody made."""
    of_people = select(workspaces.c.slug).where(~workspaces.c.is_demo).order_by(workspaces.c.slug)
    with database.control() as connection:
        others = [f"workspace {slug}" for slug in connection.execute(of_people).scalars()]
        databases = connection.execute(_OTHER_DATABASES, {"dagster": database.dagster_url.database}).scalars()
        others += [f"database {name}" for name in databases]
        others += [f"table {name}" for name in connection.execute(_OTHER_TABLES).scalars()]
    return others
