"""Which account a request names, and how; and which keys and accounts cannot go together."""

import orjson
import pytest
from pydantic import SecretStr

from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.providers.base import AccountNotOpenError, ClientOptions, Interval, UnusableAccessError
from cyphera_pipelines.providers.stripe.access import account_of_event, scope
from cyphera_pipelines.providers.stripe.client import StripeAccountClient
from cyphera_pipelines_tests.providers.header_server import Answer, HeaderServer

KEY, ORGANIZATION_KEY = "sk_test_platform", "sk_org_test_organization"


@pytest.mark.parametrize(
    ("api_key", "connected", "account", "context"),
    [
        (KEY, None, None, None),
        (KEY, "acct_1", "acct_1", None),
        (ORGANIZATION_KEY, "acct_1", None, "acct_1"),
        (ORGANIZATION_KEY, "acct_1/acct_2", None, "acct_1/acct_2"),
    ],
)
def test_every_request_names_the_account(
    api_key: str, connected: str | None, account: str | None, context: str | None
) -> None:
    with HeaderServer() as server:
        own = None if connected is None else connected.rpartition("/")[2]
        server.answer_with(
            lambda asked: Answer(
                body=orjson.dumps({"id": own or "acct_0"} if asked.path == "/v1/account" else {"data": []})
            )
        )
        credentials = Credentials(api_key=SecretStr(api_key), base_url=server.url)
        client = StripeAccountClient(credentials, ClientOptions(attempts=1), connected)
        assert client.account().id == own or own is None
        client.check_readable(Entity.PRICES)
        client.check_events_readable()
        client.list_page(Entity.CUSTOMERS, interval=Interval(), cursor=None, limit=1)
        list(client.changes(tuple(Entity), 0))
        client.close()
        named = {(asked.headers.get("stripe-account"), asked.headers.get("stripe-context")) for asked in server.asked}
    assert named == {(account, context)}


def test_a_provider_that_answers_for_another_account_is_not_believed() -> None:
    with HeaderServer() as server:
        server.answer_with(Answer(body=b'{"id": "acct_platform"}'))
        credentials = Credentials(api_key=SecretStr(KEY), base_url=server.url)
        client = StripeAccountClient(credentials, ClientOptions(attempts=1), "acct_1")
        with pytest.raises(AccountNotOpenError, match="Asked for account acct_1"):
            client.account()
        client.close()


@pytest.mark.parametrize(
    ("api_key", "connected", "field"),
    [
        (KEY, "cus_1", "connected_account_id"),
        (KEY, "acct_", "connected_account_id"),
        (KEY, "acct_1/acct_2", "connected_account_id"),
        (KEY, "acct_1\r\nX-Evil: 1", "connected_account_id"),
        (KEY, "acct_é", "connected_account_id"),
        (KEY, "acct_1\n", "connected_account_id"),
        (ORGANIZATION_KEY, None, "connected_account_id"),
        (ORGANIZATION_KEY, "org_1", "connected_account_id"),
        (ORGANIZATION_KEY, "acct_1/acct_2/acct_3", "connected_account_id"),
        (ORGANIZATION_KEY, "/acct_1", "connected_account_id"),
        ("pk_live_1", None, "configuration.api_key"),
    ],
)
def test_what_cannot_go_together_is_refused_before_a_request(api_key: str, connected: str | None, field: str) -> None:
    credentials = Credentials(api_key=SecretStr(api_key), base_url="http://127.0.0.1:1")
    with pytest.raises(UnusableAccessError) as refused:
        StripeAccountClient(credentials, ClientOptions(attempts=1), connected)
    assert refused.value.field == field
    assert api_key not in str(refused.value)


@pytest.mark.parametrize(
    ("event", "named"),
    [
        ({}, None),
        ({"account": None, "context": None}, None),
        ({"account": "acct_1"}, "acct_1"),
        ({"context": "acct_1"}, "acct_1"),
        ({"context": "acct_1/acct_2"}, "acct_2"),
        ({"account": "acct_2", "context": "acct_1/acct_2"}, "acct_2"),
        ({"account": {"id": "acct_1"}}, "(dict)"),
        ({"account": 1}, "(int)"),
    ],
)
def test_an_event_s_account(event: dict[str, object], named: str | None) -> None:
    assert account_of_event(event) == named


@pytest.mark.parametrize(
    ("api_key", "connected", "known", "named", "sent", "listed"),
    [
        (KEY, None, "acct_1", None, False, False),
        (KEY, None, "acct_1", "acct_1", False, False),
        (KEY, None, "acct_1", "acct_2", True, True),
        (KEY, None, None, None, False, False),
        (KEY, None, None, "acct_2", True, True),
        (KEY, "acct_1", "acct_9", "acct_1", False, False),
        (KEY, "acct_1", "acct_9", "acct_9", True, True),
        (KEY, "acct_1", None, None, True, False),
        (ORGANIZATION_KEY, "acct_1", None, None, False, False),
        (ORGANIZATION_KEY, "acct_1", None, "acct_2", True, True),
        (ORGANIZATION_KEY, "acct_1/acct_2", None, None, True, False),
        (ORGANIZATION_KEY, "acct_1/acct_2", None, "acct_2", False, False),
    ],
)
def test_whose_event_it_is(
    api_key: str, connected: str | None, known: str | None, named: str | None, sent: bool, listed: bool
) -> None:
    own = scope(api_key, connected)
    assert own.is_foreign(named, known, was_sent=True) is sent
    assert own.is_foreign(named, known, was_sent=False) is listed
