"""Payment intents with their charges, and refunds.

What a payment method does follows from its name, as with the provider's own: `pm_card_chargeDeclined` is declined,
`pm_card_authenticationRequired` asks for the customer, every other one pays.
"""

from typing import Any

from cyphera_pipelines.sandbox.serialization import JsonObject
from cyphera_pipelines.sandbox.stripe.errors import ProviderError, no_such
from cyphera_pipelines.sandbox.stripe.writes.kept import new_id
from cyphera_pipelines.sandbox.stripe.writes.parameters import Given, missing
from cyphera_pipelines.sandbox.stripe.writes.work import Work

DECLINED = "pm_card_chargeDeclined"
NEEDS_CUSTOMER = "pm_card_authenticationRequired"
_KNOWN_BY_NAME = ("pm_card_", "pm_1", "card_", "ba_")
CREATE = frozenset({
    "amount", "currency", "customer", "payment_method", "confirm", "off_session", "capture_method", "description",
    "metadata", "automatic_payment_methods", "return_url", "payment_method_types",
})  # fmt: skip
REASONS = ("duplicate", "fraudulent", "requested_by_customer")
GREATEST = 99_999_999
_LET_GO = ("requires_payment_method", "requires_capture", "requires_confirmation", "requires_action", "processing")


def declined() -> ProviderError:
    """The card was declined."""
    return ProviderError(
        402,
        "Your card was declined.",
        type="card_error",
        code="card_declined",
        details={"decline_code": "generic_decline"},
    )


def is_refused(work: Work, method: str | None) -> bool:
    """Whether nothing can be paid with that payment method. Raises ProviderError (400) for one that is not there."""
    if method is None:
        return False
    if work.kept["payment_methods"].number_of(method) is None and not method.startswith(_KNOWN_BY_NAME):
        raise no_such("PaymentMethod", method, "payment_method", 400)
    return bool(_behaves_as(work, method) == DECLINED)


def create(work: Work, given: Given) -> JsonObject:
    """Make a payment intent, and try it at once if it is confirmed."""
    given.only(CREATE)
    amount, currency = given.integer("amount", 1), given.required("currency").lower()
    if amount is None:
        raise missing("amount")
    if amount > GREATEST:
        raise ProviderError(400, "Amount must be no more than $999,999.99", code="amount_too_large", param="amount")
    customer_id, method = given.text("customer"), given.text("payment_method")
    if customer_id is not None:
        work.find("customers", customer_id, "customer")
    does_not_pay = is_refused(work, method)
    intent = _new_intent(work, amount, currency, customer_id, method)
    intent |= {
        "capture_method": given.choice("capture_method", ("automatic", "automatic_async", "manual"))
        or "automatic_async",
        "description": given.text("description"),
        "metadata": given.metadata(),
    }
    if not given.boolean("confirm"):
        return work.make("payment_intents", intent)
    if method is None:
        message = "You cannot confirm this PaymentIntent because it's missing a payment method."
        raise ProviderError(400, message, code="payment_intent_unexpected_state")
    if does_not_pay:
        refusal = declined()
        told = {
            "code": refusal.code,
            "decline_code": "generic_decline",
            "message": refusal.message,
            "type": refusal.type,
        }
        intent |= {"status": "requires_payment_method", "payment_method": None, "last_payment_error": told}
        work.make("payment_intents", intent)
        work.tell("payment_intents", intent, "payment_failed")
        refusal.details["payment_intent"] = intent
        raise refusal
    if _behaves_as(work, method) == NEEDS_CUSTOMER:
        intent |= {"status": "requires_action", "next_action": {"type": "use_stripe_sdk"}}
        return work.make("payment_intents", intent)
    is_held = intent["capture_method"] == "manual"
    charge = _charged(work, intent, is_captured=not is_held)
    intent |= {
        "status": "requires_capture" if is_held else "succeeded",
        "amount_capturable": amount if is_held else 0,
        "amount_received": 0 if is_held else amount,
        "latest_charge": charge["id"],
    }
    work.make("payment_intents", intent)
    work.tell("payment_intents", intent, "amount_capturable_updated" if is_held else "succeeded")
    return intent


def capture(work: Work, given: Given, identifier: str) -> JsonObject:
    """Take the money that is held, or some of it, and let go of the rest."""
    given.only(("amount_to_capture", "metadata"))
    intent = work.find("payment_intents", identifier)
    if intent["status"] != "requires_capture":
        raise _unexpected(intent, "capture")
    amount = given.integer("amount_to_capture", 1) or intent["amount"]
    if amount > intent["amount"]:
        message = "The amount to capture must be less than or equal to the amount that is held."
        raise ProviderError(400, message, code="amount_too_large", param="amount_to_capture")
    charge = work.find("charges", intent["latest_charge"])
    charge |= {"captured": True, "amount_captured": amount, "balance_transaction": _settled(work, charge, amount)}
    work.change("charges", charge, "captured")
    intent |= {"status": "succeeded", "amount_received": amount, "amount_capturable": 0}
    return work.change("payment_intents", intent, "succeeded")


def cancel(work: Work, given: Given, identifier: str) -> JsonObject:
    """Let go of a payment that has not been made."""
    given.only(("cancellation_reason",))
    intent = work.find("payment_intents", identifier)
    if intent["status"] not in _LET_GO:
        raise _unexpected(intent, "cancel")
    if intent["latest_charge"] is not None:
        charge = work.find("charges", intent["latest_charge"])
        charge |= {"refunded": True, "amount_refunded": charge["amount"]}
        work.change("charges", charge, "refunded")
    intent |= {"status": "canceled", "canceled_at": work.now, "amount_capturable": 0}
    intent["cancellation_reason"] = given.text("cancellation_reason")
    return work.change("payment_intents", intent, "canceled")


