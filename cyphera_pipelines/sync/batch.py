"""A batch: one process that takes sources as they are due, looks at many at once, and syncs those that need it.

A source at rest is looked at, and that is noted in its row: no session, and nothing in Dagster. Looks, syncs of changes
and listings have threads of their own, so that a listing of hours holds up nobody's changes, and no sync a look.
"""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from uuid import UUID

from cyphera_pipelines.connection_budget import SYNCS_OF_A_BATCH
from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.errors import ConflictError, CypheraError, NotFoundError
from cyphera_pipelines.model.sessions import Session, SessionOrigin, SessionTrigger, SyncRequest
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.providers.base import RequestAbandonedError
from cyphera_pipelines.providers.registry import PROVIDERS, find_provider
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.store.claims import (
    LEASE_SECONDS,
    NOT_CLAIMED,
    Claim,
    ClaimWalk,
    claim_due,
    end_stopped_worker,
    extend_claims,
    holds,
    mend_schedules,
    release_claims,
    seconds_until_due,
    unchanged,
)
from cyphera_pipelines.store.database import DATABASE_ERRORS, Database
from cyphera_pipelines.store.locks import is_being_synced
from cyphera_pipelines.store.schedules import SyncEnd, SyncResult, note_sync
from cyphera_pipelines.store.sessions import get_session
from cyphera_pipelines.store.sources import find_source_of
from cyphera_pipelines.sync.cancellation import Cancellation, cancel_sessions
from cyphera_pipelines.sync.engine import SyncJob, run_sync
from cyphera_pipelines.sync.look import Needed, Nothing, look
from cyphera_pipelines.sync.memory import collect_if_due, share_arenas
from cyphera_pipelines.sync.outcome import SyncOutcome
from cyphera_pipelines.sync.request import open_only_session
from cyphera_pipelines.sync.schedule_notes import level
from cyphera_pipelines.sync.shared_threads import SharedThreads

LOOKS_AT_ONCE = 16
LISTINGS_AT_ONCE = 1
CHANGES_AT_ONCE = SYNCS_OF_A_BATCH - LISTINGS_AT_ONCE
CHANGES_OF_A_WORKSPACE = CHANGES_AT_ONCE - 1
"""Of one workspace in a batch: however slow its provider is, a thread is left for others."""

LISTING_PATIENCE = 60.0
"""Seconds for which sources wait for a listing that goes on, before the batch ends and leaves them to the next one."""

MOST_IN_HAND = 100
"""Sources that a batch has claimed at once, those that wait for a sync's turn among them."""

CLAIM_EVERY = 1.0
LONGEST_PAUSE = 60.0
"""Seconds without anything to do after which a batch ends, or at once where nothing is due for so long."""
LINGERS_FOR = 10.0
"""Seconds in which a batch that has nothing to do waits for what webhooks want all the same."""

GIVES_WAY = "This listing gave way to those of other sources, which waited for it. Its turn comes again by itself."

NOT_AGAIN_FOR = 60.0
"""Seconds that a source is left alone at least after a sync of it, or an attempt at one."""
SILENT_FOR = 20.0
"""Seconds without a heartbeat after which a session whose lock nobody holds was a dead worker's."""
DATABASE_PATIENCE = 120.0

_log = logging.getLogger(__name__)
# Of each sync its session tells. A batch's own log names no source: it outlives them.
_silent = logging.getLogger("cyphera_batch.syncs")
_silent.addHandler(logging.NullHandler())
_silent.propagate = False


@dataclass
class BatchCounts:
    """What became of the sources that a batch took. `waits` are the seconds that each was due before it was taken."""

    unchanged: int = 0
    completed: int = 0
    not_completed: int = 0
    given_back: int = 0
    waits: list[float] = field(default_factory=list)

    def in_words(self) -> str:
        """As in "312 sources: 300 unchanged, 9 synced, 3 with trouble, 0 given back"."""
        return (
            f"{len(self.waits):,} sources: {self.unchanged:,} unchanged, {self.completed:,} synced, "
            f"{self.not_completed:,} with trouble, {self.given_back:,} given back."
        )


@dataclass(frozen=True)
class SyncedInBatch:
    """A sync that has ended. `outcome` is None where an error ended it, which its session tells.

    `shows_all`: all tables are to be shown, changed or not, since the last sync of the source failed.
    """

    source: Source
    session: Session
    request: SyncRequest
    outcome: SyncOutcome | None
    seconds: float
    shows_all: bool


