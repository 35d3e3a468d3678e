"""What a stranger reads: every field is described, and every response has an example that is one."""

from typing import Any

import pytest
from pydantic import BaseModel

from cyphera_pipelines.api.app import describe_api
from cyphera_pipelines.api.schemas import examples
from cyphera_pipelines.api.schemas.accounts import AccountOut
from cyphera_pipelines.api.schemas.audit import AuditEntryOut
from cyphera_pipelines.api.schemas.configurations import ConfigurationOut, ConnectionResult
from cyphera_pipelines.api.schemas.objects import examples as of_objects
from cyphera_pipelines.api.schemas.objects.catalog import PriceOut, ProductOut
from cyphera_pipelines.api.schemas.objects.customers import CustomerOut
from cyphera_pipelines.api.schemas.objects.external_accounts import ExternalAccountOut
from cyphera_pipelines.api.schemas.objects.invoices import InvoiceOut
from cyphera_pipelines.api.schemas.objects.payments import TransactionOut
from cyphera_pipelines.api.schemas.objects.subscriptions import SubscriptionOut
from cyphera_pipelines.api.schemas.objects.writes import DryRunOut, WriteOut
from cyphera_pipelines.api.schemas.providers import ProviderOut
from cyphera_pipelines.api.schemas.purges import PurgeOut
from cyphera_pipelines.api.schemas.sessions import EventOut, SessionOut, SessionStarted, SessionStateNow


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return describe_api().openapi()


def test_every_field_and_parameter_is_described(document: dict[str, Any]) -> None:
    silent = [
        f"{name}.{field}"
        for name, schema in document["components"]["schemas"].items()
        for field, described in schema.get("properties", {}).items()
        if "description" not in described and "$ref" not in described
    ]
    silent += [
        f"{path} {parameter['name']}"
        for path, operations in document["paths"].items()
        for operation in operations.values()
        for parameter in operation.get("parameters", ())
        if "description" not in parameter
    ]
    assert silent == []


def test_every_operation_says_what_it_does(document: dict[str, Any]) -> None:
    operations = [operation for item in document["paths"].values() for operation in item.values()]
    assert all(operation["summary"] and operation["description"] for operation in operations)


@pytest.mark.parametrize(
    ("model", "example"),
    [
        (ConfigurationOut, examples.CONFIGURATION),
        (ConnectionResult, examples.CONNECTION),
        (AccountOut, examples.ACCOUNT),
        (ProviderOut, examples.PROVIDER),
        (SessionStarted, examples.SESSION_STARTED),
        (SessionStateNow, examples.STATE_NOW),
        (SessionOut, examples.SESSION),
        (EventOut, examples.EVENT),
        (AuditEntryOut, examples.AUDIT_ENTRY),
        (PurgeOut, examples.PURGE),
        (CustomerOut, of_objects.CUSTOMER),
        (ProductOut, of_objects.PRODUCT),
        (PriceOut, of_objects.PRICE),
        (SubscriptionOut, of_objects.SUBSCRIPTION),
        (InvoiceOut, of_objects.INVOICE),
        (TransactionOut, of_objects.TRANSACTION),
        (ExternalAccountOut, of_objects.EXTERNAL_ACCOUNT),
        (WriteOut, of_objects.WRITE),
        (DryRunOut, of_objects.DRY_RUN),
    ],
)
def test_examples_are_what_is_answered(
    model: type[BaseModel], example: dict[str, Any], document: dict[str, Any]
) -> None:
    (shown,) = document["components"]["schemas"][model.__name__]["examples"]
    assert shown == _without_nulls(example)
    assert model.model_validate(example).model_dump(mode="json").keys() == example.keys()


def _without_nulls(value: Any) -> Any:
    """The framework leaves them out of the document."""
    if isinstance(value, dict):
        return {name: _without_nulls(inner) for name, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_without_nulls(inner) for inner in value]
    return value