def refund(work: Work, given: Given) -> JsonObject:
    """Give money back."""
    given.only(("charge", "payment_intent", "amount", "reason", "metadata"))
    charge = _charge_of(work, given)
    left, amount = charge["amount_captured"] - charge["amount_refunded"], given.integer("amount", 1)
    if left == 0:
        message = f"Charge {charge['id']} has already been refunded."
        raise ProviderError(400, message, code="charge_already_refunded")
    if amount is not None and amount > left:
        message = f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})"
        raise ProviderError(400, message, param="amount")
    taken = left if amount is None else amount
    charge["amount_refunded"] += taken
    charge["refunded"] = charge["amount_refunded"] == charge["amount_captured"]
    made: JsonObject = {
        "id": new_id("re_1"),
        "object": "refund",
        "amount": taken,
        "balance_transaction": None,
        "charge": charge["id"],
        "created": work.now,
        "currency": charge["currency"],
        "metadata": given.metadata(),
        "payment_intent": charge["payment_intent"],
        "reason": given.choice("reason", REASONS),
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": "succeeded",
        "transfer_reversal": None,
    }
    work.change("charges", charge, "refunded")
    return work.make("refunds", made)


def paid_at_once(work: Work, amount: int, currency: str, customer_id: str, method: str | None) -> JsonObject:
    """Make a payment that has succeeded, as for an invoice."""
    intent = _new_intent(work, amount, currency, customer_id, method)
    charge = _charged(work, intent, is_captured=True)
    intent |= {"status": "succeeded", "amount_received": amount, "latest_charge": charge["id"]}
    return work.make("payment_intents", intent, "succeeded")


def _new_intent(work: Work, amount: int, currency: str, customer_id: str | None, method: str | None) -> JsonObject:
    identifier = new_id("pi_1")
    return {
        "id": identifier,
        "object": "payment_intent",
        "amount": amount,
        "amount_capturable": 0,
        "amount_received": 0,
        "application": None,
        "automatic_payment_methods": {"allow_redirects": "never", "enabled": True},
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": "automatic",
        "client_secret": f"{identifier}_secret_{new_id('')}",
        "confirmation_method": "automatic",
        "created": work.now,
        "currency": currency,
        "customer": customer_id,
        "description": None,
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": work.livemode,
        "metadata": {},
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": method,
        "payment_method_types": ["card"],
        "processing": None,
        "receipt_email": None,
        "setup_future_usage": None,
        "shipping": None,
        "statement_descriptor": None,
        "status": "requires_payment_method" if method is None else "requires_confirmation",
        "transfer_data": None,
        "transfer_group": None,
    }


def _charged(work: Work, intent: JsonObject, *, is_captured: bool) -> JsonObject:
    amount = intent["amount"]
    charge: JsonObject = {
        "id": new_id("ch_3"),
        "object": "charge",
        "amount": amount,
        "amount_captured": amount if is_captured else 0,
        "amount_refunded": 0,
        "balance_transaction": None,
        "captured": is_captured,
        "created": work.now,
        "currency": intent["currency"],
        "customer": intent["customer"],
        "description": intent["description"],
        "disputed": False,
        "failure_code": None,
        "failure_message": None,
        "livemode": work.livemode,
        "metadata": dict(intent["metadata"]),
        "paid": True,
        "payment_intent": intent["id"],
        "payment_method": intent["payment_method"],
        "refunded": False,
        "status": "succeeded",
    }
    if is_captured:
        charge["balance_transaction"] = _settled(work, charge, amount)
    return work.make("charges", charge, "succeeded")


def _settled(work: Work, charge: JsonObject, amount: int) -> str:
    """The id of the balance transaction that a charge comes to: the provider keeps 2.9 % and 30 minor units."""
    fee = amount * 29 // 1_000 + 30
    settlement = {
        "id": new_id("txn_3"),
        "object": "balance_transaction",
        "amount": amount,
        "created": work.now,
        "currency": charge["currency"],
        "fee": fee,
        "net": amount - fee,
        "source": charge["id"],
        "status": "pending",
        "type": "charge",
    }
    return str(work.make("balance_transactions", settlement, None)["id"])


def _charge_of(work: Work, given: Given) -> JsonObject:
    charge_id, intent_id = given.text("charge"), given.text("payment_intent")
    if intent_id is not None:
        intent = work.find("payment_intents", intent_id, "payment_intent")
        charge_id = intent["latest_charge"]
        if charge_id is None or intent["status"] != "succeeded":
            message = f"This PaymentIntent ({intent_id}) does not have a successful charge to refund."
            raise ProviderError(400, message, param="payment_intent")
    if charge_id is None:
        raise missing("charge")
    return work.find("charges", charge_id, "charge")


def _behaves_as(work: Work, method: str) -> Any:
    """Attached copies of the provider's own test methods behave as those do."""
    number = work.kept["payment_methods"].number_of(method)
    return method if number is None else work.kept["payment_methods"].whole(number).get("copy_of", method)


def _unexpected(intent: JsonObject, deed: str) -> ProviderError:
    message = f"You cannot {deed} this PaymentIntent because it has a status of {intent['status']}."
    return ProviderError(400, message, code="payment_intent_unexpected_state")
