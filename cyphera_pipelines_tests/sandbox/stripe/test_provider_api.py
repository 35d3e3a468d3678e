"""What a client sees, mostly through the real `stripe` package."""

from typing import Any

import pytest
import requests
import stripe
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cyphera_pipelines.sandbox import API_VERSION, SandboxOptions, SandboxServer, SandboxState
from cyphera_pipelines.sandbox.business.business import BASE_COLLECTIONS
from cyphera_pipelines.sandbox.stripe.collection import EXPANDED_ONLY
from cyphera_pipelines.sandbox.stripe.query import matcher, parse_list_query
from cyphera_pipelines_tests.sandbox.conftest import ACCOUNT, KEY, Get, all_pages, client_of, small_account


def shown(whole: dict[str, Any]) -> dict[str, Any]:
    """What a list shows of a whole object."""
    built = {field: value for field, value in whole.items() if field not in EXPANDED_ONLY}
    for nested in ("lines", "items"):
        if nested in built:
            data = built[nested]["data"]
            built[nested] = {**built[nested], "data": data[:10], "has_more": len(data) > 10}
    return built


@pytest.mark.parametrize("name", BASE_COLLECTIONS)
def test_paging_through_equals_the_truth(server: SandboxServer, get: Get, name: str) -> None:
    parameters: dict[str, Any] = {"limit": 37}
    if name == "subscriptions":
        parameters["status"] = "all"
    listed = all_pages(get, f"/v1/{name}", **parameters)
    assert listed == [shown(whole) for whole in server.state.truth(ACCOUNT, name)]
    created = [built["created"] for built in listed]
    assert created == sorted(created, reverse=True)


def test_the_real_client_pages_through_everything(server: SandboxServer, client: stripe.StripeClient) -> None:
    truth = {name: [whole["id"] for whole in server.state.truth(ACCOUNT, name)] for name in BASE_COLLECTIONS}
    every: dict[str, list[str]] = {
        "customers": [found.id for found in client.v1.customers.list({"limit": 50}).auto_paging_iter()],
        "products": [found.id for found in client.v1.products.list().auto_paging_iter()],
        "prices": [found.id for found in client.v1.prices.list({"limit": 100}).auto_paging_iter()],
        "subscriptions": [
            found.id for found in client.v1.subscriptions.list({"status": "all", "limit": 100}).auto_paging_iter()
        ],
        "invoices": [found.id for found in client.v1.invoices.list({"limit": 100}).auto_paging_iter()],
    }
    assert every == truth
    oldest = truth["customers"][-1]
    backwards = client.v1.customers.list({"limit": 60, "ending_before": oldest})
    assert [found.id for found in backwards.auto_paging_iter()] == truth["customers"][-2::-1]


def test_nested_lists_are_complete_when_paged(server: SandboxServer, client: stripe.StripeClient) -> None:
    longest = max(server.state.truth(ACCOUNT, "invoices"), key=lambda whole: len(whole["lines"]["data"]))
    embedded = client.v1.invoices.retrieve(longest["id"]).lines
    assert embedded.has_more
    assert len(embedded.data) == 10
    lines = client.v1.invoices.line_items.list(longest["id"], {"limit": 100})
    assert [line.id for line in lines.auto_paging_iter()] == [line["id"] for line in longest["lines"]["data"]]
    largest = max(server.state.truth(ACCOUNT, "subscriptions"), key=lambda whole: len(whole["items"]["data"]))
    items = client.v1.subscription_items.list({"subscription": largest["id"], "limit": 7})
    assert [item.id for item in items.auto_paging_iter()] == [item["id"] for item in largest["items"]["data"]]
    item_id = largest["items"]["data"][-1]["id"]
    assert client.v1.subscription_items.retrieve(item_id).subscription == largest["id"]


BASE = 1_790_812_800
moments = st.integers(BASE - 740 * 86_400, BASE + 86_400)
OPERATORS = ("gt", "gte", "lt", "lte")


