"""The application, put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from cyphera_pipelines.api.body_limit import BodyLimit
from cyphera_pipelines.api.dagster_queue import DagsterQueue
from cyphera_pipelines.api.dagster_runs import DagsterRuns
from cyphera_pipelines.api.docs_page import add_docs_page
from cyphera_pipelines.api.document import DocumentedApi
from cyphera_pipelines.api.errors import add_error_handlers
from cyphera_pipelines.api.ops import add_ops_page
from cyphera_pipelines.api.ops.live import LiveSessions
from cyphera_pipelines.api.ops.sign_in_attempts import SignInAttempts
from cyphera_pipelines.api.request_log import RequestLog
from cyphera_pipelines.api.routes import (
    accounts,
    alerts,
    audit,
    configurations,
    inbox,
    operations,
    pauses,
    platform_webhooks,
    providers,
    purges,
    sessions,
    syncs,
    webhooks,
)
from cyphera_pipelines.api.routes.objects import ROUTERS
from cyphera_pipelines.api.services import REQUEST_THREADS, Services
from cyphera_pipelines.api.session_waits import SessionWaits
from cyphera_pipelines.api.single_headers import SingleHeaders
from cyphera_pipelines.connection_budget import budget_of
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.settings import Settings
from cyphera_pipelines.store.database import Database


def describe_api() -> DocumentedApi:
    """The routes, their errors and their document: enough to read about, not to serve."""
    app = DocumentedApi(
        # A redirect to a path with or without a slash would send keys and bodies twice; and to whatever host was named.
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
        separate_input_output_schemas=False,
    )
    for module in (
        configurations,
        pauses,
        providers,
        syncs,
        sessions,
        accounts,
        audit,
        purges,
        inbox,
        webhooks,
        platform_webhooks,
        operations,
        alerts,
    ):
        app.include_router(module.router)
    for router in ROUTERS:
        app.include_router(router)
    app.include_router(purges.public_router)
    add_docs_page(app)
    add_ops_page(app)
    add_error_handlers(app)
    app.add_middleware(BodyLimit)
    app.add_middleware(SingleHeaders)
    app.add_middleware(RequestLog)
    return app


def create_app(
    database: Database, keyring: Keyring, settings: Settings, dagster_runs: DagsterRuns | None
) -> DocumentedApi:
    """The API on these parts, which it closes when it ends, the database excepted.

    Without `dagster_runs`, sessions wait for Dagster's sensor, and readiness says nothing of Dagster.
    """
    app = describe_api()

    @asynccontextmanager
    async def serve(_app: object) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = REQUEST_THREADS
        services = Services(
            database=database,
            keyring=keyring,
            settings=settings,
            dagster=DagsterQueue(database, dagster_runs),
            session_waits=SessionWaits(database),
            runs_at_once=budget_of(settings).runs_at_once,
        )
        app.state.services = services
        app.state.operations = operations.Operations(services)
        app.state.live_sessions = LiveSessions(database, services.runs_at_once)
        app.state.sign_in_attempts = SignInAttempts()
        app.state.templates = app.templates()
        yield
        services.dagster.close()

    app.router.lifespan_context = serve
    return app
