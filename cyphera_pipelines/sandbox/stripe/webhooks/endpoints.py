"""The webhook endpoints of one account."""

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cyphera_pipelines.sandbox.serialization import JsonObject, to_bytes
from cyphera_pipelines.sandbox.stripe.errors import ProviderError, no_such
from cyphera_pipelines.sandbox.stripe.webhooks.signature import HEADER, signature_of
from cyphera_pipelines.sandbox.stripe.webhooks.vocabulary import EVERYTHING

KIND = "webhook endpoint"
MOST = 16
"""As many as the provider lets an account have in each mode."""
MOST_REMEMBERED = 1_000
_NAMED = {
    "Content-Type": "application/json; charset=utf-8",
    "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
    "Accept": "*/*",
}


@dataclass(frozen=True, slots=True)
class WebhookEndpoint:
    """Where events go. `is_connect`: those of connected accounts, instead of the account's own."""

    id: str
    url: str
    enabled_events: tuple[str, ...]
    secret: str
    livemode: bool
    created: int
    api_version: str | None = None
    is_connect: bool = False
    description: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    is_enabled: bool = True

    def wants(self, event_type: str) -> bool:
        """Whether events of this type are sent to it."""
        return self.is_enabled and (EVERYTHING in self.enabled_events or event_type in self.enabled_events)

    def headers_for(self, body: bytes, at: int) -> dict[str, str]:
        """Return the headers with which a body is sent `at` (Unix seconds), its signature among them."""
        return {**_NAMED, HEADER: signature_of(body, self.secret, at)}

    def as_json(self) -> JsonObject:
        """Return the object as it is shown: without its secret."""
        return {
            "id": self.id,
            "object": "webhook_endpoint",
            "api_version": self.api_version,
            "application": None,
            "created": self.created,
            "description": self.description,
            "enabled_events": list(self.enabled_events),
            "livemode": self.livemode,
            "metadata": dict(self.metadata),
            "status": "enabled" if self.is_enabled else "disabled",
            "url": self.url,
        }


class WebhookEndpoints:
    """All endpoints of one account, numbered from oldest to newest as lists need it. The data set's lock guards it."""

    def __init__(self, livemode: bool) -> None:
        self._livemode = livemode
        self._endpoints: list[WebhookEndpoint] = []
        self._deleted: set[str] = set()
        self._answered: dict[str, tuple[Any, JsonObject]] = {}

    @property
    def count(self) -> int:
        """How many there ever were."""
        return len(self._endpoints)

    def first_at_or_after(self, second: int) -> int:
        """Endpoints are not filtered by time."""
        raise TypeError(f"the list of webhook endpoints has no place for the second {second}")

    def listed(self, number: int) -> bool:
        """Whether it was not deleted."""
        return self._endpoints[number].id not in self._deleted

    def number_of(self, identifier: str) -> int | None:
        """Return the number of an endpoint, deleted or not; None if there never was one of this id."""
        return next((number for number, each in enumerate(self._endpoints) if each.id == identifier), None)

    def whole(self, number: int) -> JsonObject:
        """Return an endpoint as it is shown."""
        return self._endpoints[number].as_json()

    shown = whole
    facts = whole

    def body(self, number: int) -> bytes:
        """Return an endpoint as JSON."""
        return to_bytes(self.whole(number))

    def present(self) -> list[WebhookEndpoint]:
        """Those that were not deleted, oldest first."""
        return [each for each in self._endpoints if each.id not in self._deleted]

    def find(self, identifier: str) -> WebhookEndpoint | None:
        """Return the endpoint as it is now; None if it was deleted or never was."""
        return next((each for each in self.present() if each.id == identifier), None)

    def create(self, given: JsonObject) -> WebhookEndpoint:
        """Make one, with a secret of its own. Raises ProviderError where there are as many as there may be."""
        if len(self.present()) >= MOST:
            mode = "live" if self._livemode else "test"
            raise ProviderError(400, f"You have reached the maximum of {MOST} {mode} webhook endpoints.")
        made = WebhookEndpoint(
            id=f"we_1{secrets.token_hex(11)}",
            secret=f"whsec_{secrets.token_hex(16)}",
            livemode=self._livemode,
            created=int(time.time()),
            **given,
        )
        self._endpoints.append(made)
        return made

    def change(self, identifier: str, given: JsonObject) -> WebhookEndpoint:
        """Change one and return it. Raises ProviderError (404) for an unknown one."""
        present = self._expect(identifier)
        changed = replace(present, **given)
        self._endpoints[self._endpoints.index(present)] = changed
        return changed

    def delete(self, identifier: str) -> None:
        """Delete one. Raises ProviderError (404) for an unknown one."""
        self._deleted.add(self._expect(identifier).id)

    def _expect(self, identifier: str) -> WebhookEndpoint:
        found = self.find(identifier)
        if found is None:
            raise no_such(KIND, identifier)
        return found

    def once(self, key: str | None, request: Any, make: Callable[[], JsonObject]) -> JsonObject:
        """Answer a request that carries an idempotency key as it was answered before.

        Raises ProviderError (400) if the key came with another request.
        """
        if key is None:
            return make()
        if key in self._answered:
            before, answer = self._answered[key]
            if before != request:
                raise ProviderError(
                    400,
                    "Keys for idempotent requests can only be used with the same parameters they were first used with. "
                    f"Try using a key other than '{key}' if you meant to execute a different request.",
                    type="idempotency_error",
                )
            return answer
        answer = make()
        if len(self._answered) >= MOST_REMEMBERED:
            del self._answered[next(iter(self._answered))]
        self._answered[key] = (request, answer)
        return answer
