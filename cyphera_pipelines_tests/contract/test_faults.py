"""The contract of bad days: what passes is waited out, what does not is named, and nothing is half believed."""

import pytest
from pydantic import SecretStr

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.providers.base import (
    CredentialsRejectedError,
    Interval,
    PermissionDeniedError,
    ProviderClient,
    ProviderUnavailableError,
    ProviderUnreachableError,
    RequestAbandonedError,
    RequestNote,
)
from cyphera_pipelines.sandbox import Fault, FaultKind, SandboxOptions
from cyphera_pipelines_tests.contract.conftest import Connect
from cyphera_pipelines_tests.contract.listing import listed_ids
from cyphera_pipelines_tests.contract.subject import Subject

PASSING = (
    FaultKind.ERROR_500,
    FaultKind.ERROR_502,
    FaultKind.ERROR_503,
    FaultKind.DROP,
    FaultKind.TRUNCATE,
    FaultKind.CUT_JSON,
    FaultKind.RATE_LIMIT,
)


def break_with(subject: Subject, kind: FaultKind, **how: object) -> None:
    fault = Fault.model_validate({"kind": kind, "path": subject.paths, "retry_after": 0.0, **how})
    subject.sandbox.state.set_options(SandboxOptions(faults=(fault,)))


@pytest.mark.parametrize("kind", PASSING, ids=str)
def test_what_passes_is_waited_out(subject: Subject, connect: Connect, kind: FaultKind) -> None:
    notes, repeated = list[RequestNote](), list[RequestNote]()
    client = connect(on_retry=notes.append, on_repeat=repeated.append)
    break_with(subject, kind, times=2)
    assert set(listed_ids(client, Entity.CUSTOMERS)) == subject.ids(Entity.CUSTOMERS)
    assert len(notes) >= 2
    assert all(note.reason and note.wait >= 0 for note in notes)
    assert sorted(repeated, key=id) == sorted(notes, key=id), "each of them was made again"


@pytest.mark.parametrize("kind", [FaultKind.ERROR_500, FaultKind.ERROR_502, FaultKind.DROP], ids=str)
def test_what_does_not_pass_is_unavailable(subject: Subject, connect: Connect, kind: FaultKind) -> None:
    client = connect(attempts=2)
    break_with(subject, kind)
    with pytest.raises(ProviderUnavailableError):
        client.list_page(Entity.CUSTOMERS, interval=Interval(), cursor=None, limit=1)


def test_a_revoked_key_is_not_tried_again(subject: Subject, connect: Connect) -> None:
    notes = list[RequestNote]()
    client = connect(on_retry=notes.append)
    break_with(subject, FaultKind.UNAUTHORIZED)
    with pytest.raises(CredentialsRejectedError):
        client.list_page(Entity.CUSTOMERS, interval=Interval(), cursor=None, limit=1)
    assert notes == []


def test_a_lost_permission_is_named(subject: Subject, client: ProviderClient) -> None:
    break_with(subject, FaultKind.FORBIDDEN)
    with pytest.raises(PermissionDeniedError):
        client.list_page(Entity.INVOICES, interval=Interval(), cursor=None, limit=1)


def test_an_address_where_nobody_answers_is_unreachable(subject: Subject, connect: Connect) -> None:
    nowhere = subject.credentials.model_copy(update={"base_url": "http://127.0.0.1:9"})
    with pytest.raises(ProviderUnreachableError):
        connect(nowhere, attempts=1).account()


def test_whoever_gives_up_is_let_go(subject: Subject, connect: Connect) -> None:
    break_with(subject, FaultKind.ERROR_500)
    client = connect(is_cancelled=lambda: True)
    with pytest.raises(RequestAbandonedError):
        client.list_page(Entity.CUSTOMERS, interval=Interval(), cursor=None, limit=1)


def test_no_error_holds_the_key(subject: Subject, connect: Connect) -> None:
    secret = "sk_test_a_secret_that_nobody_may_see"
    client = connect(subject.credentials.model_copy(update={"api_key": SecretStr(secret)}), attempts=1)
    for kind in (*PASSING, FaultKind.UNAUTHORIZED, FaultKind.FORBIDDEN):
        break_with(subject, kind)
        with pytest.raises(Exception) as caught:  # noqa: PT011 (whichever it is)
            client.list_page(Entity.CUSTOMERS, interval=Interval(), cursor=None, limit=1)
        assert secret not in f"{caught.value!r} {caught.value}"
