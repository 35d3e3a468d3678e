from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
import requests

from cyphera_pipelines.sandbox import Fault, FaultKind, SandboxServer
from cyphera_pipelines.sandbox.chargebee.writes.idempotency import KEPT_SECONDS, Answered, AnsweredKeys
from cyphera_pipelines_tests.sandbox.chargebee.conftest import KEY, SITE, Ask, all_pages, small_site

CARD = {"card[number]": "4111111111111111", "card[expiry_month]": "12", "card[expiry_year]": "2031"}


class Client:
    """Posts forms to the small site."""

    def __init__(self, server: SandboxServer, session: requests.Session) -> None:
        self.server = server
        self._session = session

    def send(self, path: str, form: dict[str, Any] | None = None, key: str | None = None) -> requests.Response:
        headers = {} if key is None else {"chargebee-idempotency-key": key}
        url = f"{self.server.url}/api/v2{path}"
        return self._session.post(url, data=form or {}, auth=(KEY, ""), headers=headers, timeout=120)

    def do(self, path: str, form: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = self.send(path, form)
        assert answer.status_code == 200, answer.text
        done: dict[str, Any] = answer.json()
        return done

    def refused(self, path: str, form: dict[str, Any] | None = None) -> tuple[int, str, str | None]:
        answer = self.send(path, form)
        told = answer.json()
        return answer.status_code, told["api_error_code"], told.get("param")

    def events(self) -> list[str]:
        return [event["event_type"] for event in self.server.state.truth(SITE, "events")][::-1]


@pytest.fixture
def client(server: SandboxServer) -> Iterator[Client]:
    with requests.Session() as session:
        yield Client(server, session)


def plan_of(server: SandboxServer, **wanted: Any) -> dict[str, Any]:
    """A price that can be subscribed to, of the kind that is wanted."""
    for price in server.state.truth(SITE, "item_prices"):
        item = server.state.site(SITE).objects.shelf("items").get(price["item_id"])
        is_whole = price["status"] == "active" and item["status"] == "active" and not item["metered"]
        if is_whole and "trial_period" not in price and all(price.get(name) == value for name, value in wanted.items()):
            return price
    raise AssertionError(f"no price like {wanted}")


def test_a_customer_is_made_changed_and_deleted(client: Client, ask: Ask) -> None:
    form = {
        "id": "me & you/1",
        "first_name": "Ada",
        "email": "ada@example.com",
        "billing_address[city]": "London",
        "meta_data": '{"crm": 7}',
        "cf_segment": "new",
    }
    made = client.do("/customers", form)["customer"]
    assert made["meta_data"] == {"crm": 7}
    assert made["billing_address"]["city"] == "London"
    path = f"/customers/{quote(made['id'], safe='')}"
    changed = client.do(path, {"first_name": "", "company": "Analytical"})["customer"]
    assert "first_name" not in changed
    assert changed["resource_version"] > made["resource_version"]
    assert ask(path).json()["customer"] == changed
    assert client.do(f"{path}/update_billing_info", {"billing_address[city]": "Paris"})["customer"] != changed
    assert client.do(f"{path}/delete")["customer"]["deleted"] is True
    assert made["id"] not in {each["id"] for each in all_pages(ask, "/customers")}
    assert client.events() == ["customer_created", "customer_changed", "customer_changed", "customer_deleted"]
    assert client.refused(path, {"company": "Again"}) == (404, "resource_not_found", None)
    assert client.refused("/customers", {"id": made["id"]}) == (400, "duplicate_entry", "id")


def test_what_makes_no_sense_is_refused_and_leaves_nothing(client: Client) -> None:
    before = len(list(client.server.state.truth(SITE, "customers")))
    assert client.refused("/customers", {"colour": "red"}) == (400, "invalid_request", "colour")
    assert client.refused("/customers", {"email": "nobody"}) == (400, "param_wrong_value", "email")
    assert client.refused("/customers", {"auto_collection": "maybe"})[2] == "auto_collection"
    assert client.refused("/customers", {"meta_data": "[1]"})[2] == "meta_data"
    assert client.refused("/customers/nobody/delete") == (404, "resource_not_found", None)
    assert client.refused("/customers/x/unheard_of")[0] == 404
    assert len(list(client.server.state.truth(SITE, "customers"))) == before
    assert client.events() == []


def test_a_catalog_grows(client: Client) -> None:
    client.do("/item_families", {"id": "new", "name": "New"})
    item = {"id": "seat", "name": "Seat", "type": "plan", "item_family_id": "new", "unit": "seat"}
    client.do("/items", item)
    price = {"id": "seat-EUR", "name": "Seat EUR", "item_id": "seat", "pricing_model": "tiered", "currency_code": "EUR"}
    assert client.refused("/item_prices", price)[2] == "period"
    terms = price | {"period": 1, "period_unit": "month"}
    assert client.refused("/item_prices", terms)[2] == "tiers[starting_unit][0]"
    tiers = {"tiers[starting_unit][0]": 1, "tiers[ending_unit][0]": 10, "tiers[price][0]": 500}
    tiers |= {"tiers[starting_unit][1]": 11, "tiers[price][1]": 300}
    made = client.do("/item_prices", terms | tiers)["item_price"]
    assert [tier["price"] for tier in made["tiers"]] == [500, 300]
    assert client.do("/item_prices/seat-EUR", {"status": "archived"})["item_price"]["archived_at"]
    assert client.refused("/items/seat/delete")[1] == "invalid_state_for_request"
    client.do("/item_prices/seat-EUR/delete")
    assert client.do("/items/seat/delete")["item"]["status"] == "deleted"
    assert client.events()[:3] == ["item_family_created", "item_created", "item_price_created"]


def test_a_subscription_lives_is_billed_and_ends(client: Client, ask: Ask) -> None:
    price = plan_of(client.server, pricing_model="per_unit", item_type="plan", currency_code="USD")
    customer = client.do("/customers", {"id": "payer"})["customer"]["id"]
    client.do("/payment_sources/create_card", {"customer_id": customer, **CARD})
    form = {"subscription_items[item_price_id][0]": price["id"], "subscription_items[quantity][0]": 3, "id": "sub one"}
    made = client.do(f"/customers/{customer}/subscription_for_items", form)
    assert (made["subscription"]["status"], made["invoice"]["status"]) == ("active", "paid")
    assert made["invoice"]["total"] == price["price"] * 3
    assert made["card"]["last4"] == "1111"
    path = "/subscriptions/sub%20one"
    assert ask(path).json()["subscription"] == made["subscription"]
    more = {"subscription_items[item_price_id][0]": price["id"], "subscription_items[quantity][0]": 5}
    assert client.do(f"{path}/update_for_items", more)["subscription"]["subscription_items"][0]["quantity"] == 5
    ending = client.do(f"{path}/cancel_for_items", {"end_of_term": "true"})["subscription"]
    assert (ending["status"], ending["cancelled_at"]) == ("non_renewing", ending["current_term_end"])
    assert client.do(f"{path}/remove_scheduled_cancellation")["subscription"]["status"] == "active"
    assert client.refused(f"{path}/reactivate")[1] == "invalid_state_for_request"
    ended = client.do(f"{path}/cancel_for_items", {"cancel_option": "immediately", "cancel_reason_code": "Other"})
    assert (ended["subscription"]["status"], ended["subscription"]["mrr"]) == ("cancelled", 0)
    assert client.do(f"{path}/reactivate")["subscription"]["status"] == "active"
    told = [event for event in client.events() if event.startswith("subscription_")]
    assert told == [
        "subscription_created",
        "subscription_changed",
        "subscription_cancellation_scheduled",
        "subscription_scheduled_cancellation_removed",
        "subscription_cancelled",
        "subscription_reactivated",
    ]


def test_a_subscription_may_begin_later_or_with_a_trial(client: Client) -> None:
    price = plan_of(client.server, item_type="plan")
    client.do("/customers", {"id": "later"})
    path, form = "/customers/later/subscription_for_items", {"subscription_items[item_price_id][0]": price["id"]}
    assert client.do(path, form | {"start_date": 4_000_000_000})["subscription"]["status"] == "future"
    trial = client.do(path, form | {"trial_end": 4_000_000_000})
    assert (trial["subscription"]["status"], trial["subscription"]["mrr"]) == ("in_trial", 0)
    assert "invoice" not in trial
    assert client.refused(path, {})[2] == "subscription_items[item_price_id][0]"
    assert client.refused(path, {"subscription_items[item_price_id][0]": "none"})[0] == 404


def test_an_invoice_is_made_paid_and_refunded(client: Client, ask: Ask) -> None:
    client.do("/customers", {"id": "billed", "auto_collection": "off"})
    form = {
        "customer_id": "billed",
        "currency_code": "JPY",
        "charges[amount][0]": 1_200,
        "charges[description][0]": "x",
    }
    invoice = client.do("/invoices/create_for_charge_items_and_charges", form)["invoice"]
    path = f"/invoices/{invoice['id']}"
    assert (invoice["status"], invoice["amount_due"]) == ("payment_due", 1_200)
    assert client.refused(f"{path}/collect_payment")[1] == "payment_method_not_present"
    assert client.refused(f"{path}/refund")[1] == "invalid_state_for_request"
    paid = client.do(f"{path}/record_payment", {"transaction[payment_method]": "cash", "transaction[amount]": 1_200})
    assert (paid["invoice"]["status"], paid["transaction"]["amount"]) == ("paid", 1_200)
    assert client.refused(f"{path}/void")[1] == "invalid_state_for_request"
    refunded = client.do(f"{path}/refund", {"refund_amount": 200, "credit_note[reason_code]": "other"})
    assert (refunded["transaction"]["type"], refunded["credit_note"]["status"]) == ("refund", "refunded")
    assert client.refused(f"{path}/refund", {"refund_amount": 1_001})[2] == "refund_amount"
    listed = {each["id"] for each in all_pages(ask, "/transactions", **{"customer_id[is]": "billed"})}
    assert listed == {paid["transaction"]["id"], refunded["transaction"]["id"]}
    assert client.events()[1:] == ["invoice_generated", "payment_succeeded", "credit_note_created", "payment_refunded"]


def test_a_pending_invoice_is_closed_and_one_is_voided(client: Client) -> None:
    client.server.state.put_account(small_site(pending_invoices=True))
    client.do("/customers", {"id": "billed"})
    form = {"customer_id": "billed", "charges[amount][0]": 500, "charges[description][0]": "Setup"}
    invoice = client.do("/invoices/create_for_charge_items_and_charges", form)["invoice"]
    path = f"/invoices/{invoice['id']}"
    assert invoice["status"] == "pending"
    assert client.refused(f"{path}/void")[1] == "invalid_state_for_request"
    assert client.do(f"{path}/close")["invoice"]["status"] == "payment_due"
    assert client.refused(f"{path}/close")[1] == "invalid_state_for_request"
    voided = client.do(f"{path}/void", {"void_reason_code": "Other"})["invoice"]
    assert (voided["status"], voided["amount_due"]) == ("voided", 0)
    assert client.events()[1:] == ["pending_invoice_created", "invoice_generated", "invoice_updated"]


def test_an_unpaid_invoice_is_written_off(client: Client) -> None:
    unpaid = next(
        each
        for each in client.server.state.truth(SITE, "invoices")
        if each["status"] == "payment_due" and each["amount_due"] == each["total"] > 0
    )
    done = client.do(f"/invoices/{unpaid['id']}/write_off")
    assert done["invoice"]["write_off_amount"] == unpaid["total"]
    assert done["credit_note"]["reason_code"] == "write_off"


def test_payment_sources_come_and_go(client: Client, ask: Ask) -> None:
    client.do("/customers", {"id": "carded"})
    first = client.do("/payment_sources/create_card", {"customer_id": "carded", **CARD})["payment_source"]["id"]
    second = client.do(
        "/payment_sources/create_using_token", {"customer_id": "carded", "type": "card", "token_id": "tok_1"}
    )["payment_source"]["id"]
    assert ask("/customers/carded").json()["customer"]["primary_payment_source_id"] == first
    chosen = {"payment_source_id": second, "role": "primary"}
    customer = client.do("/customers/carded/assign_payment_role", chosen)["customer"]
    assert customer["primary_payment_source_id"] == second
    client.do(f"/payment_sources/{first}/delete")
    listed = all_pages(ask, "/payment_sources", **{"customer_id[is]": "carded"})
    assert [each["id"] for each in listed] == [second]


def test_the_same_request_under_one_key_is_done_once(client: Client) -> None:
    form = {"first_name": "Once"}
    first, again = (client.send("/customers", form, key="key-1") for _ in range(2))
    assert "chargebee-idempotency-replayed" not in first.headers
    assert again.headers["chargebee-idempotency-replayed"] == "true"
    assert again.json() == first.json()
    assert client.events() == ["customer_created"]
    other = client.send("/customers", {"first_name": "Other"}, key="key-1")
    assert (other.status_code, other.json()["api_error_code"]) == (422, "unable_to_process_request")
    assert client.send("/customers", form, key="k" * 101).status_code == 400


def test_keys_are_forgotten_after_half_an_hour() -> None:
    now = 0.0
    keys, done = AnsweredKeys(lambda: now), []

    def answer() -> Answered:
        done.append(now)
        return Answered(200, b"{}")

    keys.once("a", "request", answer)
    now = KEPT_SECONDS - 1.0
    assert keys.once("a", "request", answer).is_replay
    now = KEPT_SECONDS + 1.0
    assert not keys.once("a", "request", answer).is_replay
    assert len(done) == 2


@pytest.mark.parametrize(("kind", "made"), [(FaultKind.ERROR_500, 0), (FaultKind.ERROR_500_DONE, 1)])
def test_a_failed_answer_does_not_tell_whether_it_was_done(client: Client, kind: FaultKind, made: int) -> None:
    client.server.state.faults.add(Fault(kind=kind, method="POST", times=1))
    assert client.send("/customers", {"id": "unsure"}, key="key-2").status_code == 500
    assert len(client.events()) == made
    client.send("/customers", {"id": "unsure"}, key="key-2")
    assert client.events() == ["customer_created"]


def test_a_site_that_is_read_only_is_not_changed(client: Client) -> None:
    client.server.state.faults.add(Fault(kind=FaultKind.READ_ONLY, method="POST", times=1))
    assert client.refused("/customers", {"id": "later"})[:2] == (503, "site_read_only_mode")
    assert client.do("/customers", {"id": "later"})
