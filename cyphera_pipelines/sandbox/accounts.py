"""The accounts that a sandbox can hold, of whichever provider."""

from pydantic import TypeAdapter

from cyphera_pipelines.sandbox.chargebee.sites import ChargebeeSite
from cyphera_pipelines.sandbox.stripe.accounts import SandboxAccount

Account = SandboxAccount | ChargebeeSite
_ANY: TypeAdapter[Account] = TypeAdapter(Account)


def read_account(text: bytes) -> Account:
    """Return the account that a JSON object describes. Raises pydantic's ValidationError."""
    return _ANY.validate_json(text)
