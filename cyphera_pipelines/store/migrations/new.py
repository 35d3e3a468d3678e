"""`make migration`: the next migration, from what separates the tables' definitions from the migrations so far."""

import sys
import tempfile
from pathlib import Path

from alembic import command
from sqlalchemy import create_engine

from cyphera_pipelines import local
from cyphera_pipelines.store import migrations


def write_migration(what: str) -> Path:
    """Write the migration that does `what`, as in "add the customers' tax ids", and return its file.

    Compares the definitions with an embedded Postgres of its own, at the newest revision.
    """
    with tempfile.TemporaryDirectory(prefix="migration") as folder:
        home = Path(folder)
        server = local.start(home)
        engine = create_engine(server.url())
        try:
            migrations.upgrade_tables(engine)
            with engine.begin() as connection:
                config = migrations.alembic_config()
                config.attributes["connection"] = connection
                number = f"{int(migrations.head_revision()) + 1:04d}"
                made = command.revision(config, what, autogenerate=True, rev_id=number)
        finally:
            engine.dispose()
            server.release()
            local.stop(home)
    assert made is not None
    assert not isinstance(made, list)
    return Path(made.path)


if __name__ == "__main__":
    sys.stdout.write(f"{write_migration(sys.argv[1])}\n")
