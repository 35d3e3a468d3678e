"""Applies migrations with Alembic, one at a time. All are read once: Alembic's own `upgrade` reads them each time."""

from collections.abc import Sequence
from typing import Any

from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationStep
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from cyphera_pipelines.store.migrations import alembic_config


class Migrations:
    """The migrations of this program."""

    def __init__(self) -> None:
        self._config = alembic_config()
        self._scripts = ScriptDirectory.from_config(self._config)

    def apply_next(self, connection: Connection) -> None:
        """Apply the one that follows on the database's revision, in the connection's transaction."""
        self._config.attributes["connection"] = connection
        with EnvironmentContext(self._config, self._scripts, fn=self._following, destination_rev="+1"):
            self._scripts.run_env()

    def _following(self, current: Any, _context: object) -> Sequence[MigrationStep]:
        found = self._scripts.iterate_revisions("+1", current, implicit_base=True)
        return [MigrationStep.upgrade_from_script(self._scripts.revision_map, script) for script in found]
