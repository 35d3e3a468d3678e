"""`cyphera audit`: who did what."""

from typing import Annotated, Any
from uuid import UUID

import typer

from cyphera_pipelines.cli import services
from cyphera_pipelines.cli.output import JSON_OPTION, print_json, print_remarks, print_table, short_id
from cyphera_pipelines.model.errors import NotFoundError
from cyphera_pipelines.store.audit import OF_DEPLOYMENT, list_audit_entries
from cyphera_pipelines.store.purges import find_purged_workspace
from cyphera_pipelines.store.workspaces import find_workspace, workspace_slugs


def audit(
    slug: Annotated[str | None, typer.Argument(help="Only what was done to this workspace.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, newest first.")] = 50,
    as_json: bool = JSON_OPTION,
) -> None:
    """Show who did what to workspaces, their configurations, keys and analysts. What was refused is marked.

    What is no workspace's, as operators' keys and the deployment's alerts, is told of "(the deployment)".
    """
    database = services.database()
    workspace_id = _workspace_id(slug) if slug else None
    found = list_audit_entries(database, workspace_id, limit=limit)
    if as_json:
        print_json(found)
        return
    slugs = {**workspace_slugs(database), OF_DEPLOYMENT: "(the deployment)"}
    rows = [
        (
            f"{entry.occurred_at:%Y-%m-%d %H:%M}",
            slugs.get(entry.workspace_id, slug or entry.workspace_id),
            entry.actor_name or entry.actor,
            f"{entry.action}, refused" if entry.outcome == "refused" else entry.action,
            _shortened(entry.subject_id, slugs.get(entry.workspace_id)),
        )
        for entry in found
    ]
    print_table(("WHEN (UTC)", "WORKSPACE", "WHO", "WHAT", "TO WHAT"), rows, empty="Nothing was done yet.")
    print_remarks(
        (f"{entry.occurred_at:%H:%M:%S}", f"{entry.action}: {_described(entry.details)}")
        for entry in found
        if entry.details
    )


def _shortened(subject_id: str, workspace_slug: str | None) -> str:
    """An id by its beginning, a name as it is; the workspace's own was named already."""
    if subject_id == workspace_slug:
        return "itself"
    try:
        return short_id(UUID(subject_id))
    except ValueError:
        return subject_id


def _workspace_id(slug: str) -> UUID:
    """Of a workspace that was purged the trail is what is left."""
    try:
        return find_workspace(services.database(), slug, or_deleted=True).id
    except NotFoundError:
        purged = find_purged_workspace(services.database(), slug)
        if purged is None:
            raise
        return purged


def _described(details: dict[str, Any]) -> str:
    """As in "changed label, is_active; key ...1234"."""
    shown = {name: ", ".join(value) if isinstance(value, list) else value for name, value in details.items()}
    return "; ".join(f"{name} {value}" for name, value in shown.items())
