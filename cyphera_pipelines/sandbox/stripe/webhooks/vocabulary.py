"""What an endpoint may ask for: the event types and API versions that the provider's own package knows."""

from functools import cache
from typing import Any, get_args

EVERYTHING = "*"


@cache
def event_types() -> tuple[str, ...]:
    """All event types, `*` among them."""
    return tuple(get_args(get_args(_parameters()["enabled_events"])[0]))


@cache
def api_versions() -> tuple[str, ...]:
    """All API versions, oldest first."""
    return tuple(get_args(get_args(_parameters()["api_version"])[0]))


def _parameters() -> dict[str, Any]:
    # Here and not above: the package takes a second to load, and a sandbox without endpoints needs nothing of it.
    from stripe.params._webhook_endpoint_create_params import WebhookEndpointCreateParams

    return WebhookEndpointCreateParams.__annotations__
