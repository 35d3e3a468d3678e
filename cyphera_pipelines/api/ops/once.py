"""Forms that are carried out once: one that was sent before, as with a double click, finds what came of the first."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from uuid import UUID

from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from cyphera_pipelines.api.ops.pages import PageError
from cyphera_pipelines.model.audit import Action
from cyphera_pipelines.model.errors import ConflictError
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.page_actions import PageAction, begin_action, end_action, find_action, forget_action
from cyphera_pipelines.store.pauses import SourcePausedError
from cyphera_pipelines.store.sessions import SourceActiveError

PATIENCE = 5.0
"""Seconds for which a form that was sent twice waits for what comes of the first."""


@dataclass(frozen=True)
class Done:
    """What was done, in a sentence, and the session that it is about. `audited` where nobody has noted it yet."""

    sentence: str
    session_id: UUID | None = None
    audited: tuple[Action, str, Mapping[str, Any]] | None = None


@dataclass(frozen=True)
class Form:
    """A form that was sent: `back` is the path below /ops of the page that it belongs to."""

    workspace_id: UUID
    provider: str
    token: UUID
    action: str
    back: str


def carry_out_once(database: Database, form: Form, do: Callable[[], Done]) -> Done:
    """Do it, unless the form was sent before. Raises PageError that explains a conflict, and then nothing was done."""
    if not begin_action(database, form.workspace_id, form.provider, form.token, form.action):
        return _what_came_of(database, form)
    try:
        done = do()
    except BaseException as error:
        forget_action(database, form.workspace_id, form.token)
        if isinstance(error, ConflictError):
            raise _explained(error, form) from None
        raise
    end_action(
        database,
        form.workspace_id,
        form.token,
        done.sentence,
        session_id=done.session_id,
        audited=done.audited,
    )
    return done


def _what_came_of(database: Database, form: Form) -> Done:
    def look() -> PageAction | None:
        return find_action(database, form.workspace_id, form.token)

    patience = Retrying(
        retry=retry_if_result(lambda found: found is not None and found.outcome is None),
        stop=stop_after_delay(PATIENCE),
        wait=wait_fixed(0.1),
        retry_error_callback=lambda state: state.outcome.result() if state.outcome is not None else None,
    )
    found: PageAction | None = patience(look)
    if found is not None and found.outcome is not None and found.action == form.action:
        return Done(found.outcome, found.session_id)
    raise PageError(
        HTTPStatus.CONFLICT,
        "This form was sent before",
        "What it asked for was refused, is still being done, or was cut short. See how things stand, and open the form "
        "anew if it is needed.",
        link=("See how things stand", form.back),
    )


def _explained(error: ConflictError, form: Form) -> PageError:
    if isinstance(error, SourceActiveError):
        link = ("See that session", f"/sessions/{error.session.id}")
        return PageError(HTTPStatus.CONFLICT, "A session is under way already", str(error), link=link)
    title = "The source is paused" if isinstance(error, SourcePausedError) else "The present state does not allow this"
    return PageError(HTTPStatus.CONFLICT, title, str(error), link=("Back", form.back))
