"""What is to be sent to one endpoint, and the threads that send it."""

import heapq
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic

from cyphera_pipelines.sandbox.business.dice import Dice
from cyphera_pipelines.sandbox.serialization import JsonObject
from cyphera_pipelines.sandbox.webhooks.endpoint import E, Happening
from cyphera_pipelines.sandbox.webhooks.options import WebhookOptions
from cyphera_pipelines.sandbox.webhooks.post import Poster
from cyphera_pipelines.sandbox.webhooks.tally import Tally

IDLE_SECONDS = 5.0
"""So long a thread waits for more before it ends."""
LOOK_EVERY = 1.0


@dataclass(eq=False, slots=True)
class _Delivery(Generic[E]):
    """An event on its way. `turn` tells its valid place in the queue from those that it was taken out of."""

    happening: Happening[E]
    tries: int = 0
    turn: int = 0
    later_ones: int = 0
    """How many that happened later go first."""


class EndpointQueue(Generic[E]):
    """Sends to one endpoint from threads of its own, so that one that hangs keeps no other waiting.

    `name` is the endpoint's id, `number` its place in its account, `find` tells what it is now, `options` how to send,
    `wait_after` how many seconds to wait after so many tries.
    """

    def __init__(
        self,
        name: str,
        number: int,
        find: Callable[[], E | None],
        options: Callable[[], WebhookOptions],
        poster: Poster,
        wait_after: Callable[[WebhookOptions, int], float],
    ) -> None:
        self._name = name
        self._number = number
        self._find = find
        self._options = options
        self._poster = poster
        self._wait_after = wait_after
        self._changed = threading.Condition()
        self._waiting: list[tuple[float, int, int, _Delivery[E]]] = []
        self._places = 0
        self._held: list[_Delivery[E]] = []
        self._unfinished = 0
        self._arrived: set[str] = set()
        self._threads: set[threading.Thread] = set()
        self._idle = 0
        self._free_at = 0.0
        self._is_closed = False
        self.tally = Tally()

    def put(self, happening: Happening[E]) -> None:
        """Let an event be sent, or go wrong as the options say."""
        options, event_id = self._options(), happening.event_id
        with self._changed:
            self.tally.happened += 1
            self._let_held_go()
            if self._hits(options, "lost") or self._unfinished >= options.most_waiting:
                self.tally.lost.append(event_id)
                return
            self._add(_Delivery(happening), options)
            if self._hits(options, "doubled"):
                self.tally.doubled += 1
                self._add(_Delivery(happening), options)

    def put_again(self, happening: Happening[E]) -> None:
        """Send an event as if for the first time; nothing goes wrong this time."""
        with self._changed:
            self.tally.resent += 1
            self._unfinished += 1
            self._schedule(_Delivery(happening), 0.0)

    def as_json(self) -> JsonObject:
        """Return the counts, and how many wait or are on their way."""
        with self._changed:
            return {**self.tally.as_json(), "waiting": self._unfinished}

    def ids(self) -> JsonObject:
        """Return the ids of the events that were lost or given up."""
        with self._changed:
            return {"lost": list(self.tally.lost), "given_up": list(self.tally.given_up)}

    def close(self) -> list[threading.Thread]:
        """Forget what waits and let the threads end; return them. One that waits for an answer ends when it has it."""
        with self._changed:
            self._is_closed = True
            self._waiting.clear()
            self._held.clear()
            self._changed.notify_all()
            return list(self._threads)

    def _hits(self, options: WebhookOptions, what: str) -> bool:
        """Whether this happens to the event that was put last."""
        share: float = getattr(options, what)
        return share > 0 and Dice(options.seed, "webhooks", what, self._number, self.tally.happened).chance(share)

    def _add(self, delivery: _Delivery[E], options: WebhookOptions) -> None:
        dice = Dice(options.seed, "webhooks", self._number, self.tally.happened, self._places)
        seconds = 0.0
        if self._hits(options, "delayed"):
            seconds = options.delay_seconds * dice.below(1_001) / 1_000
        elif self._hits(options, "reordered"):
            seconds = options.delay_seconds
            delivery.later_ones = 1 + dice.below(options.reordered_by)
            self._held.append(delivery)
        self._unfinished += 1
        self._schedule(delivery, seconds)

    def _let_held_go(self) -> None:
        for delivery in self._held:
            delivery.later_ones -= 1
            if not delivery.later_ones:
                self._schedule(delivery, 0.0)
        self._held = [delivery for delivery in self._held if delivery.later_ones]

    def _schedule(self, delivery: _Delivery[E], seconds: float) -> None:
        self._places += 1
        delivery.turn += 1
        heapq.heappush(self._waiting, (time.monotonic() + seconds, self._places, delivery.turn, delivery))
        self._wake_one()

    def _wake_one(self) -> None:
        if self._idle:
            self._changed.notify()
        elif not self._is_closed and len(self._threads) < self._options().at_once:
            thread = threading.Thread(target=self._work, name=f"webhooks of {self._name}", daemon=True)
            self._threads.add(thread)
            thread.start()

    def _work(self) -> None:
        while (delivery := self._next()) is not None:
            self._send(delivery)

    def _next(self) -> _Delivery[E] | None:
        """The next delivery whose time has come; None when there was none for a while."""
        with self._changed:
            gives_up_at = time.monotonic() + IDLE_SECONDS
            while not self._is_closed:
                now = time.monotonic()
                while self._waiting and self._waiting[0][2] != self._waiting[0][3].turn:
                    heapq.heappop(self._waiting)
                rate = self._options().rate
                self._free_at = min(self._free_at, now + 1 / rate) if rate else now
                at = max(self._waiting[0][0], self._free_at) if self._waiting else gives_up_at
                if self._waiting and at <= now:
                    delivery = heapq.heappop(self._waiting)[3]
                    if delivery.later_ones:
                        self._held.remove(delivery)
                        delivery.later_ones = 0
                    self._free_at = now + 1 / rate if rate else now
                    if self._waiting:
                        self._wake_one()
                    return delivery
                if not self._waiting and at <= now:
                    break
                self._idle += 1
                # No longer than this: the options may change meanwhile.
                self._changed.wait(min(at - now, LOOK_EVERY))
                self._idle -= 1
            self._threads.discard(threading.current_thread())
            return None

    def _send(self, delivery: _Delivery[E]) -> None:
        endpoint, options, happening = self._find(), self._options(), delivery.happening
        if endpoint is None or not endpoint.is_enabled:
            with self._changed:
                self.tally.dropped += 1
                self._unfinished -= 1
            return
        delivery.tries += 1
        status, why = self._poster.post(endpoint, happening.body_for(endpoint), options.timeout_seconds)
        is_taken = status is not None and 200 <= status < 300
        with self._changed:
            self.tally.sent += 1
            self.tally.answered["no answer" if status is None else str(status)] += 1
            if is_taken:
                self._unfinished -= 1
                self._note_arrival(happening)
                return
            self.tally.last_failure = why or f"The endpoint answered with status {status}."
            if delivery.tries >= options.tries:
                self._unfinished -= 1
                self.tally.given_up.append(happening.event_id)
            else:
                self._schedule(delivery, self._wait_after(options, delivery.tries))

    def _note_arrival(self, happening: Happening[E]) -> None:
        self.tally.arrived += 1
        if happening.event_id in self._arrived:
            return
        self._arrived.add(happening.event_id)
        happening.arrived()
        self.tally.milliseconds.append((time.monotonic() - happening.at) * 1_000)
