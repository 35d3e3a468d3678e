"""Customers at Chargebee."""

from typing import Any

from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.providers.base import (
    Address,
    Customer,
    CustomerRequest,
    ListPage,
    ListParameters,
    ObjectKind,
    Operation,
    PreparedWrite,
    Told,
    UnsupportedError,
)
from cyphera_pipelines.providers.chargebee.operations.naming import NEW_ID
from cyphera_pipelines.providers.chargebee.operations.notes import by_absence, by_id, by_state
from cyphera_pipelines.providers.chargebee.operations.objects.customers import TAX_ID, to_customer
from cyphera_pipelines.providers.chargebee.operations.reading import NAME, Reader, checked_id, is_word
from cyphera_pipelines.providers.chargebee.transport import object_path

FILTERS = {"email": is_word("email")}
_KIND = ObjectKind.CUSTOMERS
_PLACE = ("customers", "customer")


class ChargebeeCustomers:
    """See `CustomerOperations`. What is written as metadata takes the place of all that was there."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def create_customer(self, request: CustomerRequest) -> PreparedWrite:
        """See `CustomerOperations`."""
        parameters = {"id": NEW_ID, **_parameters(request, Operation.CREATE), **_billing(request)}
        return PreparedWrite(_KIND, Operation.CREATE, None, "POST", "/customers", parameters, finding=by_id(*_PLACE))

    def get_customer(self, customer_id: str) -> Told[Customer]:
        """See `CustomerOperations`."""
        return self._reader.one(*_PLACE, customer_id, to_customer)

    def update_customer(self, customer_id: str, request: CustomerRequest) -> PreparedWrite:
        """See `CustomerOperations`. Address and tax number have a request of their own, which follows."""
        path = object_path("customers", checked_id(customer_id))
        parts = ((path, _parameters(request, Operation.UPDATE)), (f"{path}{_INFO}", _billing(request)))
        steps = [
            PreparedWrite(_KIND, Operation.UPDATE, customer_id, "POST", at, told, finding=by_state(*_PLACE, **told))
            for at, told in parts
            if told
        ]
        if not steps:
            raise InvalidInputError("Nothing of the customer is to change: name at least one field.")
        return with_steps(steps)

    def delete_customer(self, customer_id: str) -> PreparedWrite:
        """See `CustomerOperations`."""
        path = f"{object_path('customers', checked_id(customer_id))}/delete"
        return PreparedWrite(_KIND, Operation.DELETE, customer_id, "POST", path, finding=by_absence(*_PLACE))

    def list_customers(self, parameters: ListParameters) -> ListPage[Customer]:
        """See `CustomerOperations`."""
        return self._reader.page(_KIND, *_PLACE, parameters, to_customer, axis="created_at", filters=FILTERS)


_INFO = "/update_billing_info"


def with_steps(steps: list[PreparedWrite]) -> PreparedWrite:
    """The first of several requests with the others following it."""
    first, *others = steps
    return PreparedWrite(
        first.kind,
        first.operation,
        first.object_id,
        first.method,
        first.path,
        first.parameters,
        first.secret,
        first.finding,
        tuple(others),
    )


def _parameters(request: CustomerRequest, operation: Operation) -> dict[str, Any]:
    if request.shipping_address is not None:
        raise UnsupportedError(
            NAME, _KIND, operation, "keep a shipping_address of a customer: it is the subscriptions', and"
        )
    told = {
        "email": request.email,
        "phone": request.phone,
        "locale": request.preferred_locale,
        "meta_data": None if request.metadata is None else dict(request.metadata),
    }
    parameters: dict[str, Any] = {name: value for name, value in told.items() if value is not None}
    if request.name is not None:
        first, _, last = request.name.strip().rpartition(" ")
        parameters |= {"first_name": first or last, "last_name": last if first else ""}
    return parameters


def _billing(request: CustomerRequest) -> dict[str, Any]:
    if len(request.tax_ids) > 1 or any(each.type != TAX_ID for each in request.tax_ids):
        raise InvalidInputError(f"Chargebee keeps one tax number of a customer: give one tax id of type {TAX_ID}.")
    parameters = dict[str, Any]()
    if request.tax_ids:
        parameters[TAX_ID] = request.tax_ids[0].value
    if request.billing_address is not None:
        parameters["billing_address"] = _address(request.billing_address)
    return parameters


def _address(address: Address) -> dict[str, str]:
    told = {
        "line1": address.line1,
        "line2": address.line2,
        "city": address.city,
        "state": address.state,
        "zip": address.postal_code,
        "country": address.country,
    }
    return {name: value for name, value in told.items() if value is not None}
