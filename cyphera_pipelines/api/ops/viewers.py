"""Who looks at the page: an operator, who sees every workspace, or a workspace that sees itself."""

import hashlib
import hmac
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request
from sqlalchemy import Connection

from cyphera_pipelines.api.ops.pages import PageError, no_such_page
from cyphera_pipelines.model.actor import Actor, api_key_actor, operator_actor
from cyphera_pipelines.model.errors import InvalidInputError, NotFoundError
from cyphera_pipelines.model.key_levels import KeyLevel
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.model.workspace import Workspace
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.sign_ins import SignIn
from cyphera_pipelines.store.sources import find_source


@dataclass(frozen=True)
class Viewer:
    """Who is signed in. `workspace` is None for an operator; `name` is what the key was called by its maker."""

    workspace: Workspace | None
    level: KeyLevel
    actor: Actor
    csrf_token: str
    name: str
    key_id: UUID

    @property
    def is_operator(self) -> bool:
        """Whether every workspace is shown."""
        return self.workspace is None

    def may(self, needed: KeyLevel) -> bool:
        """Whether the key that was shown is of that level, or a higher one."""
        return self.level.allows(needed)

    def transaction(self, database: Database) -> AbstractContextManager[Connection]:
        """A transaction that sees what the viewer may see: of a workspace its own rows only, whatever is asked."""
        return database.control() if self.workspace is None else database.tenant(self.workspace.id)


def viewer_of(sign_in: SignIn, token: str) -> Viewer:
    """The viewer that is signed in with the token."""
    make_actor = operator_actor if sign_in.workspace is None else api_key_actor
    return Viewer(
        workspace=sign_in.workspace,
        level=sign_in.level,
        actor=make_actor(sign_in.key_id, sign_in.key_name),
        csrf_token=csrf_token_of(token),
        name=sign_in.key_name,
        key_id=sign_in.key_id,
    )


def csrf_token_of(token: str) -> str:
    """What a form must hold to count as this browser's own: it follows from the cookie, and does not give it away."""
    return hmac.new(token.encode(), b"form of the operations page", hashlib.sha256).hexdigest()


def source_of_viewer(database: Database, viewer: Viewer, slug: str, provider: str) -> Source:
    """The source, or the same 404 for one that does not exist and for another workspace's."""
    try:
        source = find_source(database, f"{slug}:{provider}")
    except (NotFoundError, InvalidInputError):
        raise no_such_page() from None
    if viewer.workspace is not None and source.workspace_id != viewer.workspace.id:
        raise no_such_page()
    return source


async def _viewer(request: Request) -> Viewer:
    viewer: Viewer = request.state.viewer
    return viewer


async def _acting_viewer(request: Request) -> Viewer:
    """The route has checked the form and the level: see `OpsRoute`."""
    viewer: Viewer = request.state.viewer
    if not request.state.is_acting:
        raise PageError(405, "Nothing was done", "This address does something only when its form is sent.")
    return viewer


CurrentViewer = Annotated[Viewer, Depends(_viewer)]
"""Whoever is signed in: `OpsRoute` has seen to it."""
ActingViewer = Annotated[Viewer, Depends(_acting_viewer)]
"""Whoever sent a form of this page's, and may start and stop syncs."""