def test_created_filters_mean_what_they_say(server: SandboxServer, get: Get) -> None:
    every = [whole["created"] for whole in server.state.truth(ACCOUNT, "invoices")]
    holds = {
        "gt": lambda created, bound: created > bound,
        "gte": lambda created, bound: created >= bound,
        "lt": lambda created, bound: created < bound,
        "lte": lambda created, bound: created <= bound,
    }

    @given(st.dictionaries(st.sampled_from(OPERATORS), moments | st.sampled_from(every), max_size=3))
    @settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
    def check(bounds: dict[str, int]) -> None:
        parameters = {f"created[{operator}]": bound for operator, bound in bounds.items()}
        found = [built["created"] for built in all_pages(get, "/v1/invoices", limit=100, **parameters)]
        wanted = [
            created for created in every if all(holds[operator](created, bound) for operator, bound in bounds.items())
        ]
        assert found == wanted

    check()
    exact = get("/v1/invoices", limit=100, created=every[20]).json()["data"]
    assert [built["created"] for built in exact] == [created for created in every if created == every[20]]


def test_filters(server: SandboxServer, get: Get) -> None:
    truth = {name: list(server.state.truth(ACCOUNT, name)) for name in BASE_COLLECTIONS}

    def ids(name: str, **parameters: Any) -> list[str]:
        return [built["id"] for built in all_pages(get, f"/v1/{name}", limit=100, **parameters)]

    def wanted(name: str, test: Any) -> list[str]:
        found = [whole["id"] for whole in truth[name] if test(whole)]
        assert 0 < len(found) < len(truth[name])
        return found

    email = next(customer["email"] for customer in truth["customers"] if customer["email"])
    assert ids("customers", email=email) == wanted("customers", lambda whole: whole["email"] == email)
    some = [product["id"] for product in truth["products"][1:4]]
    assert ids("products", **{"ids[]": some}) == some
    assert ids("products", active="false") == wanted("products", lambda whole: not whole["active"])
    assert ids("prices", active="true") == wanted("prices", lambda whole: whole["active"])
    assert ids("prices", type="one_time") == wanted("prices", lambda whole: whole["type"] == "one_time")
    assert ids("prices", currency="eur") == wanted("prices", lambda whole: whole["currency"] == "eur")
    assert ids("prices", product=some[0]) == wanted("prices", lambda whole: whole["product"] == some[0])
    key = next(price["lookup_key"] for price in truth["prices"] if price["lookup_key"])
    assert ids("prices", **{"lookup_keys[]": [key]}) == wanted("prices", lambda whole: whole["lookup_key"] == key)
    yearly = ids("prices", **{"recurring[interval]": "year"})
    assert yearly == wanted("prices", lambda whole: (whole["recurring"] or {}).get("interval") == "year")
    ended = ("canceled", "incomplete_expired")
    assert ids("subscriptions") == wanted("subscriptions", lambda whole: whole["status"] not in ended)
    assert ids("subscriptions", status="ended") == wanted("subscriptions", lambda whole: whole["status"] in ended)
    assert ids("subscriptions", status="canceled") == wanted(
        "subscriptions", lambda whole: whole["status"] == "canceled"
    )
    price = truth["subscriptions"][0]["items"]["data"][0]["price"]["id"]
    assert ids("subscriptions", status="all", price=price) == wanted(
        "subscriptions", lambda whole: price in [item["price"]["id"] for item in whole["items"]["data"]]
    )
    customer = truth["subscriptions"][0]["customer"]
    assert ids("subscriptions", status="all", customer=customer) == wanted(
        "subscriptions", lambda whole: whole["customer"] == customer
    )
    for status in ("draft", "open", "paid", "uncollectible", "void"):
        assert ids("invoices", status=status) == wanted("invoices", lambda whole, s=status: whole["status"] == s)
    customer = truth["invoices"][0]["customer"]
    assert ids("invoices", customer=customer) == wanted("invoices", lambda whole: whole["customer"] == customer)
    parent = next(whole["parent"] for whole in truth["invoices"] if whole["parent"])
    subscription = parent["subscription_details"]["subscription"]
    assert ids("invoices", subscription=subscription) == wanted(
        "invoices",
        lambda whole: bool(whole["parent"]) and whole["parent"]["subscription_details"]["subscription"] == subscription,
    )
    assert ids("invoices", collection_method="send_invoice") == wanted(
        "invoices", lambda whole: whole["collection_method"] == "send_invoice"
    )


