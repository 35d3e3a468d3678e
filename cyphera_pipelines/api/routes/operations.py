"""For operators and their machines: health and metrics. No key is asked for."""

import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Literal

import anyio
from anyio import CapacityLimiter, Lock
from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, Field
from sqlalchemy.exc import SQLAlchemyError

from cyphera_pipelines.api import metrics
from cyphera_pipelines.api.problems import ProblemError
from cyphera_pipelines.api.routes.router import problems
from cyphera_pipelines.api.services import OPERATION_THREADS, Services
from cyphera_pipelines.model.errors import CypheraError
from cyphera_pipelines.store import migrations
from cyphera_pipelines.store.database import check_reachable

KEPT_FOR = 2.0
ANSWER_WITHIN = 10.0


class Health(BaseModel):
    """The process is alive."""

    status: Literal["ok"] = Field(default="ok", description="Always the same: the answer itself is the news.")


class Readiness(BaseModel):
    """Everything that requests need is there."""

    status: Literal["ready"] = Field(default="ready", description="Always the same; otherwise it is a problem.")
    checks: list[str] = Field(
        description="What was looked at.", examples=[["database", "migrations", "dagster", "code_location", "sensors"]]
    )


class Operations:
    """Looks at most every few seconds, and with few threads, however often it is asked: anybody may ask."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._limiter = CapacityLimiter(OPERATION_THREADS)
        self._lock = Lock()
        self._problems: dict[str, str | None] = {}
        self._looked_at = float("-inf")
        self._sync_metrics = metrics.SyncMetrics(services.database)

    async def problems(self) -> dict[str, str | None]:
        """What is wrong, by the name of the check; None where nothing is."""
        async with self._lock:
            if time.monotonic() - self._looked_at > KEPT_FOR:
                self._problems = await self._look()
                self._looked_at = time.monotonic()
            return self._problems

    async def metrics(self) -> bytes:
        """All metrics as text."""
        return await anyio.to_thread.run_sync(metrics.render, self._sync_metrics, limiter=self._limiter)

    async def _look(self) -> dict[str, str | None]:
        found = await self._within_time("database", lambda: {"database": self._database()})
        if not any(found.values()):
            found |= await self._within_time("migrations", lambda: {"migrations": self._migrations()})
        return found | await self._within_time("dagster", self._services.dagster.problems)

    async def _within_time(self, name: str, check: Callable[[], dict[str, str | None]]) -> dict[str, str | None]:
        with anyio.move_on_after(ANSWER_WITHIN):
            return await anyio.to_thread.run_sync(check, limiter=self._limiter, abandon_on_cancel=True)
        return {name: f"It did not answer within {ANSWER_WITHIN:.0f} seconds."}

    def _database(self) -> str | None:
        try:
            check_reachable(self._services.database)
        except (CypheraError, SQLAlchemyError):
            # Why is in the log of whoever meets it: addresses are nobody's business here.
            return "The database does not answer."
        return None

    def _migrations(self) -> str | None:
        try:
            migrations.check(self._services.database.engine)
        except CypheraError as error:
            return str(error)
        except SQLAlchemyError:
            return "The database does not answer."
        return None


router = APIRouter(tags=["Operations"])


@router.get("/healthz", operation_id="getHealth")
async def get_health() -> Health:
    """Whether the process is alive. It asks nobody else: restart it if it does not answer."""
    return Health()


@router.get("/readyz", responses=problems(HTTPStatus.SERVICE_UNAVAILABLE), operation_id="getReadiness")
async def get_readiness(request: Request) -> Readiness:
    """Whether the database answers, its schema fits, Dagster's daemon runs, our code is loaded and the sensors tick.

    If not, 503 with `checks`: a sentence for each thing that is not well. Looked at every two seconds at most.
    """
    operations: Operations = request.app.state.operations
    found = await operations.problems()
    failing = {name: problem for name, problem in found.items() if problem is not None}
    if failing:
        detail = " ".join(f"{name}: {problem}" for name, problem in failing.items())
        raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "not-ready", "Not ready", detail, checks=failing)
    return Readiness(checks=list(found))


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        HTTPStatus.OK.value: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "The metrics."},
        **problems(HTTPStatus.SERVICE_UNAVAILABLE),
    },
    operation_id="getMetrics",
)
async def get_metrics(request: Request) -> Response:
    """Metrics in Prometheus' text format. They name no workspace; still, keep them inside your network."""
    operations: Operations = request.app.state.operations
    return Response(await operations.metrics(), media_type=CONTENT_TYPE_LATEST)
