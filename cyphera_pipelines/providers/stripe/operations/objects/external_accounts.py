"""Bank accounts and cards: those that are paid out to, and those that are charged."""

from typing import Any

from cyphera_pipelines.providers.base import ExternalAccount, ExternalAccountType
from cyphera_pipelines.providers.stripe.operations.objects.fields import Fields

_BANKS = ("us_bank_account", "sepa_debit", "au_becs_debit", "acss_debit", "bacs_debit", "nz_bank_account")


def to_external_account(obj: Any, owner_id: str | None, default_id: str | None = None) -> ExternalAccount:
    """The bank account or card in Stripe's object. `default_id` is the one that its owner is charged by, if known."""
    fields = Fields(obj, "the external account")
    kind = fields.text("object")
    if kind == "payment_method":
        return _to_payment_method(fields, owner_id, default_id)
    customer_id, account_id = fields.reference("customer"), fields.reference("account")
    is_charged = customer_id is not None or (account_id is None and (owner_id or "").startswith("cus_"))
    payout = ExternalAccountType.PAYOUT_CARD if kind == "card" else ExternalAccountType.PAYOUT_BANK_ACCOUNT
    own_id = fields.id()
    return ExternalAccount(
        id=own_id,
        type=ExternalAccountType.PAYMENT_METHOD if is_charged else payout,
        owner_id=customer_id or account_id or owner_id,
        status=fields.text("status"),
        is_default=_is_default(own_id, default_id) if is_charged else fields.boolean("default_for_currency"),
        account_holder_name=fields.text("account_holder_name") or fields.text("name"),
        bank_name=fields.text("bank_name"),
        last4=fields.text("last4"),
        routing_number=fields.text("routing_number"),
        country=fields.text("country"),
        currency=fields.currency(),
        created=fields.moment("created"),
        metadata=fields.metadata(),
    )


def _to_payment_method(fields: Fields, owner_id: str | None, default_id: str | None) -> ExternalAccount:
    kind, billing, own_id = fields.required_text("type"), fields.inner("billing_details"), fields.id()
    details = fields.inner(kind)
    told = details if details is not None and kind in ("card", *_BANKS) else None
    return ExternalAccount(
        id=own_id,
        type=ExternalAccountType.PAYMENT_METHOD,
        owner_id=fields.reference("customer") or owner_id,
        is_default=_is_default(own_id, default_id),
        account_holder_name=None if billing is None else billing.text("name"),
        bank_name=None if told is None else told.text("bank_name"),
        last4=None if told is None else told.text("last4"),
        routing_number=None if told is None else told.text("routing_number"),
        country=None if told is None else told.text("country"),
        created=fields.moment("created"),
        metadata=fields.metadata(),
    )


def _is_default(own_id: str, default_id: str | None) -> bool | None:
    return None if default_id is None else own_id == default_id
