"""What the routes work with."""

from dataclasses import dataclass, field
from typing import Annotated, Any

from anyio import CapacityLimiter
from fastapi import Depends, Request

from cyphera_pipelines.api.dagster_queue import DagsterQueue
from cyphera_pipelines.api.places import (
    LIVE_PAGES_OF_ONE_KEY,
    MOST_CONNECTION_TESTS,
    MOST_LIVE_PAGES,
    MOST_OF_ONE_KEY,
    MOST_PROVIDER_CALLS,
    MOST_WAITS,
    PROVIDER_CALLS_OF_ONE_WORKSPACE,
    TESTS_OF_ONE_WORKSPACE,
    WAITS_OF_ONE_WORKSPACE,
    WEBHOOKS_OF_ONE_CONFIGURATION,
    WEBHOOKS_OF_ONE_PLATFORM,
    Places,
)
from cyphera_pipelines.api.recent import Recent
from cyphera_pipelines.api.session_waits import SessionWaits
from cyphera_pipelines.api.webhook_turns import WebhookTurns
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.settings import Settings
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.sync.connection import REPORT_WITHIN

# Few: with 200 clients at once, 8 answered as many requests per second as 16 (360), and the slowest percent sooner
# (730 ms instead of 1,120).
REQUEST_THREADS = 8
WEBHOOK_THREADS = 4
OPERATION_THREADS = 2
MOST_ADDRESSEES = 1_000
ADDRESSEE_KEPT_FOR = 30.0
"""Configurations whose webhooks came last, opened, and seconds: whatever is written for one is checked against it."""
"""Threads that may each hold one database connection: for requests, for webhooks, and for health and metrics."""


def _key_places() -> Places:
    return Places(
        MOST_OF_ONE_KEY,
        f"This key has {MOST_OF_ONE_KEY} requests at work already. Wait for some of them to be answered.",
    )


def _webhooks() -> Places:
    return Places(
        WEBHOOKS_OF_ONE_CONFIGURATION,
        f"{WEBHOOKS_OF_ONE_CONFIGURATION} webhooks of this configuration are at work already. Send this one later.",
    )


def _platform_webhooks() -> Places:
    return Places(
        WEBHOOKS_OF_ONE_PLATFORM,
        f"{WEBHOOKS_OF_ONE_PLATFORM} webhooks of the platform are at work already. Send this one later.",
    )


def _connection_tests() -> Places:
    return Places(
        TESTS_OF_ONE_WORKSPACE,
        f"{TESTS_OF_ONE_WORKSPACE} connection tests of this workspace are at work already. Wait for one of them to be "
        f"answered, which takes {REPORT_WITHIN:.0f} seconds at most.",
        MOST_CONNECTION_TESTS,
        "There are too many connection tests at once. Try again in a moment.",
    )


def _provider_calls() -> Places:
    return Places(
        PROVIDER_CALLS_OF_ONE_WORKSPACE,
        f"{PROVIDER_CALLS_OF_ONE_WORKSPACE} requests of this workspace that ask its provider are at work already. Wait "
        "for one of them to be answered.",
        MOST_PROVIDER_CALLS,
        "Too many requests ask providers. Try again in a moment.",
    )


def _status_waits() -> Places:
    return Places(
        WAITS_OF_ONE_WORKSPACE,
        f"{WAITS_OF_ONE_WORKSPACE} requests of this workspace wait for a session already. Ask without `wait`.",
        MOST_WAITS,
        "Too many requests wait for sessions. Ask without `wait`, or try again in a moment.",
    )


def _live_pages() -> Places:
    return Places(
        LIVE_PAGES_OF_ONE_KEY,
        f"{LIVE_PAGES_OF_ONE_KEY} pages of this key follow a session already. Close some, or reload this one by hand.",
        MOST_LIVE_PAGES,
        "Too many pages follow sessions. Reload this one by hand.",
    )


@dataclass(frozen=True)
class Services:
    """The application's parts."""

    database: Database
    keyring: Keyring
    settings: Settings
    dagster: DagsterQueue
    session_waits: SessionWaits
    runs_at_once: int | None
    key_places: Places = field(default_factory=_key_places)
    webhooks: Places = field(default_factory=_webhooks)
    platform_webhooks: Places = field(default_factory=_platform_webhooks)
    webhook_threads: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(WEBHOOK_THREADS))
    webhook_turns: WebhookTurns[Any, Any] = field(default_factory=lambda: WebhookTurns(WEBHOOK_THREADS))
    addressees: Recent[Any, Any] = field(default_factory=lambda: Recent(MOST_ADDRESSEES, ADDRESSEE_KEPT_FOR))
    connection_tests: Places = field(default_factory=_connection_tests)
    connection_test_threads: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(MOST_CONNECTION_TESTS))
    provider_calls: Places = field(default_factory=_provider_calls)
    provider_call_threads: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(MOST_PROVIDER_CALLS))
    status_waits: Places = field(default_factory=_status_waits)
    live_pages: Places = field(default_factory=_live_pages)


async def _of_request(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


RequestServices = Annotated[Services, Depends(_of_request)]
