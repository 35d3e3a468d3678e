from collections import Counter
from fractions import Fraction

from cyphera_pipelines.sandbox import SandboxAccount, SandboxServer, SandboxState
from cyphera_pipelines_tests.sandbox.chargebee.conftest import KEY, SITE, small_site

MONTHS = {"day": Fraction(365, 12), "week": Fraction(52, 12), "month": Fraction(1), "year": Fraction(1, 12)}


def test_all_statuses_occur(server: SandboxServer) -> None:
    subscriptions = Counter(each["status"] for each in server.state.truth(SITE, "subscriptions"))
    assert set(subscriptions) == {"future", "in_trial", "active", "non_renewing", "paused", "cancelled"}
    invoices = Counter(each["status"] for each in server.state.truth(SITE, "invoices"))
    assert set(invoices) == {"paid", "posted", "payment_due", "not_paid", "voided", "pending"}
    models = {each["pricing_model"] for each in server.state.truth(SITE, "item_prices")}
    assert models == {"flat_fee", "per_unit", "tiered", "volume", "stairstep"}


def test_invoices_add_up(server: SandboxServer) -> None:
    for whole in server.state.truth(SITE, "invoices"):
        off = sum(discount["amount"] for discount in whole.get("discounts", ()))
        tax = 0 if whole["price_type"] == "tax_inclusive" else whole["tax"]
        assert whole["sub_total"] == sum(line["amount"] for line in whole["line_items"])
        assert whole["total"] == whole["sub_total"] - off + tax
        settled = whole["amount_paid"] + whole["credits_applied"] + whole["amount_adjusted"]
        assert whole["amount_due"] == (0 if whole["status"] == "voided" else whole["total"] - settled)
        if whole["status"] == "paid":
            assert whole["amount_due"] == 0


def test_consolidated_invoices_name_subscriptions_on_their_lines_only(server: SandboxServer) -> None:
    consolidated = [
        each for each in server.state.truth(SITE, "invoices") if each["recurring"] and "subscription_id" not in each
    ]
    assert consolidated
    assert all("subscription_id" in line for each in consolidated for line in each["line_items"])
    assert any(len({line["subscription_id"] for line in each["line_items"]}) > 1 for each in consolidated)


def test_currencies_without_hundredths_and_with_thousandths(server: SandboxServer) -> None:
    currencies = {each["currency_code"] for each in server.state.truth(SITE, "invoices")}
    assert {"USD", "EUR", "JPY", "KWD"} <= currencies
    yen = next(each for each in server.state.truth(SITE, "item_prices") if each["id"] == "daily-JPY")
    assert yen["price"] == 120
    dinars = next(each for each in server.state.truth(SITE, "item_prices") if each["id"] == "setup-KWD")
    assert dinars["price"] == 1_050


def test_a_site_with_decimals_tells_them_as_text_in_major_units(server: SandboxServer) -> None:
    server.state.put_account(small_site(in_decimal=True))
    prices = list(server.state.truth(SITE, "item_prices"))
    fractions = [each for each in prices if each.get("price_in_decimal") == "0.12345"]
    assert fractions
    assert {each["price"] for each in fractions} == {12}
    tiers = [tier for each in prices if each["pricing_model"] == "volume" for tier in each["tiers"]]
    assert "0.005" in {tier["price_in_decimal"] for tier in tiers if "price_in_decimal" in tier}
    items = [item for each in server.state.truth(SITE, "subscriptions") for item in each["subscription_items"]]
    assert any("unit_price_in_decimal" in item for item in items)


def test_custom_fields_have_names_of_their_own(server: SandboxServer) -> None:
    assert all("cf_segment" in each for each in server.state.truth(SITE, "customers"))
    server.state.put_account(small_site(custom_fields=False))
    assert not any(name.startswith("cf_") for each in server.state.truth(SITE, "customers") for name in each)


def test_what_is_absent_is_left_out_and_not_null(server: SandboxServer) -> None:
    for name in ("customers", "items", "item_prices", "subscriptions", "invoices", "transactions", "coupons"):
        assert all(value is not None for each in server.state.truth(SITE, name) for value in each.values())


def test_a_business_brings_in_the_same_at_either_provider() -> None:
    site = small_site(discount_share=0.0)
    business = {"seed", "customers", "products", "prices", "subscriptions", "invoices"}
    account = SandboxAccount(api_key="sk_test_same", account_id="acct_same", **site.model_dump(include=business))
    state = SandboxState([account, site])
    at_stripe: Counter[str] = Counter()
    for subscription in state.truth("acct_same", "subscriptions"):
        if subscription["status"] not in ("active", "past_due"):
            continue
        for item in subscription["items"]["data"]:
            price = state.object("acct_same", item["price"]["id"])
            recurring = price["recurring"]
            if recurring["usage_type"] == "metered":
                continue
            amount = price["currency_options"][subscription["currency"]]["unit_amount"]
            if price["billing_scheme"] == "tiered":
                amount = price["tiers"][0]["unit_amount"]
            share = MONTHS[recurring["interval"]] / recurring["interval_count"]
            at_stripe[subscription["currency"]] += round(amount * item["quantity"] * share)
    at_chargebee: Counter[str] = Counter()
    for subscription in state.truth(SITE, "subscriptions"):
        at_chargebee[subscription["currency_code"].lower()] += subscription["mrr"]
    assert at_stripe == at_chargebee
    assert set(at_stripe) == {"usd", "eur", "gbp", "jpy"}
    assert KEY in site.keys