@dataclass(frozen=True)
class BatchOptions:
    """How a batch works. `report` hears of every sync that has ended, in the thread that made it.

    `on_rest` hears of every source in which nothing has happened, once that is noted.

    `may_end` is asked once `seconds` have passed, and earlier where a listing has held up others for
    `listing_patience`, which the next batch begins. A batch that may not end yet goes on for as long again, and a
    listing that has held up others for `seconds` gives way.
    """

    run_id: str | None = None
    per_workspace: int = 8
    seconds: float = 300.0
    longest_pause: float = LONGEST_PAUSE
    listing_patience: float = LISTING_PATIENCE
    report: Callable[[SyncedInBatch], None] = lambda _synced: None
    on_rest: Callable[[Source], None] = lambda _source: None
    may_end: Callable[[], bool] = lambda: True


class Batch:
    """One worker's turn at the sources that are due. `run` it once; `stop` it from another thread."""

    def __init__(self, database: Database, keyring: Keyring, worker: UUID, options: BatchOptions) -> None:
        self.counts = BatchCounts()
        self._database = database
        self._keyring = keyring
        self._worker = worker
        self._options = options
        self._stopping = threading.Event()
        self._ended = threading.Event()
        self._changed = threading.Condition()
        self._in_hand: dict[tuple[UUID, str], Claim] = {}
        self._looking = 0
        self._sessions: dict[UUID, Session] = {}
        self._looks = ThreadPoolExecutor(LOOKS_AT_ONCE, thread_name_prefix="look")
        self._changes = SharedThreads(CHANGES_AT_ONCE, most_of_one=CHANGES_OF_A_WORKSPACE, name="sync-changes")
        self._listings = SharedThreads(LISTINGS_AT_ONCE, most_of_one=LISTINGS_AT_ONCE, name="sync-listing")
        self._listed: Session | None = None
        self._gave_way: set[UUID] = set()

    def run(self) -> BatchCounts:
        """Take what is due until the time is up or nothing is due, wait for what is begun, and return the counts.

        Syncs that have not begun when the time is up are given back. Raises a database error if the database is gone
        for longer than `DATABASE_PATIENCE`.
        """
        share_arenas()
        beat = threading.Thread(target=self._beat, name="batch-heartbeat", daemon=True)
        beat.start()
        try:
            mend_schedules(self._database)
            self._take_what_is_due()
        finally:
            self._stop_claiming()
            self._looks.shutdown(wait=True)
            for threads in (self._changes, self._listings):
                threads.join()
            self._ended.set()
            beat.join()
            self._give_back_the_rest()
        return self.counts

    def stop(self, why: str) -> None:
        """End soon: looks are given up, syncs stop between two pages, and the sources are given back as they are."""
        self._stopping.set()
        with self._changed:
            sessions = list(self._sessions.values())
            self._changed.notify_all()
        cancel_sessions(self._database, sessions, Cancellation(why, {}))

    def _let_a_listing_give_way(self) -> None:
        """No other batch may list what waits for the listing that goes on here, so that this one continues after it."""
        with self._changed:
            listed = self._listed
            if listed is None:
                return
            self._gave_way.add(listed.id)
        try:
            cancel_sessions(self._database, [listed], Cancellation(GIVES_WAY, {}))
        except DATABASE_ERRORS:
            _log.warning("A listing that holds up others goes on; the next try follows.", exc_info=True)

    def _take_what_is_due(self) -> None:
        walk, until, idle_since = ClaimWalk(), time.monotonic() + self._options.seconds, time.monotonic()
        patience, not_asked_before = self._options.listing_patience, 0.0
        lost_since: float | None = None
        while not self._stopping.is_set():
            now, held_up = time.monotonic(), self._listings.seconds_held_up()
            if now >= until or (held_up >= patience and now >= not_asked_before):
                if self._options.may_end():
                    break
                until, not_asked_before = now + self._options.seconds, now + patience
                if held_up >= self._options.seconds:
                    self._let_a_listing_give_way()
            room = self._room()
            claims: list[Claim] = []
            if room:
                try:
                    claims = claim_due(
                        self._database, self._worker, limit=room, per_workspace=self._options.per_workspace, walk=walk
                    )
                    lost_since = None
                except DATABASE_ERRORS:
                    lost_since = lost_since or now
                    if now - lost_since > DATABASE_PATIENCE:
                        raise
                    _log.warning("Nothing could be claimed; the next try follows.", exc_info=True)
            for claim in claims:
                self._take(claim)
            if claims or self._in_hand:
                idle_since = now
            elif lost_since is None and self._is_nothing_due_for_long(now - idle_since):
                break
            if len(claims) < room or not room:
                with self._changed:
                    self._changed.wait_for(lambda: self._stopping.is_set(), CLAIM_EVERY if room else CLAIM_EVERY / 4)

    def _room(self) -> int:
        """For how many sources there are threads that have nothing to do; a claim for each one would cost more."""
        with self._changed:
            free = min(LOOKS_AT_ONCE - self._looking, MOST_IN_HAND - len(self._in_hand))
        return free if free >= LOOKS_AT_ONCE // 4 else 0

    def _is_nothing_due_for_long(self, idle: float) -> bool:
        if idle < min(LINGERS_FOR, self._options.longest_pause):
            return False
        next_due = seconds_until_due(self._database)
        return next_due is None or next_due > self._options.longest_pause

    def _take(self, claim: Claim) -> None:
        with self._changed:
            self.counts.waits.append(claim.waited)
            self._in_hand[claim.workspace_id, claim.provider] = claim
            self._looking += 1
        self._looks.submit(self._guarded, claim, self._look)

    def _guarded(self, claim: Claim, work: Callable[[Claim], bool]) -> None:
        """Do the work; whatever comes of it, the batch goes on. Work that returns False leaves the claim to others."""
        is_over = True
        try:
            is_over = work(claim)
        except RequestAbandonedError:
            self._give_back(claim)
        except Exception:
            _log.exception("A source could not be looked at, or its sync not be noted; it is tried again soon.")
            self._give_back(claim, not_before=NOT_AGAIN_FOR)
        finally:
            with self._changed:
                self._looking -= work == self._look
                if is_over:
                    self._in_hand.pop((claim.workspace_id, claim.provider), None)
                self._changed.notify_all()

    def _look(self, claim: Claim) -> bool:
        """Look at the source. Returns False where a sync of it follows, which ends the claim."""
        source = find_source_of(self._database, claim.workspace_id, claim.provider)
        if source is None:
            self._give_back(claim, not_before=NOT_AGAIN_FOR)
            return True
        if source.provider not in PROVIDERS:
            self._note_missing_provider(claim, source)
            return True
        try:
            found = look(
                self._database,
                self._keyring,
                source,
                is_listing_due=claim.is_listing_due,
                is_session_wanted=claim.has_failed,
                is_cancelled=self._stopping.is_set,
            )
        except (RequestAbandonedError, *DATABASE_ERRORS):
            raise
        except CypheraError as error:
            request = SyncRequest(find_provider(source.provider).entities, only_changes=True)
            self._begin(claim, Needed(request, lists_all=False), source, error)
            return False
        if isinstance(found, Nothing):
            self._note_nothing(claim, source, found)
            self._options.on_rest(source)
            return True
        self._begin(claim, found, source, None)
        return False

    def _note_nothing(self, claim: Claim, source: Source, found: Nothing) -> None:
        told = {**NOT_CLAIMED, **unchanged(found.since, found.until, found.key_digest)}
        end = replace(level(source.provider, claim.claimed_at, found.positions), claim_number=claim.number, also=told)
        with self._database.tenant(claim.workspace_id) as connection:
            note_sync(connection, claim.workspace_id, claim.provider, end)
        self._count("unchanged")

    def _let_go(self, claim: Claim) -> None:
        with self._changed:
            self._in_hand.pop((claim.workspace_id, claim.provider), None)

    def _note_missing_provider(self, claim: Claim, source: Source) -> None:
        """Have the source fail: whoever looks at it, or is alerted, reads why, and what to do."""
        reason = (
            f"There is no provider {source.provider!r} here: its package is not installed, or cannot be used. Install "
            "it and start the services anew; or remove the source: "
            f"cyphera source remove {source.workspace_slug} {source.provider}"
        )
        _log.warning("A source cannot be synced: there is no provider %s here.", source.provider)
        end = SyncEnd(
            SyncResult.FAILED,
            claim.claimed_at,
            reason,
            ErrorCode.PROVIDER_UNKNOWN,
            claim_number=claim.number,
            also=NOT_CLAIMED,
        )
        with self._database.tenant(claim.workspace_id) as connection:
            note_sync(connection, claim.workspace_id, claim.provider, end)
        self._count("not_completed")

    def _begin(self, claim: Claim, needed: Needed, source: Source, error: CypheraError | None) -> None:
        threads = self._listings if needed.lists_all else self._changes
        work = partial(self._sync, needed=needed, source=source, error=error)
        if not threads.submit(claim, partial(self._guarded, work=work)):
            # The time is up, and no sync begins any more.
            self._give_back(claim)
            self._let_go(claim)

    def _sync(self, claim: Claim, needed: Needed, source: Source, error: CypheraError | None) -> bool:
        if not holds(self._database, claim):
            # It waited for its turn, and this process was away meanwhile.
            self._count("given_back")
            return True
        if self._stopping.is_set() or not self._may_be_locked(source):
            self._give_back(claim, not_before=0.0 if self._stopping.is_set() else SILENT_FOR)
            return True
        try:
            session = open_only_session(
                self._database,
                source,
                needed.request,
                dagster_run_id=self._options.run_id,
                silent_for=SILENT_FOR,
                origin=SessionOrigin(SessionTrigger.WEBHOOK if claim.is_wanted else SessionTrigger.SCHEDULE),
            )
        except (ConflictError, NotFoundError):
            # Somebody else syncs it, or it was paused, removed or is purged.
            self._give_back(claim, not_before=SILENT_FOR)
            return True
        began, outcome = time.monotonic(), None
        with self._changed:
            self._sessions[session.id] = session
            if needed.lists_all:
                self._listed = session
        try:
            if self._stopping.is_set():
                self.stop("The process of this sync was stopped.")
            job = SyncJob(
                self._database,
                self._keyring,
                source,
                session,
                needed.request,
                dagster_run_id=self._options.run_id,
                log=_silent,
                claim=claim,
                failed_check=error,
            )
            outcome = run_sync(job)
        except CypheraError:
            _log.debug("A sync ended with an error, which its session tells.", exc_info=True)
        finally:
            with self._changed:
                del self._sessions[session.id]
                if needed.lists_all:
                    self._listed = None
        self._report(claim, source, session, needed, outcome, time.monotonic() - began)
        if self._stopping.is_set() or session.id in self._gave_way:
            release_claims(self._database, [claim], are_due=True)
        else:
            release_claims(self._database, [claim], not_before=NOT_AGAIN_FOR)
        return True

    def _report(
        self,
        claim: Claim,
        source: Source,
        session: Session,
        needed: Needed,
        outcome: SyncOutcome | None,
        seconds: float,
    ) -> None:
        """Tell of a sync that this worker has ended: what another one has taken over is that one's to tell."""
        self._count("completed" if outcome is not None and outcome.error_summary is None else "not_completed")
        if not holds(self._database, claim):
            return
        ended = get_session(self._database, session.workspace_id, session.id)
        try:
            self._options.report(
                SyncedInBatch(source, ended, needed.request, outcome, seconds, shows_all=claim.has_failed)
            )
        except Exception:
            _log.exception("The end of session %s could not be shown.", session.id)

    def _may_be_locked(self, source: Source) -> bool:
        """Whether nobody holds the source's lock, or only a worker that is stopped, whose connections end then."""
        if not is_being_synced(self._database, source.workspace_id, source.provider):
            return True
        return end_stopped_worker(self._database, source.workspace_id, source.provider)

    def _stop_claiming(self) -> None:
        """What has not begun to be synced is given back: the next batch has it, however long a listing here goes on."""
        for claim in [*self._changes.close(), *self._listings.close()]:
            self._give_back(claim)
            self._let_go(claim)
        self._looks.shutdown(wait=False, cancel_futures=True)
        # Others need the connections; a listing that goes on makes the few that it uses anew.
        self._database.engine.dispose()

    def _give_back_the_rest(self) -> None:
        rest = list(self._in_hand.values())
        try:
            release_claims(self._database, rest)
        except DATABASE_ERRORS:
            _log.warning("%d sources could not be given back: their leases end by themselves.", len(rest))
        self.counts.given_back += len(rest)

    def _give_back(self, claim: Claim, *, not_before: float = 0.0) -> None:
        self._count("given_back")
        try:
            release_claims(self._database, [claim], not_before=not_before)
        except DATABASE_ERRORS:
            _log.warning("A source could not be given back: its lease ends by itself.", exc_info=True)

    def _count(self, what: str) -> None:
        with self._changed:
            setattr(self.counts, what, getattr(self.counts, what) + 1)

    def _beat(self) -> None:
        """Be heard of, for as long as there is anything in hand."""
        while not self._ended.wait(LEASE_SECONDS / 4):
            collect_if_due()
            try:
                extend_claims(self._database, self._worker)
            except DATABASE_ERRORS:
                _log.warning("The claims could not be extended; the next try follows.", exc_info=True)
