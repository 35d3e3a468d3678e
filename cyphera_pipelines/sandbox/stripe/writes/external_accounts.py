"""Bank accounts and cards: of the account itself, and of customers."""

from cyphera_pipelines.sandbox.serialization import JsonObject
from cyphera_pipelines.sandbox.stripe.errors import ProviderError, no_such
from cyphera_pipelines.sandbox.stripe.writes.kept import new_id
from cyphera_pipelines.sandbox.stripe.writes.parameters import Given
from cyphera_pipelines.sandbox.stripe.writes.work import Work

BANK = ("object", "country", "currency", "account_holder_name", "account_holder_type", "account_number",
        "routing_number")  # fmt: skip
_TEST_METHOD = "pm_card_"


def add_to_account(work: Work, given: Given, account_id: str) -> JsonObject:
    """Make a bank account or card known, to be paid out to."""
    given.only(("external_account", "metadata", "default_for_currency"))
    made = _made(given, "external_account") | {"account": account_id}
    others = work.every("external_accounts", currency=made["currency"])
    made["default_for_currency"] = not others or given.boolean("default_for_currency") is True
    return work.make("external_accounts", made)


def change_of_account(work: Work, given: Given, identifier: str) -> JsonObject:
    """Change one of the account's, or make it the one for its currency."""
    given.only(("account_holder_name", "name", "metadata", "default_for_currency"))
    account = work.find("external_accounts", identifier)
    if given.boolean("default_for_currency"):
        for other in work.every("external_accounts", currency=account["currency"]):
            if other["id"] != identifier and other["default_for_currency"]:
                work.change("external_accounts", other | {"default_for_currency": False}, None)
        account["default_for_currency"] = True
    return work.change("external_accounts", _applied(account, given))


def remove_from_account(work: Work, given: Given, identifier: str) -> JsonObject:
    """Forget one of the account's: not the one that is paid out to, while there are others."""
    given.only(())
    account = work.find("external_accounts", identifier)
    others = work.every("external_accounts", currency=account["currency"])
    if account["default_for_currency"] and len(others) > 1:
        raise ProviderError(400, "You cannot delete the default external account for your default currency.")
    return work.remove("external_accounts", account)


def add_to_customer(work: Work, given: Given, customer_id: str) -> JsonObject:
    """Make a bank account or card known, to be charged."""
    given.only(("source", "metadata"))
    customer = work.find("customers", customer_id)
    made = work.make("sources", _made(given, "source") | {"customer": customer_id, "status": "new"})
    if customer["default_source"] is None:
        work.change("customers", customer | {"default_source": made["id"]})
    return made


def change_of_customer(work: Work, given: Given, identifier: str) -> JsonObject:
    """Change one of a customer's."""
    given.only(("account_holder_name", "name", "metadata"))
    return work.change("sources", _applied(work.find("sources", identifier), given))


def remove_from_customer(work: Work, given: Given, identifier: str) -> JsonObject:
    """Forget one of a customer's."""
    given.only(())
    source = work.find("sources", identifier)
    customer = work.find("customers", source["customer"], "customer")
    if customer["default_source"] == identifier:
        work.change("customers", customer | {"default_source": None})
    return work.remove("sources", source)


def attach(work: Work, given: Given, identifier: str) -> JsonObject:
    """Let a customer be charged by a payment method; the provider's own test methods are copied."""
    given.only(("customer",))
    customer_id = given.required("customer")
    work.find("customers", customer_id, "customer")
    if identifier.startswith(_TEST_METHOD):
        method = new_method(work, identifier)
        return work.make("payment_methods", method | {"customer": customer_id}, "attached")
    method = work.find("payment_methods", identifier)
    if method["customer"] is not None:
        raise ProviderError(400, "The payment method you provided has already been attached to a customer.")
    return work.change("payment_methods", method | {"customer": customer_id}, "attached")


def change_method(work: Work, given: Given, identifier: str) -> JsonObject:
    """Change a payment method."""
    given.only(("billing_details", "metadata"))
    method, billing = work.find("payment_methods", identifier), given.inner("billing_details")
    if billing is not None and "name" in billing:
        method["billing_details"] = {**method["billing_details"], "name": billing.text("name")}
    method["metadata"] = given.metadata(method["metadata"])
    return work.change("payment_methods", method)


def detach(work: Work, given: Given, identifier: str) -> JsonObject:
    """Take a payment method away from its customer."""
    given.only(())
    method = work.find("payment_methods", identifier)
    if method["customer"] is None:
        message = "The payment method you provided is not attached to a customer so detachment is impossible."
        raise ProviderError(400, message)
    return work.change("payment_methods", method | {"customer": None}, "detached")


def new_method(work: Work, copy_of: str) -> JsonObject:
    """Return a card of nobody's."""
    return {
        "id": new_id("pm_1"),
        "object": "payment_method",
        "billing_details": {"address": None, "email": None, "name": None, "phone": None},
        "card": {"brand": "visa", "country": "US", "exp_month": 8, "exp_year": 2034, "last4": "4242"},
        "copy_of": copy_of,
        "created": work.now,
        "customer": None,
        "livemode": work.livemode,
        "metadata": {},
        "type": "card",
    }


def _made(given: Given, name: str) -> JsonObject:
    """What a token stands for, or what was given by its number."""
    bank = given.inner(name)
    token = None if bank is not None else given.required(name)
    if token is not None and not token.startswith(("btok_", "tok_", "src_")):
        raise no_such("token", token, name, 400)
    if token is not None and token.startswith("tok_"):
        return {
            "id": new_id("card_1"),
            "object": "card",
            "brand": "Visa",
            "country": "US",
            "currency": "usd",
            "exp_month": 8,
            "exp_year": 2034,
            "last4": "4242",
            "metadata": given.metadata(),
            "name": None,
        }
    if bank is not None:
        bank.only(BANK)
    number = "000123456789" if bank is None else bank.required("account_number")
    return {
        "id": new_id("ba_1"),
        "object": "bank_account",
        "account_holder_name": None if bank is None else bank.text("account_holder_name"),
        "account_holder_type": None,
        "bank_name": "STRIPE TEST BANK",
        "country": "US" if bank is None else bank.required("country"),
        "currency": "usd" if bank is None else bank.required("currency").lower(),
        "fingerprint": new_id("")[:16],
        "last4": number[-4:],
        "metadata": given.metadata(),
        "routing_number": "110000000" if bank is None else bank.text("routing_number"),
        "status": "new",
    }


def _applied(account: JsonObject, given: Given) -> JsonObject:
    for name in ("account_holder_name", "name"):
        if name in given:
            account[name] = given.text(name)
    account["metadata"] = given.metadata(account["metadata"])
    return account
