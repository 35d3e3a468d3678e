"""A webhook of our own: JSON that is signed, so that its receiver knows whom it is from and that it is fresh."""

import asyncio
import hashlib
import hmac
import ssl
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx
import orjson

from cyphera_pipelines import __version__
from cyphera_pipelines.alerts.addresses import AddressPolicy, SendError, resolve

SIGNATURE_HEADER = "Cyphera-Signature"
IDEMPOTENCY_HEADER = "Idempotency-Id"

WITHIN_SECONDS = 15.0
"""Of one attempt, from the name's look-up to the answer's status; however slowly that drips in."""

_PASSING = (408, 409, 423, 425, 429)
"""What a receiver may say that would take the same message later."""


@dataclass(frozen=True)
class WebhookAddress:
    """Where to, and with which secret it is signed."""

    url: str
    secret: str = field(repr=False)


def signature(body: bytes, secret: str, moment: int) -> str:
    """The value of the header: `t=<seconds since 1970>,v1=<HMAC-SHA256 of "<t>.<body>", in hexadecimal digits>`."""
    digest = hmac.digest(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256).hex()
    return f"t={moment},v1={digest}"


def send_webhook(address: WebhookAddress, message: dict[str, Any], policy: AddressPolicy) -> None:
    """Post the message. Raises SendError unless the answer's status is 2xx; redirects are not followed."""
    try:
        asyncio.run(asyncio.wait_for(_post(address, message, policy), WITHIN_SECONDS))
    except TimeoutError:
        raise SendError(f"The receiver did not answer within {WITHIN_SECONDS:.0f} seconds.") from None


async def _post(address: WebhookAddress, message: dict[str, Any], policy: AddressPolicy) -> None:
    parts = urlsplit(address.url)
    assert parts.hostname is not None, "the address was looked at before it was kept"
    port = parts.port or (443 if parts.scheme == "https" else 80)
    body = orjson.dumps(message)
    headers = {
        "Host": parts.netloc.rpartition("@")[2],
        "Content-Type": "application/json",
        "User-Agent": f"cyphera-pipelines/{__version__}",
        IDEMPOTENCY_HEADER: str(message["id"]),
        SIGNATURE_HEADER: signature(body, address.secret, int(time.time())),
    }
    last: Exception | None = None
    # No proxy of the environment's: it would resolve the name anew.
    async with httpx.AsyncClient(follow_redirects=False, trust_env=False, timeout=WITHIN_SECONDS) as client:
        for ip in await resolve(parts.hostname, port, policy):
            target = httpx.URL(address.url).copy_with(host=ip, port=port)
            request = client.build_request(
                "POST", target, content=body, headers=headers, extensions={"sni_hostname": parts.hostname}
            )
            try:
                # What the answer says beside its status is nobody's: it might be somebody else's page.
                response = await client.send(request, stream=True)
                await response.aclose()
            except httpx.HTTPError as error:
                last = error
                continue
            _check(response.status_code)
            return
    raise SendError(f"The receiver could not be reached: {_reason(last)}.")


def _check(status: int) -> None:
    if 200 <= status < 300:
        return
    if 300 <= status < 400:
        raise SendError(
            f"The receiver redirects ({status}), which is not followed: give its address.", was_refused=True
        )
    is_refusal = 400 <= status < 500 and status not in _PASSING
    raise SendError(f"The receiver answered with status {status}.", was_refused=is_refusal)


def _reason(error: Exception | None) -> str:
    """In our words: a driver's may tell what is in a network that the reader has no business in."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not valid ({cause.verify_message})"
        if isinstance(cause, ssl.SSLError):
            return "no encrypted connection could be made"
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx.TimeoutException):
        return "it takes too long"
    if isinstance(error, httpx.ConnectError):
        return "nothing answers there"
    return "the connection was lost"
