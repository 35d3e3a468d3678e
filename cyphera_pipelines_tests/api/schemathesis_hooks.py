"""What Schemathesis cannot read in the document, because it concerns several fields or this server's settings.

Only bodies that the document allows are changed: what is wrong on purpose stays wrong. No address but this machine's is
ever asked.
"""

import gc
import os
import re
from typing import Any

import schemathesis
from pydantic import ValidationError

from cyphera_pipelines.api.schemas.alerts import RuleIn
from cyphera_pipelines.api.schemas.schedules import ScheduleIn
from cyphera_pipelines.model.alerts import COUNTED
from cyphera_pipelines.model.schedule import MOST_CHANGES_EVERY
from cyphera_pipelines.providers.registry import PROVIDERS

gc.set_threshold(10_000)  # as for all tests: see conftest.py
gc.freeze()

SANDBOX = os.environ["CONTRACT_SANDBOX_URL"]
"""Knows none of the keys that are made up: whatever is asked there is answered at once."""
_ADDRESS = re.compile(r"https?://[!-~]+")
_ACCOUNT_PATH = re.compile(r"acct_\w{1,250}/acct_\w{1,250}", re.ASCII)
_PRINTABLE = re.compile(r"[!-~]{1,512}")


@schemathesis.hook
def before_call(_context: schemathesis.HookContext, case: schemathesis.Case[Any], _kwargs: dict[str, Any]) -> None:
    """Let the mode be that of the key, the address one that is allowed, and the account one that any key may name."""
    body = _said_once(_with_one_schedule(_with_account(_fitting(_without_options(case.body)))))
    case.body = _with_nothing_to_count(body)


def _without_options(body: Any) -> Any:
    """Which options a configuration has to name is the provider's: the document cannot say so. Ours needs none."""
    credentials = body.get("configuration") if isinstance(body, dict) else None
    if not isinstance(credentials, dict):
        return body
    if isinstance(credentials.get("options"), dict):
        body = {**body, "configuration": _without(credentials, "options")}
    return {**body, "provider_name": "stripe"} if body.get("provider_name") in list(PROVIDERS) else body


def _said_once(body: Any) -> Any:
    """Two fields that say the same have to say the same."""
    for name, other in (("account_id", "provider_account_id"), ("livemode", "environment")):
        if isinstance(body, dict) and name in body and isinstance(body.get(other), str) and body[other]:
            body = _without(body, name)
    return body


def _with_account(body: Any) -> Any:
    """Only an organization's key, which nobody makes up by chance, names an account by its path."""
    account = body.get("connected_account_id") if isinstance(body, dict) else None
    if isinstance(account, str) and _ACCOUNT_PATH.fullmatch(account):
        return {**body, "connected_account_id": account.partition("/")[0]}
    return body


def _with_one_schedule(body: Any) -> Any:
    """Changes are applied at intervals or at a time of day, which alone has a time zone; not any text names one."""
    schedule = body.get("schedule") if isinstance(body, dict) else None
    try:
        asked = ScheduleIn.model_validate(schedule)
    except ValidationError:
        return body
    if not isinstance(schedule, dict):
        return body
    if body.get("is_active") is False:
        # What is not active has none.
        return _without(body, "schedule")
    fitting = _without(schedule, "changes_every_seconds" if asked.daily_at is not None else "time_zone")
    if (asked.listing_every_seconds or MOST_CHANGES_EVERY) < MOST_CHANGES_EVERY:
        # Listings may not be more frequent than checks for changes, these or those that were asked for before.
        fitting = _without(fitting, "listing_every_seconds")
    if "time_zone" in fitting and asked.time_zone is not None:
        fitting["time_zone"] = "UTC"
    return {**body, "schedule": fitting}


def _with_nothing_to_count(body: Any) -> Any:
    """A rule of a cause that is there or not."""
    try:
        asked = RuleIn.model_validate(body)
    except ValidationError:
        return body
    return body if asked.cause in COUNTED else _without(body, "times")


def _fitting(body: Any) -> Any:
    if not isinstance(body, dict):
        return body
    is_test_mode, credentials = body.get("is_test_mode"), body.get("configuration")
    if not isinstance(credentials, dict):
        return body if not isinstance(is_test_mode, bool) else _without(body, "is_test_mode")
    if credentials.get("api_key", "") in (None, "") and "provider_name" in body:
        # Without one the platform's is used, and this server has none.
        credentials = {**credentials, "api_key": "sk_test_contract"}
        body = {**body, "configuration": credentials}
    api_key, base_url = credentials.get("api_key"), credentials.get("base_url")
    if base_url in (None, "") or (isinstance(base_url, str) and _ADDRESS.fullmatch(base_url)):
        body = {**body, "configuration": {**credentials, "base_url": SANDBOX}}
    if isinstance(api_key, str) and _PRINTABLE.fullmatch(api_key) and isinstance(is_test_mode, bool | None):
        body = {**body, "is_test_mode": not api_key.startswith(("sk_live_", "rk_live_"))}
    elif api_key is None and isinstance(is_test_mode, bool):
        body = _without(body, "is_test_mode")
    return body


def _without(body: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key != name}
