"""Sharing an account's limits with all processes that ask it, through Postgres, about twice a second.

Each tells what it wants, hears what the others want, and takes its part (`division`): no request costs a statement, and
none waits for the database. Where it is slow or away, what was heard last is forgotten after some seconds, and the
process goes by what the provider refuses, as one does that is alone.
"""

import logging
import threading
from collections.abc import Mapping
from functools import partial
from uuid import UUID, uuid4

from sqlalchemy import Engine

from cyphera_pipelines.model.errors import CypheraError
from cyphera_pipelines.store.database import DATABASE_ERRORS, Database
from cyphera_pipelines.store.request_shares import Opening, Rates, Wish, leave, tell_wishes
from cyphera_pipelines.sync.limits.account import AccountLimits
from cyphera_pipelines.sync.limits.demand import Wanted

LOOK_EVERY = 0.5
"""Seconds between two looks at what others want, while something is asked."""
FIRST_LOOK_AFTER = 0.1
"""Seconds after the first read of a quiet time: it may be the only one."""
ENDS_WITHIN = 2.0
"""Seconds that closing the database waits for a look that is under way."""

_log = logging.getLogger(__name__)


class Sharing:
    """The one of this process at a database: a thread that looks while something is asked, and rests otherwise."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._asking: dict[AccountLimits, tuple[UUID, Opening]] = {}
        self._somebody_asks, self._somebody_writes = threading.Event(), threading.Event()
        self._is_over = self._is_given_up = False
        self._told = set[UUID]()
        self._thread: threading.Thread | None = None

    def join(self, limits: AccountLimits, opening: Opening) -> None:
        """Share these limits from now on, whenever a turn is asked of them."""
        limits.tell_of_asking(partial(self._note_asking, limits, opening))

    def close(self) -> None:
        """End, and take away what was told."""
        with self._lock:
            self._is_over, thread = True, self._thread
        self._somebody_asks.set()
        self._somebody_writes.set()
        if thread is not None:
            thread.join(ENDS_WITHIN)
            self._is_given_up = thread.is_alive()

    def _note_asking(self, limits: AccountLimits, opening: Opening, is_write: bool) -> None:
        if limits in self._asking:
            return
        with self._lock:
            if self._is_over or limits in self._asking:
                return
            self._asking[limits] = (uuid4(), opening)
            # One that a fork left behind is not alive.
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="request-shares", daemon=True)
                self._thread.start()
            self._somebody_asks.set()
        if is_write:
            # Whoever reads shall know at once.
            self._somebody_writes.set()

    def _run(self) -> None:
        is_heard = True
        while not self._is_over:
            self._somebody_asks.wait()
            self._somebody_writes.wait(LOOK_EVERY if self._told else FIRST_LOOK_AFTER)
            self._somebody_writes.clear()
            if not self._is_over:
                is_heard = self._look(was_heard=is_heard)
        if self._told and not self._is_given_up:
            self._leave(list(self._told))

    def _look(self, *, was_heard: bool) -> bool:
        """Tell and hear once; whether that could be."""
        with self._lock:
            asking = {limits: (*each, limits.wanted()) for limits, each in self._asking.items()}
            at_rest = {limits for limits, (*_each, wanted) in asking.items() if not wanted}
            for limits in at_rest:
                del self._asking[limits]
            if not self._asking and not self._is_over:
                self._somebody_asks.clear()
        wishes = {
            limits: Wish(participant, opening, _as_rates(wanted))
            for limits, (participant, opening, wanted) in asking.items()
            if limits not in at_rest
        }
        if told := [asking[limits][0] for limits in at_rest if asking[limits][0] in self._told]:
            self._leave(told)
        self._told = {wish.participant for wish in wishes.values()}
        if not wishes:
            return was_heard
        try:
            heard = tell_wishes(self._database, list(wishes.values()))
        except (*DATABASE_ERRORS, CypheraError) as error:
            if was_heard:
                _log.info(
                    "What other processes ask of the same accounts is not known until the database answers (%s): rates "
                    "go by what providers refuse.",
                    type(error).__name__,
                )
            return False
        for limits, wish in wishes.items():
            limits.divide([_as_wanted(rates) for rates in heard.get(wish.participant, ())])
        return True

    def _leave(self, participants: list[UUID]) -> None:
        try:
            leave(self._database, participants)
        except (*DATABASE_ERRORS, CypheraError) as error:
            _log.debug("Shares that are not needed any more go by themselves: %s", type(error).__name__)


_sharings: dict[Engine, Sharing] = {}
_sharings_lock = threading.Lock()


def share_limits(database: Database, limits: AccountLimits, opening: Opening) -> None:
    """Keep to these limits together with all other processes at the database, until that is closed."""
    with _sharings_lock:
        if database.engine not in _sharings:
            _sharings[database.engine] = Sharing(database)
            database.before_close(partial(_end, database.engine))
        sharing = _sharings[database.engine]
    sharing.join(limits, opening)


def _end(engine: Engine) -> None:
    with _sharings_lock:
        sharing = _sharings.pop(engine)
    sharing.close()


def _as_rates(wanted: Mapping[str, Wanted]) -> Rates:
    return {name: (round(each.reads, 3), round(each.writes, 3)) for name, each in wanted.items()}


def _as_wanted(rates: Rates) -> dict[str, Wanted]:
    return {name: Wanted(*each) for name, each in rates.items()}
