"""The webhook endpoints of one site, and when what was not taken is sent again."""

import base64
import secrets
from dataclasses import dataclass

from cyphera_pipelines.sandbox.serialization import JsonObject
from cyphera_pipelines.sandbox.webhooks.options import WebhookOptions

MOST = 5
"""As many as Chargebee lets a site have."""
RETRIES = 7
_WAITS = (1.0, 3.0, 15.0, 30.0, 150.0, 720.0, 1_440.0)
"""The waits between tries, as parts of the first: 2 and 6 minutes, half an hour, 1 and 5 hours, 1 and 2 days."""
_NAMED = {"Content-Type": "application/json;charset=utf-8", "User-Agent": "ChargeBee", "Accept": "*/*"}


def wait_after(options: WebhookOptions, tries: int) -> float:
    """Return the seconds until the next try after so many: in Chargebee's proportions, from the options' first wait."""
    return min(options.retry_seconds * _WAITS[min(tries, len(_WAITS)) - 1], options.longest_retry_seconds)


@dataclass(frozen=True, slots=True)
class WebhookEndpoint:
    """Where a site's events go; with `username`, they come with Basic auth."""

    id: str
    url: str
    username: str | None = None
    password: str | None = None
    is_enabled: bool = True

    def headers_for(self, _body: bytes, _at: int) -> dict[str, str]:
        """Return the headers with which an event is sent."""
        if self.username is None:
            return dict(_NAMED)
        credentials = base64.b64encode(f"{self.username}:{self.password or ''}".encode()).decode()
        return {**_NAMED, "Authorization": f"Basic {credentials}"}

    def as_json(self) -> JsonObject:
        """Return the endpoint without its password."""
        status = "enabled" if self.is_enabled else "disabled"
        return {"id": self.id, "url": self.url, "username": self.username, "status": status}


class WebhookEndpoints:
    """All endpoints of one site. The site's lock guards it."""

    def __init__(self) -> None:
        self._endpoints: list[WebhookEndpoint] = []
        self._gone: set[str] = set()

    def present(self) -> list[WebhookEndpoint]:
        """Those that were not removed, oldest first."""
        return [each for each in self._endpoints if each.id not in self._gone]

    def number_of(self, identifier: str) -> int | None:
        """Return the place of an endpoint, removed or not; None if there never was one of this id."""
        return next((number for number, each in enumerate(self._endpoints) if each.id == identifier), None)

    def find(self, identifier: str) -> WebhookEndpoint | None:
        """Return the endpoint as it is now; None if it was removed or never was."""
        return next((each for each in self.present() if each.id == identifier), None)

    def add(self, url: str, username: str | None = None, password: str | None = None) -> WebhookEndpoint:
        """Add one. Raises ValueError where there are as many as there may be."""
        if len(self.present()) >= MOST:
            raise ValueError(f"a site may have {MOST} webhook endpoints")
        made = WebhookEndpoint(f"whe_{secrets.token_hex(8)}", url, username, password)
        self._endpoints.append(made)
        return made

    def remove(self, identifier: str) -> None:
        """Remove one. Raises KeyError for an unknown one."""
        if self.find(identifier) is None:
            raise KeyError(identifier)
        self._gone.add(identifier)
