"""`cyphera demo --forget`: what the demo made goes, and nothing else."""

import shutil

import typer

from cyphera_pipelines import local
from cyphera_pipelines.cli import services
from cyphera_pipelines.cli.confirmation import confirm
from cyphera_pipelines.cli.purge import purge_and_watch
from cyphera_pipelines.cli.running.home_in_use import HomeUse, alone_in
from cyphera_pipelines.cli.sandbox import ENDS_FILE
from cyphera_pipelines.cli.working import working
from cyphera_pipelines.model.errors import ConflictError
from cyphera_pipelines.settings import Settings
from cyphera_pipelines.store.demo import find_demo_workspaces, what_is_not_the_demos

HOME_CONTENTS = ("postgres", "postgres.unfinished", "dagster", "encryption.key", ENDS_FILE)
MOST_NAMED = 5


def forget_demo(settings: Settings, *, yes: bool) -> None:
    """Delete the demo's workspaces, and the embedded database with its key if nothing else is in it.

    Asks first at a terminal. Raises ConflictError while other commands use the home.
    """
    if not (settings.home / "postgres").exists():
        typer.echo(f"There is nothing of the demo's in {settings.home}.")
        return
    with alone_in(settings.home, HomeUse("cyphera demo --forget")):
        database = services.database()
        if local.is_used_by_others(settings.home):
            raise ConflictError(
                f"Other commands use the database in {settings.home}, or somebody is connected to it. End them first."
            )
        demos, others = find_demo_workspaces(database), what_is_not_the_demos(database)
        names = ", ".join(workspace.slug for workspace in demos)
        if not demos:
            typer.echo(f"There is nothing of the demo's in {settings.home}.")
        elif others:
            left = ", ".join(others[:MOST_NAMED]) + (" and more" if len(others) > MOST_NAMED else "")
            confirm(f"This deletes {names} with all their rows. It leaves alone: {left}.", yes=yes)
            for workspace in demos:
                purge_and_watch(workspace)
            typer.echo(f"Left alone: {left}.")
        else:
            confirm(
                f"This deletes {names}, and since nothing else is there, the embedded database, its key and Dagster's "
                f"files under {settings.home}.",
                yes=yes,
            )
            database.close()
            with working("Deleting the embedded database"):
                local.stop(settings.home)
                _delete_contents(settings)
            typer.echo(f"Deleted the embedded database, its key and Dagster's files under {settings.home}.")


def _delete_contents(settings: Settings) -> None:
    for name in HOME_CONTENTS:
        path = settings.home / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
