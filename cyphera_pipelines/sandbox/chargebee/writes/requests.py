"""Which deed a request asks for, and its answer."""

from collections.abc import Callable

from cyphera_pipelines.sandbox.chargebee.dataset import SiteDataset
from cyphera_pipelines.sandbox.chargebee.endpoints import Endpoint
from cyphera_pipelines.sandbox.chargebee.errors import ChargebeeError, no_such_path
from cyphera_pipelines.sandbox.chargebee.writes import catalog, customers, invoices, subscriptions
from cyphera_pipelines.sandbox.chargebee.writes.form import Form
from cyphera_pipelines.sandbox.chargebee.writes.idempotency import Answered
from cyphera_pipelines.sandbox.chargebee.writes.work import Work
from cyphera_pipelines.sandbox.serialization import JsonObject, to_bytes

_NEW: dict[tuple[str, str | None], Callable[[Work], JsonObject]] = {
    ("customers", None): customers.create,
    ("item_families", None): catalog.create_family,
    ("items", None): catalog.create_item,
    ("item_prices", None): catalog.create_price,
    ("invoices", "create_for_charge_items_and_charges"): invoices.create,
    ("payment_sources", "create_card"): lambda work: customers.create_payment_source(work, "create_card"),
    ("payment_sources", "create_using_token"): lambda work: customers.create_payment_source(work, "create_using_token"),
}
"""By the resource's path and what follows it."""

_OF_ONE: dict[tuple[str, str | None], Callable[[Work, str], JsonObject]] = {
    ("customers", None): customers.update,
    ("customers", "update_billing_info"): customers.update_billing_info,
    ("customers", "delete"): customers.delete,
    ("customers", "assign_payment_role"): customers.assign_payment_role,
    ("customers", "subscription_for_items"): subscriptions.create,
    ("item_families", None): catalog.update_family,
    ("item_families", "delete"): lambda work, one: catalog.delete(work, "item_families", one),
    ("items", None): catalog.update_item,
    ("items", "delete"): lambda work, one: catalog.delete(work, "items", one),
    ("item_prices", None): catalog.update_price,
    ("item_prices", "delete"): lambda work, one: catalog.delete(work, "item_prices", one),
    ("subscriptions", "update_for_items"): subscriptions.update,
    ("subscriptions", "cancel_for_items"): subscriptions.cancel,
    ("subscriptions", "remove_scheduled_cancellation"): subscriptions.remove_scheduled_cancellation,
    ("subscriptions", "reactivate"): subscriptions.reactivate,
    ("subscriptions", "pause"): subscriptions.pause,
    ("subscriptions", "resume"): subscriptions.resume,
    ("subscriptions", "delete"): subscriptions.delete,
    ("invoices", "close"): invoices.close,
    ("invoices", "collect_payment"): invoices.collect_payment,
    ("invoices", "record_payment"): invoices.record_payment,
    ("invoices", "void"): invoices.void,
    ("invoices", "write_off"): invoices.write_off,
    ("invoices", "refund"): invoices.refund,
    ("invoices", "delete"): invoices.delete,
    ("payment_sources", "delete"): customers.delete_payment_source,
}
"""By the resource's path and what follows the object's id."""


def answer_write(dataset: SiteDataset, endpoint: Endpoint, body: bytes, key: str | None) -> Answered:
    """Do what a request asks for, once under its key. A refusal is an answer too; raises ChargebeeError for a bad key.

    A request that is refused has done nothing: everything is read and checked before anything is kept.
    """
    with dataset.lock:
        request = (endpoint, body)
        return dataset.answered.once(key, request, lambda: _answered(dataset, endpoint, body))


def _answered(dataset: SiteDataset, endpoint: Endpoint, body: bytes) -> Answered:
    try:
        return Answered(200, to_bytes(_do(Work(dataset, Form(body)), endpoint)))
    except ChargebeeError as error:
        return Answered(error.status, to_bytes(error.body()))


def _do(work: Work, endpoint: Endpoint) -> JsonObject:
    if endpoint.object_id is None:
        make = _NEW.get((endpoint.resource, endpoint.action))
        if make is None:
            raise no_such_path()
        return make(work)
    change = _OF_ONE.get((endpoint.resource, endpoint.action))
    if change is None:
        raise no_such_path()
    return change(work, endpoint.object_id)
