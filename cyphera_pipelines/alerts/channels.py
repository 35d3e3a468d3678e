"""Adding a channel, if its address is one that alerts can be sent to, and that whoever adds it may name."""

import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit
from uuid import UUID

from cyphera_pipelines.alerts.addresses import is_public
from cyphera_pipelines.alerts.services import HOSTED, SELF_HOSTED, opens, register_secrets_of, scheme_of
from cyphera_pipelines.model.alert_channels import LONGEST_NAME, AlertChannel, ChannelKind
from cyphera_pipelines.model.alerts import AlertCause
from cyphera_pipelines.model.errors import RefusedValueError
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.security.secrets import register_secret
from cyphera_pipelines.settings import Settings
from cyphera_pipelines.store.alert_channels import NewChannel, add_channel
from cyphera_pipelines.store.database import Database

LONGEST_ADDRESS = 2_000
_SLACK = re.compile(r"https://hooks\.slack\.com/services/([A-Za-z0-9]+)/([A-Za-z0-9]+)/([A-Za-z0-9]+)/?")
_MAIL_ADDRESS = re.compile(r"[A-Za-z0-9._+-]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*")


@dataclass(frozen=True)
class Added:
    """A channel that was added. `secret` is what a webhook's messages are signed with, shown this once."""

    channel: AlertChannel
    secret: str | None = field(repr=False)


@dataclass(frozen=True)
class Wanted:
    """A channel that somebody wants; `address` is as its kind has it."""

    name: str
    kind: ChannelKind
    address: str = field(repr=False)
    causes: Sequence[AlertCause] | None = None
    only_workspaces: Sequence[UUID] | None = None


def add(database: Database, keyring: Keyring, settings: Settings, workspace_id: UUID | None, wanted: Wanted) -> Added:
    """Add the channel for the workspace, or None for the deployment. Nothing is sent.

    Raises RefusedValueError that says what is not acceptable, and QuotaReachedError.
    """
    register_secrets_of(wanted.address)
    name, address = wanted.name.strip(), wanted.address.strip()
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise RefusedValueError(
            "name", "This is no name of a channel.", f"It must be printable text of 1 to {LONGEST_NAME} characters."
        )
    if len(address) > LONGEST_ADDRESS or not address.isprintable() or " " in address:
        raise _refused(
            "This is no address.", f"It must be printable, without spaces, of {LONGEST_ADDRESS} characters at most."
        )
    secret = None
    is_of_workspace = workspace_id is not None
    match wanted.kind:
        case ChannelKind.WEBHOOK:
            _check_webhook(address, settings, is_of_workspace=is_of_workspace)
            secret = f"whsec_{secrets.token_urlsafe(32)}"
            register_secret(secret)
            shown = _origin(address)
        case ChannelKind.SLACK:
            if _SLACK.fullmatch(address) is None:
                raise _refused(
                    "This is no incoming webhook of Slack's: it reads https://hooks.slack.com/services/T.../B.../...",
                    "Copy it from the app's page, under Incoming Webhooks.",
                )
            shown = "https://hooks.slack.com/services/..."
        case ChannelKind.EMAIL:
            _check_mail(address, settings)
            shown = address
        case ChannelKind.APPRISE:
            _check_service(address, is_of_workspace=is_of_workspace)
            shown = f"{scheme_of(address)}://..."
    kept = {"url": address} if secret is None else {"url": address, "secret": secret}
    new = NewChannel(
        name=name,
        kind=wanted.kind,
        address_shown=shown,
        address=json.dumps(kept).encode(),
        causes=wanted.causes,
        only_workspaces=wanted.only_workspaces,
    )
    return Added(add_channel(database, keyring, workspace_id, new), secret)


def _check_webhook(address: str, settings: Settings, *, is_of_workspace: bool) -> None:
    try:
        parts = urlsplit(address)
        host, _port = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https") or parts.username or parts.password or parts.fragment:
        raise _refused(
            "This is no address of a webhook.",
            "The address must read https://host/path, without a user name, password or fragment.",
        )
    if not is_of_workspace or settings.alerts_to_private_addresses:
        return
    if parts.scheme != "https":
        raise _refused("What is sent there could be overheard.", "The address must begin with https://")
    try:
        is_allowed = is_public(host)
    except ValueError:
        # A name: what it stands for is judged whenever something is sent.
        is_allowed = "." in host and not host.rstrip(".").endswith((".local", ".internal", ".localhost"))
    if not is_allowed:
        raise _refused(
            "This is no address that a workspace's alerts are sent to.",
            "The address must be one of the public internet.",
        )


def _check_mail(address: str, settings: Settings) -> None:
    if _MAIL_ADDRESS.fullmatch(address) is None:
        raise _refused("This is no e-mail address.", "Give one, as in jane@example.com.")
    if settings.alert_mail_url is None:
        raise RefusedValueError(
            "kind",
            "This deployment sends no e-mail.",
            "Its operator has to set CYPHERA_ALERT_MAIL_URL, as in "
            "mailtos://user:password@smtp.example.com:587?from=alerts@example.com",
        )


def _check_service(address: str, *, is_of_workspace: bool) -> None:
    scheme = scheme_of(address)
    allowed = HOSTED if is_of_workspace else HOSTED | SELF_HOSTED
    if scheme not in allowed:
        raise _refused(
            f"No alerts are sent to addresses that begin with {scheme or 'nothing'}://.",
            f"They may begin with {', '.join(f'{each}://' for each in sorted(allowed))}",
        )
    if is_of_workspace and "?" in address:
        # Some options name files, and others where to.
        raise _refused("The address must have no options.", "Leave out what begins with the question mark.")
    if opens(address) is None:
        raise _refused(f"This is not how an address of {scheme}:// reads.", "See: https://appriseit.com/services/")


def _refused(problem: str, remedy: str) -> RefusedValueError:
    """The address is not acceptable; neither sentence repeats more of it than its scheme."""
    return RefusedValueError("address", problem, remedy)


def _origin(address: str) -> str:
    """Scheme, host and port: what follows may be as good as a password."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}/..."
