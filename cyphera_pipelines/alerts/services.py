"""Slack, e-mail and the other services that the library Apprise speaks to; which of them, and how carefully."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import apprise

from cyphera_pipelines.alerts.addresses import SendError
from cyphera_pipelines.alerts.messages import Text
from cyphera_pipelines.model.alert_channels import MessageKind
from cyphera_pipelines.security.secrets import register_secret

HOSTED = frozenset(
    {
        "discord",
        "gchat",
        "incidentio",
        "opsgenie",
        "pagerduty",
        "pover",
        "signl4",
        "slack",
        "spike",
        "splunk",
        "squadcast",
        "tgram",
        "victorops",
        "webex",
        "wxteams",
    }
)
"""Services whose hosts the library knows itself: nobody can name another. Those are for workspaces too."""

SELF_HOSTED = frozenset(
    {
        *("form", "forms", "json", "jsons", "xml", "xmls"),
        *("gotify", "gotifys", "ntfy", "ntfys"),
        *("mailto", "mailtos"),
        *("matrix", "matrixs", "mmost", "mmosts", "rocket", "rockets", "zulip"),
        *("workflow", "workflows"),
    }
)
"""Services at whatever host the address names: for the deployment's own channels only.

Whatever is in neither list is refused. The library also has schemes that run a program, write a file or speak to this
machine's desktop.
"""

SHORTEST_PART = 8
"""Characters of a part of an address that may be a secret."""

CONNECT_SECONDS, READ_SECONDS = 5.0, 10.0

_logger = logging.getLogger("apprise")
# It writes addresses to its log, secrets and all.
_logger.propagate = False

_TYPES = {
    MessageKind.ALERT: apprise.NotifyType.FAILURE,
    MessageKind.DIGEST: apprise.NotifyType.FAILURE,
    MessageKind.ALL_CLEAR: apprise.NotifyType.SUCCESS,
    MessageKind.DIGEST_ALL_CLEAR: apprise.NotifyType.SUCCESS,
    MessageKind.TEST: apprise.NotifyType.INFO,
}


def scheme_of(url: str) -> str:
    """The part before `://`, in lower case; empty where there is none."""
    scheme, separator, _rest = url.partition("://")
    return scheme.strip().lower() if separator else ""


def opens(url: str) -> apprise.NotifyBase | None:
    """The service behind the address; None if the library makes nothing of it."""
    asset = apprise.AppriseAsset(app_id="Cyphera Pipelines", app_desc="Cyphera Pipelines", app_url="")
    asset.http_redirects = False
    service = apprise.Apprise.instantiate(url, asset=asset, suppress_exceptions=True)
    return service if isinstance(service, apprise.NotifyBase) else None


def send_to_service(url: str, kind: MessageKind, text: Text) -> None:
    """Send the text as it is, no markup. Raises SendError unless the service took it."""
    register_secrets_of(url)
    with _said() as said:
        service = opens(url)
        if service is None:
            raise SendError("The address is of no service that can be spoken to.", was_refused=True)
        service.socket_connect_timeout, service.socket_read_timeout = CONNECT_SECONDS, READ_SECONDS
        taken = service.notify(
            body=text.body, title=text.title, notify_type=_TYPES[kind], body_format=apprise.NotifyFormat.TEXT
        )
    if not taken:
        reason = said[-1] if said else "without a word of why"
        raise SendError(f"The service did not take it: {reason}")


def with_recipient(mail_url: str, recipient: str) -> str:
    """The mail server's address with the recipient in it, as the library wants it."""
    parts = urlsplit(mail_url)
    options = [(name, value) for name, value in parse_qsl(parts.query) if name.lower() not in ("to", "cc", "bcc")]
    return urlunsplit(parts._replace(query=urlencode([*options, ("to", recipient)])))


def register_secrets_of(url: str) -> None:
    """Whatever part of the address may open something is cut out wherever text leaves."""
    register_secret(url)
    parts = urlsplit(url)
    for part in (
        parts.password,
        parts.username,
        *parts.path.split("/"),
        *(value for _, value in parse_qsl(parts.query)),
    ):
        # Shorter ones are words, as in a topic's name.
        if part and len(part) >= SHORTEST_PART:
            register_secret(part)


@contextmanager
def _said() -> Iterator[list[str]]:
    """What the library logs in this thread meanwhile: it tells of failures in no other way."""
    heard: list[str] = []
    this_thread = threading.get_ident()

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.thread == this_thread:
                heard.append(record.getMessage())

    ear = Ear(logging.WARNING)
    _logger.addHandler(ear)
    try:
        yield heard
    finally:
        _logger.removeHandler(ear)
