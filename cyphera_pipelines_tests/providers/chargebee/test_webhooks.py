"""Webhooks: what proves that Chargebee sent them, and what they tell."""

import base64
import json
from typing import Any

import pytest

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.providers.base import WebhookRejectedError
from cyphera_pipelines.providers.chargebee.provider import ChargebeeProvider
from cyphera_pipelines_tests.providers.chargebee.conftest import credentials_of
from cyphera_pipelines_tests.providers.chargebee.site import Site, customer, event

SECRET = "chargebee:p ässword:with:colons"


def authorization(secret: str = SECRET, scheme: str = "Basic") -> dict[str, str]:
    return {"Authorization": f"{scheme} {base64.b64encode(secret.encode()).decode()}"}


def opened(told: Any, headers: dict[str, str] | None = None) -> Any:
    body = told if isinstance(told, bytes) else json.dumps(told).encode()
    return ChargebeeProvider().open_webhook(body, authorization() if headers is None else headers, SECRET)


def test_the_password_proves_it() -> None:
    told = event(1, "customer_changed", customer=customer(1))
    assert opened(told).id == "ev_1"
    assert opened(told, authorization(scheme="basic")).entity is Entity.CUSTOMERS
    for headers in ({}, authorization("chargebee:other"), authorization(scheme="Bearer"), {"Authorization": "\udcff"}):
        with pytest.raises(WebhookRejectedError, match="webhook_secret"):
            opened(told, headers)


def test_the_event_is_of_what_it_is_named_for_first() -> None:
    subscription = {"id": "s", "resource_version": 1_767_225_600_000}
    told = opened(event(1, "subscription_changed", customer=customer(1), subscription=subscription))
    assert told.entity is Entity.SUBSCRIPTIONS
    assert [change.entity for change in told.changes] == [Entity.SUBSCRIPTIONS, Entity.CUSTOMERS]


def test_what_is_of_no_interest_changes_nothing() -> None:
    told = opened(event(1, "coupon_created", coupon={"id": "c"}))
    assert (told.entity, told.changes, told.problem) == (None, (), None)


@pytest.mark.parametrize(
    "told",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"event_type": 7}',
        json.dumps(event(1, "customer_changed", customer={"id": "\x00"})).encode(),
        json.dumps({**event(1, "customer_changed", customer=customer(1)), "id": None}).encode(),
        b'{"event_type": "x", "content": ' + b"[" * 10_000,
    ],
)
def test_what_is_proven_and_cannot_be_read_is_kept(told: bytes) -> None:
    assert opened(told).problem is not None


def test_what_has_to_be_read_back_is_told_by_nobody_else(site: Site) -> None:
    provider = ChargebeeProvider()
    for answer, rows in (("no", 1), ("yes", 0)):
        credentials = credentials_of(site, webhook_read_back=answer)
        mapped = provider.map_told(credentials, Entity.CUSTOMERS, [customer(1)], version=5.0)
        assert len(mapped.objects) == rows
