"""Customers made, changed and deleted, and what they pay with."""

from cyphera_pipelines.sandbox.chargebee.answers import beside_of
from cyphera_pipelines.sandbox.chargebee.errors import missing, wrong_value
from cyphera_pipelines.sandbox.chargebee.writes.form import changed
from cyphera_pipelines.sandbox.chargebee.writes.work import Work
from cyphera_pipelines.sandbox.serialization import JsonObject

_TEXTS = ("first_name", "last_name", "email", "phone", "company", "locale", "invoice_notes", "business_entity_id")
_ADDRESS = (
    "first_name", "last_name", "email", "company", "phone", "line1", "line2", "line3", "city", "state_code", "state",
    "zip", "country", "validation_status",
)  # fmt: skip
_LONGEST_ID = 50


def create(work: Work) -> JsonObject:
    """Make a customer."""
    form = work.form
    identifier = form.text("id") or work.new_id()
    if len(identifier) > _LONGEST_ID:
        raise wrong_value("id", f"cannot be longer than {_LONGEST_ID} characters")
    base: JsonObject = {
        "id": identifier,
        "auto_collection": "on",
        "net_term_days": 0,
        "allow_direct_debit": False,
        "taxability": "taxable",
        "created_at": work.now,
        "pii_cleared": "active",
        "channel": "web",
        "card_status": "no_card",
        "promotional_credits": 0,
        "refundable_credits": 0,
        "excess_payments": 0,
        "unbilled_charges": 0,
        "preferred_currency_code": work.site.default_currency.upper(),
        "deleted": False,
        "object": "customer",
    }
    given = _given(work) | _billing(work)
    form.end()
    whole = work.add("customers", changed(base, given))
    work.tell("customer_created", ("customers", whole))
    return _answer(work, whole)


def update(work: Work, customer_id: str) -> JsonObject:
    """Change what is given; the address has a request of its own."""
    before = work.expect("customers", customer_id)
    given = _given(work)
    work.form.end()
    return _changed(work, changed(before, given))


def update_billing_info(work: Work, customer_id: str) -> JsonObject:
    """Change the address."""
    before = work.expect("customers", customer_id)
    given = _billing(work)
    work.form.end()
    return _changed(work, changed(before, given))


def delete(work: Work, customer_id: str) -> JsonObject:
    """Delete a customer with its subscriptions, invoices and credit notes."""
    before = work.expect("customers", customer_id)
    work.form.boolean("delete_payment_method")
    work.form.end()
    whole = work.put("customers", {**before, "deleted": True})
    for name, event_type in (
        ("subscriptions", "subscription_deleted"),
        ("invoices", "invoice_deleted"),
        ("credit_notes", "credit_note_deleted"),
    ):
        for each in work.of_customer(name, customer_id):
            work.tell(event_type, (name, work.put(name, {**each, "deleted": True})))
    for source in work.of_customer("payment_sources", customer_id):
        work.put("payment_sources", {**source, "deleted": True})
    work.tell("customer_deleted", ("customers", whole))
    return _answer(work, whole)


def assign_payment_role(work: Work, customer_id: str) -> JsonObject:
    """Charge a payment source before others, or after."""
    before = work.expect("customers", customer_id)
    source_id, role = work.form.need("payment_source_id"), work.form.choice("role", ("primary", "backup", "none"))
    work.form.end()
    if role is None:
        raise missing("role")
    source = work.expect("payment_sources", source_id)
    if source["customer_id"] != customer_id:
        raise wrong_value("payment_source_id", "is another customer's")
    place = {"primary": "primary_payment_source_id", "backup": "backup_payment_source_id"}
    kept = {field: value for field, value in before.items() if field not in place.values() or value != source_id}
    if role in place:
        kept |= {place[role]: source_id, "card_status": "valid"}
    answer = _changed(work, kept)
    return {**answer, "payment_source": source}


