"""Payment sources: the cards and bank accounts that customers are charged with."""

from typing import Any

from cyphera_pipelines.providers.base import ExternalAccount, ExternalAccountType
from cyphera_pipelines.providers.chargebee.operations.objects.fields import fields_of


def to_external_account(obj: Any, default_id: str | None = None, *, knows_default: bool = False) -> ExternalAccount:
    """The payment source in Chargebee's object. Raises ProviderError for what is none.

    `default_id` is the customer's primary payment source, where `knows_default`.
    """
    fields = fields_of(obj, "the payment source")
    card, bank = fields.inner("card"), fields.inner("bank_account")
    holder = card or bank
    names = [] if holder is None else [holder.text("first_name"), holder.text("last_name")]
    name = " ".join(each for each in names if each) or (None if bank is None else bank.text("name_on_account"))
    return ExternalAccount(
        id=fields.id(),
        type=ExternalAccountType.PAYMENT_METHOD,
        owner_id=fields.reference("customer_id"),
        status=fields.text("status"),
        is_default=fields.id() == default_id if knows_default else None,
        account_holder_name=name or None,
        bank_name=None if bank is None else bank.text("bank_name"),
        last4=None if holder is None else holder.text("last4"),
        country=fields.text("issuing_country"),
        created=fields.moment("created_at"),
    )
