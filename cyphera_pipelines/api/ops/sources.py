"""A source's page: its tables, schedule, sessions, webhooks, verification, waits, pauses and figures at a glance."""

from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query, Request, Response

from cyphera_pipelines.api.ops.pages import page
from cyphera_pipelines.api.ops.route import ops_router
from cyphera_pipelines.api.ops.viewers import CurrentViewer, Viewer, source_of_viewer
from cyphera_pipelines.api.services import RequestServices
from cyphera_pipelines.model.key_levels import KeyLevel
from cyphera_pipelines.model.remedies import without_commands
from cyphera_pipelines.model.session_words import asked_in_words, who_in_words
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.providers.registry import PROVIDERS, find_provider
from cyphera_pipelines.store.completeness import FiguresCompleteness, read_completeness
from cyphera_pipelines.store.configurations import find_active_configuration
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.freshness import freshness_of_workspace
from cyphera_pipelines.store.inbox import count_inbox
from cyphera_pipelines.store.missing import list_missing
from cyphera_pipelines.store.page_actions import find_action
from cyphera_pipelines.store.pauses import list_pause_changes
from cyphera_pipelines.store.request_counts import count_requests
from cyphera_pipelines.store.session_pages import page_sessions_of_source
from cyphera_pipelines.store.source_tables import read_tables
from cyphera_pipelines.store.verifications import list_verifications
from cyphera_pipelines.store.workspaces import find_workspace

SESSIONS_SHOWN = 20
PAUSES_SHOWN = 10

router = ops_router()

Before = Annotated[str | None, Query(max_length=100)]


@dataclass(frozen=True)
class FiguresAtAGlance:
    """The present MRR by currency, which is never summed; or why there is none. `sentences` say how complete it is."""

    is_test_mode: bool
    rows: tuple[FiguresCompleteness, ...]
    missing_because: str | None
    sentences: tuple[str, ...]


@router.get("/sources/{slug}/{provider}")
def show(
    slug: str,
    provider: str,
    request: Request,
    viewer: CurrentViewer,
    services: RequestServices,
    before: Before = None,
    done: UUID | None = None,
) -> Response:
    """The source, and what was just done to it where a form of this page was sent."""
    source = source_of_viewer(services.database, viewer, slug, provider)
    context = _read(services.database, viewer, source, before)
    entities = find_provider(source.provider).entities if source.provider in PROVIDERS else ()
    outcome = None if done is None else find_action(services.database, source.workspace_id, done)
    return page(
        request,
        viewer,
        "source.html",
        source=source,
        done=outcome,
        may_act=viewer.may(KeyLevel.SYNC),
        may_resume=_may_resume(viewer, context["freshness"].pause),
        before=before,
        asked=lambda session: asked_in_words(session, entities),
        who=who_in_words,
        **context,
    )


def _read(database: Database, viewer: Viewer, source: Source, before: str | None) -> dict[str, Any]:
    """What there is to show: a fixed number of statements, however many sources, sessions and rows there are."""
    workspace = find_workspace(database, source.workspace_slug)
    return {
        "configuration": find_active_configuration(database, workspace, source.provider),
        "freshness": freshness_of_workspace(database, source.workspace_id)[source.provider],
        "tables": read_tables(database, source),
        "sessions": page_sessions_of_source(database, source, limit=SESSIONS_SHOWN, before=before),
        "inbox": count_inbox(database, source),
        "missing": list_missing(database, source.workspace_id, source.provider, livemode=not source.is_test_mode),
        "verifications": list_verifications(database, source),
        "requests": count_requests(database, source),
        "pauses": list_pause_changes(database, source, limit=PAUSES_SHOWN),
        "figures": _figures(database, viewer, source),
    }


def _figures(database: Database, viewer: Viewer, source: Source) -> FiguresAtAGlance:
    workspace = find_workspace(database, source.workspace_slug)
    found = read_completeness(database, workspace, is_test_mode=source.is_test_mode)
    because, sentences = found.missing_because(source.provider), found.sentences(source.provider)
    if not viewer.is_operator:
        because, sentences = because and without_commands(because), [without_commands(each) for each in sentences]
    rows = tuple(each for each in found.figures if each.provider == source.provider)
    return FiguresAtAGlance(source.is_test_mode, rows, because, tuple(sentences))


def _may_resume(viewer: Viewer, pause: Any) -> bool:
    return viewer.may(KeyLevel.SYNC) and pause is not None and (viewer.is_operator or not pause.is_operators)
