"""How many objects to ask for at once where large pages arrive cut off."""

import threading

_FIRST_TRIAL = 5


class PageSize:
    """The number of objects per page that gets through, as far as the pages tell.

    It halves when a page stays cut off. After five good pages of the reduced size, twice the size is tried again, up to
    what the caller wants. A larger size that is cut off before as many good pages of it arrived doubles the number of
    good pages that the next try takes; one that proves good resets it. Safe to use from several threads: pages of
    another size than the present one tell of the past, and count only if they were smaller and cut off all the same.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._size: int | None = None
        self._good_pages = 0
        self._needed = _FIRST_TRIAL
        self._is_on_trial = False

    def at_most(self, wanted: int) -> int:
        """The number of objects to ask for, where `wanted` would be welcome."""
        size = self._size
        return wanted if size is None else min(wanted, size)

    def cut_off(self, asked: int) -> None:
        """A page of so many objects stayed cut off."""
        with self._lock:
            if self._size is not None and asked > self._size:
                return
            if self._is_on_trial and asked == self._size:
                self._needed *= 2
            self._size = max(1, asked // 2)
            self._good_pages = 0
            self._is_on_trial = False

    def arrived(self, asked: int, wanted: int) -> None:
        """A page of so many objects arrived whole, where `wanted` would have been welcome."""
        with self._lock:
            if asked != self._size:
                return
            self._good_pages += 1
            if self._good_pages < self._needed:
                return
            if self._is_on_trial:
                self._needed = _FIRST_TRIAL
            self._good_pages = 0
            self._is_on_trial = asked < wanted
            if self._is_on_trial:
                self._size = min(wanted, 2 * asked)
