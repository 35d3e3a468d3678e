"""Sessions as they go on, for pages that stay open: one look at the database a second, however many pages there are.

A page holds no thread and no connection while it waits. What it is sent is a piece of the page, rendered once for all
who look at the same session.
"""

import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import anyio
from anyio import CapacityLimiter, Lock
from fastapi import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from cyphera_pipelines.api.ops.pages import render_part, url_for_ops
from cyphera_pipelines.api.ops.session_state import SessionState, is_silent, state_of
from cyphera_pipelines.api.ops.viewers import Viewer
from cyphera_pipelines.api.places import Places
from cyphera_pipelines.api.services import Services
from cyphera_pipelines.api.session_waits import STOPPING
from cyphera_pipelines.model.sessions import Session, SessionStatus
from cyphera_pipelines.model.waiting import Waiting
from cyphera_pipelines.store.database import DATABASE_ERRORS, Database
from cyphera_pipelines.store.events import RecordedEvent
from cyphera_pipelines.store.session_pages import newest_events, read_sessions
from cyphera_pipelines.sync.turns import what_it_waits_for

LOOK_EVERY = 1.0
EVENTS_SHOWN = 5
HEARTBEAT_EVERY = 15.0
"""Seconds without news after which it is said that there are none: neither a proxy nor the page takes it for dead."""
LASTS = 90.0
"""Seconds after which a stream ends, and the browser opens another: the server gives up responses of two minutes."""
TURNS_AT_ONE_LOOK = 5
"""Sessions that wait to begin of which it is found out behind whom, at one look: each takes four statements."""
TURN_IS_KEPT_FOR = 5.0
_log = logging.getLogger(__name__)
_RETRY = "retry: 2000\n\n"


@dataclass
class _Seen:
    """A session as it was at the last look, and the piece of a page that shows it, by the prefix of its links."""

    session: Session
    events: Sequence[RecordedEvent]
    waiting: Waiting | None
    rendered: dict[str, str] = field(default_factory=dict)

    @property
    def state(self) -> SessionState:
        return state_of(self.session, self.waiting, self.events)

    @property
    def version(self) -> tuple[object, ...]:
        """Another one as soon as there is anything else to be shown."""
        newest = [event.id for event in self.events]
        return self.session.updated_at, self.session.status, is_silent(self.session), self.waiting, newest


class LiveSessions:
    """The sessions that pages are open for. For one event loop."""

    def __init__(self, database: Database, runs_at_once: int | None) -> None:
        self._database = database
        self._runs_at_once = runs_at_once
        self._watched: Counter[UUID] = Counter()
        self._seen: dict[UUID, _Seen] = {}
        self._turns: dict[UUID, tuple[float, Waiting | None]] = {}
        self._looked_at = float("-inf")
        self._looking = Lock()
        self._limiter = CapacityLimiter(1)

    async def pieces(self, request: Request, session_id: UUID) -> AsyncIterator[str]:
        """What to send, as server-sent events, until the session ends, the server stops, or the time is over."""
        began = said_at = time.monotonic()
        said: str | None = None
        self._watched[session_id] += 1
        try:
            yield _RETRY
            while not request.scope.get(STOPPING) and time.monotonic() - began < LASTS:
                seen = await self._look(session_id, began)
                if seen is not None:
                    piece = self._render(request, seen)
                    if piece != said:
                        said, said_at = piece, time.monotonic()
                        yield _event("state", piece)
                    if seen.session.status.is_final:
                        yield _event("ended", seen.session.status.value)
                        return
                if time.monotonic() - said_at > HEARTBEAT_EVERY:
                    said_at = time.monotonic()
                    yield _event("here", "yes")
        finally:
            self._watched -= Counter([session_id])
            if session_id not in self._watched:
                self._seen.pop(session_id, None)
                self._turns.pop(session_id, None)

    async def _look(self, session_id: UUID, began: float) -> _Seen | None:
        """The session as it is about a second from now; None if nobody could look, or it is gone."""
        await anyio.sleep(LOOK_EVERY)
        async with self._looking:
            # Whoever is first looks for everybody; the others, within the same second, find what it saw.
            if time.monotonic() - self._looked_at > LOOK_EVERY * 0.9 or self._looked_at < began:
                wanted = list(self._watched)
                try:
                    self._note(await anyio.to_thread.run_sync(self._read, wanted, limiter=self._limiter))
                except DATABASE_ERRORS:
                    # The next look may succeed; until then pages stay as they are.
                    _log.warning("The sessions that pages follow could not be looked at.", exc_info=True)
                self._looked_at = time.monotonic()
            return self._seen.get(session_id)

    def _read(self, ids: list[UUID]) -> dict[UUID, _Seen]:
        sessions = read_sessions(self._database, ids)
        events = newest_events(self._database, list(sessions), of_each=EVENTS_SHOWN)
        waiting = self._waits_of(sessions)
        return {each: _Seen(session, events.get(each, ()), waiting.get(each)) for each, session in sessions.items()}

    def _waits_of(self, sessions: Mapping[UUID, Session]) -> dict[UUID, Waiting | None]:
        """What each waits for: one that runs says so itself; whom the others are behind is found out by turns."""
        now, found = time.monotonic(), {}
        pending = [each for each in sessions.values() if each.status is SessionStatus.PENDING]
        pending.sort(key=lambda each: self._turns.get(each.id, (float("-inf"), None))[0])
        for session in pending[:TURNS_AT_ONE_LOOK]:
            if now - self._turns.get(session.id, (float("-inf"), None))[0] > TURN_IS_KEPT_FOR:
                self._turns[session.id] = now, what_it_waits_for(self._database, session, self._runs_at_once)
        for each in sessions.values():
            if each.status is SessionStatus.RUNNING:
                found[each.id] = Waiting.in_progress(each.progress)
            elif each.status is SessionStatus.PENDING and each.id in self._turns:
                found[each.id] = self._turns[each.id][1]
        return found

    def _note(self, found: dict[UUID, _Seen]) -> None:
        for each, seen in found.items():
            before = self._seen.get(each)
            if before is None or before.version != seen.version:
                self._seen[each] = seen
        for each in set(self._seen) - set(found):
            del self._seen[each]

    def _render(self, request: Request, seen: _Seen) -> str:
        prefix = url_for_ops(request)
        if prefix not in seen.rendered:
            seen.rendered[prefix] = render_part(request, "session_live.html", state=seen.state)
        return seen.rendered[prefix]


class _Stream(StreamingResponse):
    """Pieces of a page, for as long as it has a place. Raises ProblemError where there is none."""

    def __init__(self, pieces: AsyncIterator[str], places: Places, holder: Hashable) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", "X-Content-Type-Options": "nosniff"}
        super().__init__(pieces, media_type="text/event-stream", headers=headers)
        self._places, self._holder, self._told = places, holder, headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send them; to whoever asks by HEAD, only that there are some."""
        if scope["method"] == "HEAD":
            await Response(media_type=self.media_type, headers=self._told)(scope, receive, send)
            return
        with self._places.take(self._holder):
            await super().__call__(scope, receive, send)


def live_response(request: Request, viewer: Viewer, services: Services, session_id: UUID) -> StreamingResponse:
    """The stream of a session's pieces, of which a key, and all together, may have so many open."""
    live: LiveSessions = request.app.state.live_sessions
    return _Stream(live.pieces(request, session_id), services.live_pages, viewer.key_id)


def _event(name: str, data: str) -> str:
    lines = "".join(f"data: {line}\n" for line in data.splitlines())
    return f"event: {name}\n{lines}\n"
