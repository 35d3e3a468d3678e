"""Payment sources at Chargebee: the cards and bank accounts that customers are charged with."""

from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.providers.base import (
    ExternalAccount,
    ExternalAccountRequest,
    ListPage,
    ListParameters,
    NewExternalAccount,
    ObjectGoneError,
    ObjectKind,
    Operation,
    PreparedWrite,
    Told,
    UnsupportedError,
)
from cyphera_pipelines.providers.chargebee.operations.notes import by_absence, by_state
from cyphera_pipelines.providers.chargebee.operations.objects.external_accounts import to_external_account
from cyphera_pipelines.providers.chargebee.operations.reading import NAME, Reader, checked_id
from cyphera_pipelines.providers.chargebee.transport import object_path

_KIND = ObjectKind.EXTERNAL_ACCOUNTS
_PLACE = ("payment_sources", "payment_source")


class ChargebeeExternalAccounts:
    """See `ExternalAccountOperations`. Every one is a customer's, to be charged."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def create_external_account(self, request: NewExternalAccount) -> PreparedWrite:
        """See `ExternalAccountOperations`."""
        raise UnsupportedError(NAME, _KIND, Operation.CREATE, f"take in a {request.type.value}")

    def get_external_account(self, account_id: str, owner_id: str | None) -> Told[ExternalAccount]:
        """See `ExternalAccountOperations`."""
        told = self._reader.one(*_PLACE, account_id, to_external_account)
        if owner_id is not None and told.item.owner_id != owner_id:
            raise ObjectGoneError(f"{account_id} is no payment source of {owner_id}.")
        default_id = None if told.item.owner_id is None else self._default_of(told.item.owner_id)
        return Told(to_external_account(told.raw, default_id, knows_default=True), told.raw)

    def update_external_account(
        self,
        account_id: str,
        owner_id: str | None,  # noqa: ARG002
        request: ExternalAccountRequest,  # noqa: ARG002
    ) -> PreparedWrite:
        """See `ExternalAccountOperations`."""
        raise UnsupportedError(NAME, _KIND, Operation.UPDATE, f"change payment source {account_id}")

    def delete_external_account(self, account_id: str, owner_id: str | None) -> PreparedWrite:  # noqa: ARG002
        """See `ExternalAccountOperations`."""
        path = f"{object_path('payment_sources', checked_id(account_id))}/delete"
        return PreparedWrite(_KIND, Operation.DELETE, account_id, "POST", path, finding=by_absence(*_PLACE))

    def list_external_accounts(self, parameters: ListParameters, owner_id: str | None) -> ListPage[ExternalAccount]:
        """See `ExternalAccountOperations`."""
        customer_id = _owner(owner_id)
        default_id = self._default_of(customer_id)
        return self._reader.page(
            _KIND,
            *_PLACE,
            parameters,
            lambda obj: to_external_account(obj, default_id, knows_default=True),
            axis="created_at",
            filters={},
            fixed={"customer_id[is]": customer_id},
        )

    def set_default_external_account(self, account_id: str, owner_id: str | None) -> PreparedWrite:
        """See `ExternalAccountOperations`: it becomes the customer's primary payment source."""
        customer_id, parameters = _owner(owner_id), {"payment_source_id": checked_id(account_id), "role": "primary"}
        path = f"{object_path('customers', customer_id)}/assign_payment_role"
        note = by_state("customers", "customer", primary_payment_source_id=account_id) | {"owner": customer_id}
        return PreparedWrite(_KIND, Operation.SET_DEFAULT, account_id, "POST", path, parameters, finding=note)

    def _default_of(self, customer_id: str) -> str | None:
        default_id = self._reader.raw("customers", "customer", customer_id).get("primary_payment_source_id")
        return default_id if isinstance(default_id, str) else None


def _owner(owner_id: str | None) -> str:
    if owner_id is None:
        raise InvalidInputError("Payment sources are customers': give the customer's id as owner_id.")
    return checked_id(owner_id)
