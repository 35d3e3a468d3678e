"""Asking a running sandbox, through its control interface."""

from typing import Any

import httpx

from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.errors import CypheraError, InvalidInputError

ANSWERED_WITHIN = 60.0


def sandbox_client(port: int) -> httpx.Client:
    """A client of the control interface of the sandbox at a loopback port."""
    return httpx.Client(base_url=f"http://127.0.0.1:{port}/_sandbox", timeout=ANSWERED_WITHIN, trust_env=False)


def ask(client: httpx.Client, method: str, path: str, body: object = None) -> Any:
    """Return what the sandbox answers. Raises CypheraError if it does not answer, or refuses."""
    address = f"http://127.0.0.1:{client.base_url.port}"
    try:
        response = client.request(method, path, json=body)
        answer = response.json()
    except httpx.ConnectError:
        raise CypheraError(
            f"No sandbox answers at {address}. Start one with: cyphera sandbox, or: cyphera up --sandbox. Name another "
            "port with --port.",
            code=ErrorCode.SANDBOX_UNAVAILABLE,
        ) from None
    except (httpx.HTTPError, ValueError):
        raise CypheraError(
            f"What answers at {address} is not a sandbox, or does not answer as one.",
            code=ErrorCode.SANDBOX_UNAVAILABLE,
        ) from None
    if not response.is_success:
        reason = answer.get("error") if isinstance(answer, dict) else None
        raise CypheraError(
            f"The sandbox at {address} refused: {reason or response.status_code}.", code=ErrorCode.SANDBOX_UNAVAILABLE
        )
    return answer


def find_account(wanted: str | None, accounts: list[dict[str, Any]]) -> dict[str, Any]:
    """The account of that id or whose key ends so; the first one for None. Raises InvalidInputError."""
    for account in accounts:
        if wanted is None or wanted == id_of(account) or short_name(account) == wanted:
            return account
    known = ", ".join(f"{short_name(account)} ({id_of(account)})" for account in accounts)
    raise InvalidInputError(f"The sandbox has no account {wanted or ''}: {known or 'it has none at all'}.")


def is_site(account: dict[str, Any]) -> bool:
    """Whether it is a Chargebee site, and no Stripe account."""
    return "site" in account


def id_of(account: dict[str, Any]) -> str:
    """An account's id, a site's name."""
    return str(account["site"] if is_site(account) else account["account_id"])


def short_name(account: dict[str, Any]) -> str:
    """What its key ends in: `acme` of `sk_test_cyphera_demo_acme`."""
    return str(account["api_key"]).rpartition("_")[2]


def place_of(account: dict[str, Any]) -> str:
    """How the control interface names it."""
    is_live = account["api_key"].startswith(("sk_live_", "rk_live_"))
    return f"{id_of(account)}{'/live' if is_live else ''}"
