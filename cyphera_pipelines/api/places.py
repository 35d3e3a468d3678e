"""Places for requests: nobody may take all of them."""

from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from cyphera_pipelines.api.problems import too_many_requests, unavailable

MOST_OF_ONE_KEY = 200
"""Requests of one API key that may be at work or waiting at once, in each of the server's processes."""
WEBHOOKS_OF_ONE_CONFIGURATION = 50
"""Webhooks of one configuration that may wait for their body or be at work, in each of the server's processes."""
WEBHOOKS_OF_ONE_PLATFORM = 100
"""The same of a platform's one address, for all accounts that are connected to it: others have theirs beside it."""
TESTS_OF_ONE_WORKSPACE = 2
MOST_CONNECTION_TESTS = 40
"""Connection tests at once, of one workspace and in all, in each of the server's processes: each has seven threads."""

PROVIDER_CALLS_OF_ONE_WORKSPACE = 16
MOST_PROVIDER_CALLS = 64
"""Requests that read or write at a provider, of one workspace and in all, in each of the server's processes: each has a
thread for as long as the provider takes."""

WAITS_OF_ONE_WORKSPACE = 50
MOST_WAITS = 500
"""Requests that wait for a session's status to change, of one workspace and in all, in each of the server's processes:
fewer than the requests that there may be, so that there is always room for those that do not wait."""

LIVE_PAGES_OF_ONE_KEY = 50
MOST_LIVE_PAGES = 300
"""Open pages that follow a session by themselves, of whoever is signed in with one key and in all, in each of the
server's processes."""


@dataclass
class Places:
    """How many requests are at work, in all and of each holder. For one event loop.

    `of_one` and `in_all` are the most that there may be (None: any number), `one_is_full` and `all_are_full` what is
    said beyond.
    """

    of_one: int
    one_is_full: str
    in_all: int | None = None
    all_are_full: str = ""
    _at_work: Counter[Hashable] = field(default_factory=Counter)

    @property
    def at_work(self) -> int:
        """How many there are now, in all."""
        return self._at_work.total()

    @contextmanager
    def take(self, holder: Hashable) -> Iterator[None]:
        """A place for a request of this holder, or ProblemError: with status 429 if it is the holder's own fault."""
        if self._at_work[holder] >= self.of_one:
            raise too_many_requests(self.one_is_full)
        if self.in_all is not None and self._at_work.total() >= self.in_all:
            raise unavailable(self.all_are_full)
        self._at_work[holder] += 1
        try:
            yield
        finally:
            self._at_work[holder] -= 1
            if not self._at_work[holder]:
                del self._at_work[holder]
