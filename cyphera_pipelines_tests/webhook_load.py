"""Many webhooks of many sources: events of sandbox accounts, signed, and sent to the API over real connections."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from cyphera_pipelines.sandbox import SandboxAccount, SandboxServer
from cyphera_pipelines_tests.webhooks import SECRET, signed

CHANGES = {"customers": 20, "products": 2, "subscriptions": 10, "invoices": 18}
"""What changes at once in an account: 50 objects, each once."""


@dataclass(frozen=True)
class Delivery:
    """One event, for one configuration."""

    path: str
    event: bytes


@dataclass
class Answers:
    """The seconds from when each request was due to its answer, and how many answers there were of each kind."""

    seconds: list[float] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    took: float = 0.0


def load_accounts(count: int) -> list[SandboxAccount]:
    """So many accounts of the same size."""
    return [
        SandboxAccount(
            api_key=f"sk_test_webhook_load_{number}",
            account_id=f"acct_webhookload{number}",
            seed=100 + number,
            customers=60,
            products=6,
            subscriptions=30,
            invoices=60,
            long_invoice_share=0.0,
            large_subscription_share=0.0,
        )
        for number in range(count)
    ]


def change_account(sandbox: SandboxServer, account: SandboxAccount, events: int) -> list[bytes]:
    """Let so many things happen in the account, each object once a second at most; return the provider events."""
    log = sandbox.state.dataset(account.account_id).events
    before, second = log.count, int(time.time())
    while log.count - before < events:
        second += 1
        sandbox.state.apply_changes(account.account_id, update=CHANGES, at=second)
    return [json.dumps(log.whole(number)).encode() for number in range(before, before + events)]


def path_of(configuration_id: UUID) -> str:
    return f"/api/v1/sync/webhooks/stripe/{configuration_id}"


def deliver(port: int, deliveries: Sequence[Delivery], *, connections: int, per_second: float | None = None) -> Answers:
    """Send all, as fast as they are answered or so many per second, whether or not those before were answered."""
    return asyncio.run(_deliver(port, deliveries, connections, per_second))


async def _deliver(port: int, deliveries: Sequence[Delivery], connections: int, per_second: float | None) -> Answers:
    answers, began = Answers(), time.perf_counter()
    numbered = iter(enumerate(deliveries))

    async def send() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number, delivery in numbered:
            due = time.perf_counter() if per_second is None else began + number / per_second
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            writer.write(_request(delivery))
            status, body = await _answer(reader)
            answers.seconds.append(time.perf_counter() - due)
            answers.outcomes[json.loads(body)["status"] if status == "200" else status] += 1
        writer.close()

    await asyncio.gather(*(send() for _ in range(connections)))
    answers.took = time.perf_counter() - began
    return answers


def _request(delivery: Delivery) -> bytes:
    body, headers = signed(delivery.event, secret=SECRET)
    lines = [f"POST {delivery.path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def _answer(reader: asyncio.StreamReader) -> tuple[str, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    length = next(int(line.partition(":")[2]) for line in head if line.lower().startswith("content-length:"))
    return head[0].split(" ")[1], await reader.readexactly(length)


def of_each(paths: Iterable[str], events: Iterable[Sequence[bytes]]) -> list[Delivery]:
    """The deliveries of all sources, each source's in their order, all sources in turn."""
    mine = [[Delivery(path, event) for event in of_source] for path, of_source in zip(paths, events, strict=True)]
    return [delivery for turn in zip(*mine, strict=True) for delivery in turn]