def test_cheap_facts_agree_with_the_whole_objects() -> None:
    dataset = SandboxState([small_account()]).dataset(ACCOUNT)
    for name, field in (("invoices", "status=paid"), ("subscriptions", ""), ("customers", "email=x@example.com")):
        match = matcher(name, parse_list_query(name, field))
        assert match is not None
        collection = dataset.collections[name]
        for number in range(collection.count):
            facts = collection.facts(number)
            whole = collection.whole(number)
            assert all(whole[key] == value for key, value in facts.items() if key in whole and key != "subscription")


def test_tiers_are_shown_only_when_expanded(client: stripe.StripeClient) -> None:
    prices = list(client.v1.prices.list({"limit": 100}).auto_paging_iter())
    assert not any("tiers" in price for price in prices)
    expanded = list(client.v1.prices.list({"limit": 100, "expand": ["data.tiers"]}).auto_paging_iter())
    tiered = [price for price in expanded if price.billing_scheme == "tiered"]
    assert tiered
    assert all(price.tiers for price in tiered)
    assert client.v1.prices.retrieve(tiered[0].id, {"expand": ["tiers"]}).tiers
    assert "tiers" not in client.v1.prices.retrieve(tiered[0].id)


def test_references_can_be_expanded(get: Get) -> None:
    body = get("/v1/invoices", limit=2, **{"expand[]": ["data.customer", "data.lines.data.price"]}).json()
    assert body["data"][0]["customer"]["object"] == "customer"
    invoice_id = body["data"][0]["id"]
    assert get(f"/v1/invoices/{invoice_id}", **{"expand[]": "customer"}).json()["customer"]["object"] == "customer"


@pytest.mark.parametrize(
    ("path", "parameters", "status", "code", "param"),
    [
        ("/v1/invoices", {"limit": 0}, 400, "parameter_invalid_integer", "limit"),
        ("/v1/invoices", {"limit": 101}, 400, "parameter_invalid_integer", "limit"),
        ("/v1/invoices", {"limit": "many"}, 400, "parameter_invalid_integer", "limit"),
        ("/v1/invoices", {"starting_after": "in_none"}, 400, "resource_missing", "starting_after"),
        ("/v1/invoices", {"ending_before": "in_none"}, 400, "resource_missing", "ending_before"),
        ("/v1/invoices", {"starting_after": "a", "ending_before": "b"}, 400, None, "ending_before"),
        ("/v1/invoices", {"colour": "red"}, 400, "parameter_unknown", "colour"),
        ("/v1/invoices", {"created[after]": "1"}, 400, "parameter_unknown", "created[after]"),
        ("/v1/invoices", {"created[gte]": "noon"}, 400, "parameter_invalid_integer", "created[gte]"),
        ("/v1/invoices", {"status": "lost"}, 400, None, "status"),
        ("/v1/prices", {"active": "maybe"}, 400, None, "active"),
        ("/v1/customers/cus_none", {}, 404, "resource_missing", "id"),
        ("/v1/customers/cus_none", {"limit": 3}, 404, "resource_missing", "id"),
        ("/v1/invoices/in_none/lines", {}, 404, "resource_missing", "id"),
        ("/v1/subscription_items", {}, 400, "parameter_missing", "subscription"),
        ("/v1/subscription_items", {"subscription": "sub_none"}, 400, "resource_missing", "subscription"),
        ("/v1/subscription_items/si_none", {}, 404, "resource_missing", "id"),
        ("/v1/disputes", {}, 404, None, None),
        ("/v1/customers/", {}, 404, None, None),
    ],
)
def test_refusals_have_stripes_shape(
    get: Get, path: str, parameters: dict[str, Any], status: int, code: str | None, param: str | None
) -> None:
    if path == "/v1/customers/cus_none" and parameters:
        status, code, param = 400, "parameter_unknown", "limit"
    response = get(path, **parameters)
    error = response.json()["error"]
    assert response.status_code == status
    assert error["type"] == "invalid_request_error"
    assert error["message"]
    assert (error.get("code"), error.get("param")) == (code, param)


