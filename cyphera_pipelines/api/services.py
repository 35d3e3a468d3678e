"""What the routes work with."""

from dataclasses import dataclass, field
from typing import Annotated

from anyio import CapacityLimiter
from fastapi import Depends, Request

from cyphera_pipelines.api.dagster_queue import DAGSTER_THREADS, DagsterQueue
from cyphera_pipelines.api.places import KeyPlaces
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.settings import Settings
from cyphera_pipelines.store.database import Database

# Few: with 200 clients at once, 8 answered as many requests per second as 16 (360), and the slowest percent sooner
# (730 ms instead of 1,120).
REQUEST_THREADS = 8
CONNECTION_TESTS = 4
OPERATION_THREADS = 2
"""Threads that may each hold one database connection: for requests, connection tests, and health and metrics."""

DATABASE_POOL_SIZE = (REQUEST_THREADS + CONNECTION_TESTS + OPERATION_THREADS + DAGSTER_THREADS + 1) // 2
"""The pool may grow to twice its size: then no thread ever waits for a connection."""


@dataclass(frozen=True)
class Services:
    """The application's parts. Connection tests take seconds: they have threads of their own, and wait in line."""

    database: Database
    keyring: Keyring
    settings: Settings
    dagster: DagsterQueue
    connection_tests: CapacityLimiter
    key_places: KeyPlaces = field(default_factory=KeyPlaces)


async def _of_request(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


RequestServices = Annotated[Services, Depends(_of_request)]
