"""The contract of webhooks: believed if proven, and read with care."""

import json

import pytest

from cyphera_pipelines.providers.base import ProviderClient, WebhookEvent, WebhookRejectedError
from cyphera_pipelines_tests.contract.subject import Delivery, Subject


def opened(subject: Subject, delivery: Delivery) -> WebhookEvent:
    return subject.provider.open_webhook(delivery.body, delivery.headers, delivery.secret)


def test_a_proven_webhook_tells_what_changed(subject: Subject) -> None:
    delivery = subject.deliver()
    event = opened(subject, delivery)
    assert event.id
    assert event.kind
    assert event.entity is delivery.entity
    assert delivery.object_id in {change.object_id for change in event.changes}
    assert event.livemode in (None, subject.provider.is_test_mode(subject.credentials) is False)


def test_a_client_reads_the_same_of_it(subject: Subject, client: ProviderClient) -> None:
    delivery = subject.deliver()
    event = opened(subject, delivery)
    told = {(change.entity, change.object_id) for change in client.changes_of([event.payload])}
    assert told == {(change.entity, change.object_id) for change in event.changes}


def test_the_same_twice_tells_once(subject: Subject, client: ProviderClient) -> None:
    event = opened(subject, subject.deliver())
    told = [change.object_id for change in client.changes_of([event.payload, event.payload])]
    assert len(told) == len(set(told))


def test_another_secret_proves_nothing(subject: Subject) -> None:
    delivery = subject.deliver()
    with pytest.raises(WebhookRejectedError):
        subject.provider.open_webhook(delivery.body, delivery.headers, "user:another_secret_altogether")


def test_without_proof_nothing_is_believed(subject: Subject) -> None:
    delivery = subject.deliver()
    with pytest.raises(WebhookRejectedError):
        subject.provider.open_webhook(delivery.body, {}, delivery.secret)


@pytest.mark.parametrize("odd", ["\u00e9", "\u20ac", "\udce9", "\x00"])
def test_a_proof_with_odd_characters_proves_nothing(odd: str, subject: Subject) -> None:
    """Headers are read as Latin-1: they may hold any byte, and anybody may send them."""
    delivery = subject.deliver()
    proofs = {name: f"{value}{odd}" for name, value in delivery.headers.items()}
    with pytest.raises(WebhookRejectedError):
        subject.provider.open_webhook(delivery.body, proofs, delivery.secret)


def test_no_refusal_tells_the_secret(subject: Subject) -> None:
    delivery = subject.deliver()
    with pytest.raises(WebhookRejectedError) as caught:
        subject.provider.open_webhook(delivery.body, {}, delivery.secret)
    assert delivery.secret not in str(caught.value)


def test_what_it_says_is_kept_as_it_came(subject: Subject) -> None:
    delivery = subject.deliver()
    payload = json.loads(delivery.body)
    assert opened(subject, delivery).payload == payload