def test_every_response_names_itself(get: Get) -> None:
    for response in (get("/v1/account"), get("/v1/customers/cus_none")):
        assert response.headers["Request-Id"].startswith("req_")
        assert response.headers["Stripe-Version"] == API_VERSION
        assert response.headers["Content-Type"] == "application/json"
        assert "Date" in response.headers


def test_keys(server: SandboxServer) -> None:
    with pytest.raises(stripe.AuthenticationError) as unknown:
        client_of(server, "sk_test_not_a_real_key_1234").v1.customers.list()
    assert "not_a_real_key" not in str(unknown.value)
    assert str(unknown.value).endswith("1234")
    url = f"{server.url}/v1/account"
    assert requests.get(url, timeout=120).status_code == 401
    assert requests.get(url, auth=(KEY, ""), timeout=120).json()["id"] == ACCOUNT
    assert requests.post(f"{server.url}/v1/disputes", auth=(KEY, ""), timeout=120).status_code == 404


def test_several_accounts_keys_and_modes() -> None:
    restricted = {"rk_test_narrow": frozenset({"invoice", "price"})}
    live = small_account(api_key="sk_live_small", seed=9)
    test = small_account(restricted_keys=restricted, more_keys=("sk_test_second",))
    with SandboxServer([live, test]) as server:
        narrow = client_of(server, "rk_test_narrow")
        with pytest.raises(stripe.PermissionError, match=r"rak_invoice_read.*would allow"):
            narrow.v1.invoices.list()
        with pytest.raises(stripe.PermissionError, match="rak_plan_read"):
            narrow.v1.prices.list()
        assert narrow.v1.customers.list().data
        second = client_of(server, "sk_test_second").v1.products.list({"limit": 100}).data
        of_live = client_of(server, "sk_live_small").v1.products.list({"limit": 100}).data
        assert {product.livemode for product in second} == {False}
        assert {product.livemode for product in of_live} == {True}
        shared = {product.id for product in second} & {product.id for product in of_live}
        assert shared
        assert all(product_id.startswith("plan-") for product_id in shared)
        assert [whole["id"] for whole in server.state.truth(f"{ACCOUNT}/live", "products")] == [
            product.id for product in of_live
        ]
        with pytest.raises(ValueError, match="already opens"):
            server.state.put_account(small_account(account_id="acct_other"))


def test_account(client: stripe.StripeClient) -> None:
    account = client.v1.accounts.retrieve_current()
    assert account.id == ACCOUNT
    assert account.settings is not None
    assert account.settings.dashboard.display_name == "Small"
    assert client.v1.accounts.retrieve(ACCOUNT).country == "US"


def test_rate_limits_by_endpoint_and_account(server: SandboxServer, get: Get) -> None:
    server.state.set_options(SandboxOptions(endpoint_rate=0.001, burst=2, retry_after=3))
    assert [get("/v1/products").status_code for _ in range(3)] == [200, 200, 429]
    refused = get("/v1/products")
    assert refused.headers["Stripe-Rate-Limited-Reason"] == "endpoint-rate"
    assert refused.headers["Retry-After"] == "3"
    assert refused.json()["error"]["code"] == "rate_limit"
    assert refused.json()["error"]["type"] == "invalid_request_error"
    assert get("/v1/prices").status_code == 200
    with pytest.raises(stripe.RateLimitError):
        client_of(server).v1.products.list()
    server.state.set_options(SandboxOptions(account_rate=0.001, burst=1))
    assert get("/v1/prices").status_code == 200
    refused = get("/v1/products")
    assert refused.headers["Stripe-Rate-Limited-Reason"] == "global-rate"
    assert "Retry-After" not in refused.headers
    server.state.set_options(SandboxOptions(endpoint_rates={"GET /v1/invoices/:id/lines": 0.001}, burst=1))
    invoices = get("/v1/invoices").json()["data"]
    statuses = [get(f"/v1/invoices/{invoice['id']}/lines").status_code for invoice in invoices[:2]]
    assert statuses == [200, 429]
