import pytest
import requests

from cyphera_pipelines.sandbox import Fault, FaultKind, SandboxOptions, SandboxServer
from cyphera_pipelines_tests.sandbox.chargebee.conftest import KEY, SITE, Ask, small_site


def code(response: requests.Response) -> tuple[int, str]:
    return response.status_code, response.json()["api_error_code"]


def test_an_unknown_key_is_not_let_in(ask: Ask, server: SandboxServer) -> None:
    assert code(ask("/customers", key="test_other")) == (401, "api_authentication_failed")
    without = requests.get(f"{server.url}/api/v2/customers", timeout=120)
    assert code(without) == (401, "api_authentication_failed")
    with_password = requests.get(f"{server.url}/api/v2/customers", auth=(KEY, "password"), timeout=120)
    assert code(with_password) == (401, "api_authentication_failed")


def test_a_host_may_name_the_site(ask: Ask, server: SandboxServer) -> None:
    server.state.put_account(small_site(site="other-test", api_key="test_other"))
    assert ask("/customers", headers={"Host": f"{SITE}.localhost:1"}).status_code == 200
    assert code(ask("/customers", headers={"Host": "nobody-test.localhost"})) == (404, "site_not_found")
    assert code(ask("/customers", headers={"Host": "other-test.chargebee.com"})) == (401, "api_authentication_failed")


def test_a_key_may_lack_permissions(ask: Ask, server: SandboxServer) -> None:
    server.state.put_account(
        small_site(read_only_keys=("test_reader",), restricted_keys={"test_less": frozenset({"invoices"})})
    )
    assert ask("/invoices", key="test_reader").status_code == 200
    refused = requests.post(f"{server.url}/api/v2/customers", auth=("test_reader", ""), data={}, timeout=120)
    assert code(refused) == (403, "api_authorization_failed")
    assert code(ask("/invoices", key="test_less")) == (403, "api_authorization_failed")
    assert ask("/customers", key="test_less").status_code == 200


def test_what_is_not_there_is_said_to_be_missing(ask: Ask) -> None:
    assert code(ask("/customers/nobody")) == (404, "resource_not_found")
    assert code(ask("/nothing")) == (404, "resource_not_found")
    assert code(ask("/events/ev_none")) == (404, "resource_not_found")


@pytest.mark.parametrize(("catalog", "schema"), [("v1", "plans_addons"), ("mixed", "compat")])
def test_a_site_of_another_catalog_refuses_items(ask: Ask, server: SandboxServer, catalog: str, schema: str) -> None:
    server.state.put_account(small_site(catalog=catalog))
    assert code(ask("/items")) == (400, "configuration_incompatible")
    told = ask("/configurations").json()["configurations"][0]
    assert told["chargebee_response_schema_type"] == schema
    assert told["product_catalog_version"] == ("v1" if catalog == "v1" else "v2")


def test_a_mixed_site_answers_whoever_says_that_items_are_meant(ask: Ask, server: SandboxServer) -> None:
    server.state.put_account(small_site(catalog="mixed"))
    assert code(ask("/subscriptions")) == (400, "configuration_incompatible")
    assert ask("/subscriptions", headers={"chargebee-response-schema-type": "items"}).status_code == 200


@pytest.mark.parametrize("retry_after", [None, 7.0])
def test_a_minute_holds_so_many_requests(ask: Ask, server: SandboxServer, retry_after: float | None) -> None:
    server.state.set_options(SandboxOptions(account_per_minute=150, retry_after=retry_after))
    answers = [ask("/customers", limit=1) for _ in range(301)]
    refused = [answer for answer in answers if answer.status_code == 429]
    # A minute may end meanwhile, but not two.
    assert 150 <= len(answers) - len(refused) <= 300
    assert refused
    assert code(refused[0]) == (429, "api_request_limit_exceeded")
    assert refused[0].headers.get("Retry-After") == (None if retry_after is None else "7")


def test_an_account_of_another_provider_has_minutes_of_its_own(ask: Ask, server: SandboxServer) -> None:
    server.state.put_account(small_site(site="other-test", api_key="test_other"))
    server.state.set_options(SandboxOptions(account_per_minute=1))
    assert 429 in {ask("/customers").status_code for _ in range(3)}
    assert ask("/customers", key="test_other").status_code == 200


def test_a_proxys_page_is_no_json(ask: Ask, server: SandboxServer) -> None:
    server.state.faults.add(Fault(kind=FaultKind.ERROR_502, path="/api/v2/customers", times=1))
    page = ask("/customers")
    assert (page.status_code, page.headers["Content-Type"]) == (502, "text/html")
    assert ask("/customers").status_code == 200


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (FaultKind.READ_ONLY, (503, "site_read_only_mode")),
        (FaultKind.ERROR_500, (500, "internal_error")),
        (FaultKind.UNAUTHORIZED, (401, "api_authentication_failed")),
        (FaultKind.FORBIDDEN, (403, "api_authorization_failed")),
        (FaultKind.RATE_LIMIT, (429, "api_request_limit_exceeded")),
    ],
)
def test_faults_come_in_chargebees_words(
    ask: Ask, server: SandboxServer, kind: FaultKind, expected: tuple[int, str]
) -> None:
    server.state.faults.add(Fault(kind=kind, account_id=SITE, times=1))
    assert code(ask("/customers")) == expected


def test_no_method_but_get_and_post_is_taken(server: SandboxServer) -> None:
    for method in ("PUT", "DELETE", "PATCH"):
        answer = requests.request(method, f"{server.url}/api/v2/customers/x", auth=(KEY, ""), timeout=120)
        assert code(answer) == (405, "http_method_not_supported")
