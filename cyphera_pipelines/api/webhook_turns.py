"""Webhooks that wait for the same configuration are taken in together: while it waits for its turn, others gather."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar
from uuid import UUID

MOST_TOGETHER = 50
"""Webhooks of one transaction."""

D = TypeVar("D")
R = TypeVar("R")


class WebhookTurns(Generic[D, R]):
    """Whoever comes first takes along what has gathered; one turn at a time for each configuration.

    `most_at_once` turns go on at once: what comes for a configuration while it waits for its turn is taken along too.
    For one event loop.
    """

    def __init__(self, most_at_once: int) -> None:
        self._turns = asyncio.Semaphore(most_at_once)
        self._waiting: dict[UUID, list[tuple[D, asyncio.Future[R]]]] = {}
        self._tasks = set[asyncio.Task[None]]()

    async def take(
        self, configuration_id: UUID, delivery: D, work: Callable[[Sequence[D]], Awaitable[Sequence[R | Exception]]]
    ) -> R:
        """What became of the delivery, or its error. `work` returns a result or an error for each of the deliveries."""
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.get(configuration_id)
        if waiting is not None:
            waiting.append((delivery, future))
        else:
            self._waiting[configuration_id] = [(delivery, future)]
            task = asyncio.create_task(self._take_turns(configuration_id, work))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await future

    async def _take_turns(
        self, configuration_id: UUID, work: Callable[[Sequence[D]], Awaitable[Sequence[R | Exception]]]
    ) -> None:
        waiting = self._waiting[configuration_id]
        while waiting:
            batch: list[tuple[D, asyncio.Future[R]]] = []
            results: Sequence[R | Exception]
            try:
                async with self._turns:
                    batch, waiting[:] = waiting[:MOST_TOGETHER], waiting[MOST_TOGETHER:]
                    results = await work([delivery for delivery, _future in batch])
            except Exception as error:
                results = [error] * len(batch)
            except BaseException:
                # The server ends, and whoever waits with it.
                for _delivery, future in batch + waiting:
                    future.cancel()
                raise
            for (_delivery, future), result in zip(batch, results, strict=True):
                # Whoever went away meanwhile has cancelled his.
                if future.done():
                    continue
                if isinstance(result, Exception):
                    future.set_exception(result)
                else:
                    future.set_result(result)
        del self._waiting[configuration_id]
