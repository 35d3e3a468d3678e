"""Making webhook endpoints at a provider that fails: once, or not at all."""

from collections.abc import Iterator

import pytest
import stripe
from pydantic import SecretStr

from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.providers.base import CredentialsRejectedError, ProviderError, ProviderUnavailableError
from cyphera_pipelines.providers.stripe import endpoints
from cyphera_pipelines.providers.stripe.changes import all_event_types
from cyphera_pipelines.providers.stripe.endpoints import StripeWebhookEndpoints
from cyphera_pipelines.sandbox import Fault, FaultKind, SandboxAccount, SandboxServer

ACCOUNT = SandboxAccount(api_key="sk_test_endpoint_faults", account_id="acct_endpoint_faults", customers=1)
PATH = "/v1/webhook_endpoints"
URL = "http://127.0.0.1:9/webhooks"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[SandboxServer]:
    monkeypatch.setattr(endpoints, "PAUSE_SECONDS", 0.01)
    with SandboxServer([ACCOUNT]) as running:
        yield running


def endpoints_of(base_url: str, api_key: str = ACCOUNT.api_key) -> StripeWebhookEndpoints:
    return StripeWebhookEndpoints(Credentials(api_key=SecretStr(api_key), base_url=base_url))


@pytest.mark.parametrize(
    "kind", [FaultKind.ERROR_500, FaultKind.TRUNCATE, FaultKind.CUT_JSON, FaultKind.DROP, FaultKind.RATE_LIMIT]
)
def test_an_endpoint_is_made_once_whatever_happens_to_the_answer(kind: FaultKind, server: SandboxServer) -> None:
    server.state.faults.set([Fault(kind=kind, path=PATH, times=1)])
    ours = endpoints_of(server.url)
    made = ours.create(URL)
    assert server.state.faults.hits == [1]
    assert made.secret is not None
    (found,) = ours.find_all()
    assert (found.id, found.url, found.secret, found.is_enabled) == (made.id, URL, None, True)
    assert (found.api_version, set(found.event_types)) == (stripe.api_version, set(all_event_types()))
    ours.delete(made.id)
    assert ours.find_all() == []


def test_what_lasts_is_told_and_no_secret_with_it(server: SandboxServer) -> None:
    server.state.faults.set([Fault(kind=FaultKind.ERROR_500, path=PATH)])
    with pytest.raises(ProviderUnavailableError):
        endpoints_of(server.url).create(URL)
    server.state.faults.clear()
    with pytest.raises(CredentialsRejectedError) as rejected:
        endpoints_of(server.url, "sk_test_of_nobody_at_all").find_all()
    assert "sk_test_of_nobody" not in str(rejected.value)
    with pytest.raises(ProviderError, match="refuses making a webhook endpoint"):
        endpoints_of(server.url).create("http://example.com/webhooks")
