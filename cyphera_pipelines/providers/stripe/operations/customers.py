"""Customers at Stripe."""

from collections.abc import Mapping
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
)
from cyphera_pipelines.providers.stripe.operations.listing import Reader, checked_id, path_of
from cyphera_pipelines.providers.stripe.operations.mark import checked_metadata, marked
from cyphera_pipelines.providers.stripe.operations.notes import by_absence, by_mark, by_state, told
from cyphera_pipelines.providers.stripe.operations.objects.customers import to_customer

FILTERS = {"email": "email"}
_EXPAND = ("tax_ids",)
_KIND = ObjectKind.CUSTOMERS


class StripeCustomers:
    """See `CustomerOperations`."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def create_customer(self, request: CustomerRequest) -> PreparedWrite:
        """See `CustomerOperations`."""
        parameters = _parameters(request)
        parameters |= {"metadata": marked(request.metadata or {}), "expand": list(_EXPAND)}
        if request.tax_ids:
            parameters["tax_id_data"] = [{"type": each.type, "value": each.value} for each in request.tax_ids]
        path = path_of("customers")
        return PreparedWrite(
            _KIND, Operation.CREATE, None, "POST", path, parameters, finding=by_mark(path, expand=_EXPAND)
        )

    def get_customer(self, customer_id: str) -> Told[Customer]:
        """See `CustomerOperations`."""
        return self._reader.one("customers", customer_id, to_customer, _EXPAND)

    def update_customer(self, customer_id: str, request: CustomerRequest) -> PreparedWrite:
        """See `CustomerOperations`."""
        if request.tax_ids:
            raise InvalidInputError("tax_ids are taken as a customer is made, not as one is changed. Leave them out.")
        parameters = _parameters(request)
        conditions = told({name: value for name, value in parameters.items() if name != "preferred_locales"})
        if request.preferred_locale is not None:
            conditions.append({"at": ["preferred_locales", "0"], "one_of": [request.preferred_locale]})
        if request.metadata is not None:
            parameters["metadata"] = checked_metadata(request.metadata)
            conditions += told({"metadata": parameters["metadata"]})
        parameters["expand"] = list(_EXPAND)
        path = path_of("customers", checked_id(customer_id))
        note = by_state(path, conditions, ["customer.updated"], expand=_EXPAND)
        return PreparedWrite(_KIND, Operation.UPDATE, customer_id, "POST", path, parameters, finding=note)

    def delete_customer(self, customer_id: str) -> PreparedWrite:
        """See `CustomerOperations`."""
        path = path_of("customers", checked_id(customer_id))
        return PreparedWrite(_KIND, Operation.DELETE, customer_id, "DELETE", path, finding=by_absence(path))

    def list_customers(self, parameters: ListParameters) -> ListPage[Customer]:
        """See `CustomerOperations`."""
        path = path_of("customers")
        return self._reader.page(path, "customers", parameters, to_customer, filters=FILTERS, expand=_EXPAND)


def _parameters(request: CustomerRequest) -> dict[str, Any]:
    parameters = dict[str, Any]()
    for name, value in (("email", request.email), ("name", request.name), ("phone", request.phone)):
        if value is not None:
            parameters[name] = value
    if request.billing_address is not None:
        parameters["address"] = _address(request.billing_address)
    if request.shipping_address is not None:
        # Stripe asks for a name beside the address, and takes none from the customer.
        if not request.name:
            raise InvalidInputError("A shipping_address needs the customer's name beside it. Give `name` too.")
        parameters["shipping"] = {"name": request.name, "address": _address(request.shipping_address)}
    if request.preferred_locale is not None:
        parameters["preferred_locales"] = [request.preferred_locale]
    return parameters


def _address(address: Address) -> Mapping[str, str]:
    named = {
        "line1": address.line1,
        "line2": address.line2,
        "city": address.city,
        "state": address.state,
        "postal_code": address.postal_code,
        "country": address.country,
    }
    return {name: value for name, value in named.items() if value is not None}