def create_payment_source(work: Work, kind: str) -> JsonObject:
    """Keep a card (`create_card`), or what a token stands for (`create_using_token`)."""
    form = work.form
    customer = work.expect("customers", form.need("customer_id"))
    is_primary = form.boolean("replace_primary_payment_source")
    identifier = work.new_id("pm_")
    source: JsonObject = {
        "id": identifier,
        "customer_id": customer["id"],
        "type": "card",
        "reference_id": f"tok_{identifier}",
        "status": "valid",
        "gateway": "chargebee",
        "gateway_account_id": form.text("gateway_account_id") or "gw_cyphera_sandbox",
        "created_at": work.now,
        "deleted": False,
        "object": "payment_source",
    }
    if kind == "create_card":
        given = form.group("card", ("number", "expiry_month", "expiry_year", "cvv", "first_name", "last_name")) or {}
        for name in ("number", "expiry_month", "expiry_year"):
            if name not in given:
                raise missing(f"card[{name}]")
            if not given[name].isdecimal():
                raise wrong_value(f"card[{name}]", "should be a number")
        source["card"] = {
            "iin": given["number"][:6],
            "last4": given["number"][-4:],
            "brand": "visa",
            "funding_type": "credit",
            "expiry_month": int(given["expiry_month"]),
            "expiry_year": int(given["expiry_year"]),
            "object": "card",
        }
    else:
        source["type"] = form.need("type")
        source["reference_id"] = form.need("token_id")
    form.end()
    whole = work.add("payment_sources", source)
    if is_primary or "primary_payment_source_id" not in customer:
        customer = work.put("customers", {**customer, "primary_payment_source_id": identifier, "card_status": "valid"})
    work.objects.tell("payment_source_added", [("customers", customer), ("payment_sources", whole)])
    return {"customer": customer, "payment_source": whole}


def delete_payment_source(work: Work, source_id: str) -> JsonObject:
    """Forget a payment source."""
    source = work.expect("payment_sources", source_id)
    work.form.end()
    customer = work.expect("customers", source["customer_id"])
    whole = work.put("payment_sources", {**source, "deleted": True})
    if customer.get("primary_payment_source_id") == source_id:
        without = {field: value for field, value in customer.items() if field != "primary_payment_source_id"}
        customer = work.put("customers", {**without, "card_status": "no_card"})
    work.objects.tell("payment_source_deleted", [("customers", customer), ("payment_sources", whole)])
    return {"customer": customer, "payment_source": whole}


def _given(work: Work) -> JsonObject:
    form = work.form
    given = form.fields(_TEXTS) | form.custom_fields()
    for name, choices in (("auto_collection", ("on", "off")), ("taxability", ("taxable", "exempt"))):
        if form.has(name):
            given[name] = form.choice(name, choices)
    if form.has("net_term_days"):
        given["net_term_days"] = form.integer("net_term_days")
    if form.has("preferred_currency_code"):
        given["preferred_currency_code"] = form.text("preferred_currency_code")
    if form.has("allow_direct_debit"):
        given["allow_direct_debit"] = form.boolean("allow_direct_debit")
    if form.has("meta_data"):
        given["meta_data"] = form.json_object("meta_data")
    email = given.get("email")
    if email is not None and "@" not in email:
        raise wrong_value("email", "should be a valid email address")
    return given


def _billing(work: Work) -> JsonObject:
    given: JsonObject = {}
    if work.form.has("vat_number"):
        given["vat_number"] = work.form.text("vat_number")
    address = work.form.group("billing_address", _ADDRESS)
    if address is not None:
        given["billing_address"] = {"validation_status": "not_validated", **address, "object": "billing_address"}
    return given


def _changed(work: Work, after: JsonObject) -> JsonObject:
    whole = work.put("customers", after)
    work.tell("customer_changed", ("customers", whole))
    return _answer(work, whole)


def _answer(work: Work, whole: JsonObject) -> JsonObject:
    return {"customer": whole, **beside_of(work.dataset, whole)}
