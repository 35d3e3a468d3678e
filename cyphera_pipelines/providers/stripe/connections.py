"""The `stripe` package's HTTP client on the process's watched connections."""

import functools

import stripe

from cyphera_pipelines.providers.http.connections import CONNECT_TIMEOUT, shared_session


@functools.lru_cache(maxsize=64)
def shared_http_client(base_url: str, answer_within: float) -> stripe.RequestsClient:
    """The process's one HTTP client for that address and patience: all accounts and threads share its connections."""
    return stripe.RequestsClient(timeout=(CONNECT_TIMEOUT, answer_within), session=shared_session(base_url))
