"""Clients that wait for a session's status to change: one look at the database for all of them at once."""

import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from uuid import UUID

import anyio
from anyio import CapacityLimiter, Lock
from fastapi import Request

from cyphera_pipelines.model.sessions import SessionStatus
from cyphera_pipelines.store.database import DATABASE_ERRORS, Database
from cyphera_pipelines.store.sessions import read_statuses

LOOK_EVERY = 0.5
STOPPING = "cyphera.stopping"
"""Set in the scope of a request that is at work when its server is told to stop."""


class SessionWaits:
    """Holds no thread and no connection while it waits. For one event loop."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waited_for: Counter[UUID] = Counter()
        self._statuses: Mapping[UUID, SessionStatus] = {}
        self._looked_at = float("-inf")
        self._looking = Lock()
        self._limiter = CapacityLimiter(1)

    async def for_change(self, request: Request, session_id: UUID, present: SessionStatus, seconds: float) -> None:
        """Return when the session has another status than the present one, or is gone.

        And when so many seconds are over, the client goes away, or the server is told to stop.
        """
        self._waited_for[session_id] += 1
        try:
            with anyio.move_on_after(seconds):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(_return_when_gone, request, tasks.cancel_scope)
                    # Whoever asks next meets the same trouble, and tells of it.
                    with suppress(*DATABASE_ERRORS):
                        while not request.scope.get(STOPPING) and await self._status(session_id) is present:
                            pass
                    tasks.cancel_scope.cancel()
        finally:
            self._waited_for -= Counter([session_id])

    async def _status(self, session_id: UUID) -> SessionStatus | None:
        """The session's status a moment from now; None if there is no such session any more."""
        await anyio.sleep(LOOK_EVERY)
        async with self._looking:
            # Whoever is first looks for everybody who waits; the others find what it saw.
            if session_id not in self._statuses or time.monotonic() - self._looked_at > LOOK_EVERY / 2:
                wanted = list(self._waited_for)
                self._statuses = await anyio.to_thread.run_sync(
                    read_statuses, self._database, wanted, limiter=self._limiter
                )
                self._looked_at = time.monotonic()
            return self._statuses.get(session_id)


async def _return_when_gone(request: Request, waiting: anyio.CancelScope) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    waiting.cancel()
