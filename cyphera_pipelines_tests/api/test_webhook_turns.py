"""Which webhooks are taken in together: all that have come for a configuration when it is its turn."""

import asyncio
from collections.abc import Sequence
from uuid import UUID, uuid4

from cyphera_pipelines.api.webhook_turns import MOST_TOGETHER, WebhookTurns

A, B, C = uuid4(), uuid4(), uuid4()


class Work:
    """Takes webhooks in, once it may."""

    def __init__(self) -> None:
        self.may_go_on = asyncio.Event()
        self.taken: list[Sequence[str]] = []

    async def __call__(self, deliveries: Sequence[str]) -> list[str | Exception]:
        self.taken.append(list(deliveries))
        await self.may_go_on.wait()
        return [ValueError(each) if "wrong" in each else each.upper() for each in deliveries]


async def let_all_wait() -> None:
    """Everything that was begun comes to where it waits."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_what_comes_while_a_configuration_waits_for_its_turn_is_taken_along() -> None:
    async def run() -> None:
        turns, work = WebhookTurns[str, str](most_at_once=2), Work()

        async def take(configuration_id: UUID, *names: str) -> "list[asyncio.Task[str]]":
            tasks = [asyncio.create_task(turns.take(configuration_id, name, work)) for name in names]
            await let_all_wait()
            return tasks

        tasks = [*await take(A, "a1"), *await take(B, "b1"), *await take(C, "c1")]
        # Both turns are taken: what comes now for any of them waits together.
        tasks += [*await take(C, "c2", "c3"), *await take(A, "a2", "a3")]
        assert work.taken == [["a1"], ["b1"]]
        work.may_go_on.set()
        assert await asyncio.gather(*tasks) == ["A1", "B1", "C1", "C2", "C3", "A2", "A3"]
        assert sorted(map(list, work.taken[2:])) == [["a2", "a3"], ["c1", "c2", "c3"]]

    asyncio.run(run())


def test_a_turn_takes_no_more_than_its_most_and_each_has_its_own_answer() -> None:
    async def run() -> None:
        turns, work = WebhookTurns[str, str](most_at_once=1), Work()
        names = [f"wrong {n}" if n % 7 == 0 else f"right {n}" for n in range(MOST_TOGETHER + 5)]
        tasks = [asyncio.create_task(turns.take(A, name, work)) for name in names]
        work.may_go_on.set()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        for name, answer in zip(names, answers, strict=True):
            assert isinstance(answer, ValueError) if "wrong" in name else answer == name.upper()
        assert [name for taken in work.taken for name in taken] == names
        assert max(map(len, work.taken)) == MOST_TOGETHER
        # Nothing is left behind: the next one has a turn of its own.
        assert await turns.take(A, "right again", work) == "RIGHT AGAIN"

    asyncio.run(run())
