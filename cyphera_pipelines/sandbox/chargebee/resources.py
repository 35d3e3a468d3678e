"""The resources that a site has, what their lists can be asked for, and in which order they come."""

from dataclasses import dataclass, field

STRING, ENUM, NUMBER, TIME, BOOLEAN = "string", "enum", "number", "time", "boolean"
OPERATORS: dict[str, frozenset[str]] = {
    STRING: frozenset({"is", "is_not", "starts_with", "in", "not_in", "is_present"}),
    ENUM: frozenset({"is", "is_not", "in", "not_in", "is_present"}),
    NUMBER: frozenset({"is", "is_not", "lt", "lte", "gt", "gte", "between", "is_present"}),
    TIME: frozenset({"after", "before", "on", "between", "is_present"}),
    BOOLEAN: frozenset({"is", "is_present"}),
}


@dataclass(frozen=True)
class Resource:
    """One kind of object. `singular` is the key under which lists and answers hold it, `plural` its path.

    `filters` by field and kind; `sorts` are the fields that `sort_by` takes; `order` is the field by which a list comes
    newest first unless it is asked otherwise. `hides` says which objects a list leaves out: `deleted` ones unless
    `include_deleted` asks for them, or those of `status` deleted unless that status is asked for.
    """

    singular: str
    plural: str
    filters: dict[str, str]
    sorts: tuple[str, ...] = ()
    order: str = "created_at"
    hides: str | None = None
    takes_include_deleted: bool = False
    needs_items: bool = False
    also: dict[str, str] = field(default_factory=dict)
    """Parameters beside filters that its list takes, with the kind of their values."""


def _fields(kind: str, names: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), kind)


RESOURCES: dict[str, Resource] = {
    each.plural: each
    for each in (
        Resource(
            "customer",
            "customers",
            _fields(STRING, "id first_name last_name email company phone business_entity_id")
            | _fields(ENUM, "auto_collection taxability offline_payment_method channel")
            | _fields(TIME, "created_at updated_at")
            | _fields(BOOLEAN, "auto_close_invoices"),
            sorts=("created_at", "updated_at"),
            hides="deleted",
            takes_include_deleted=True,
        ),
        Resource(
            "item_family",
            "item_families",
            _fields(STRING, "id name business_entity_id") | _fields(TIME, "updated_at"),
            order="updated_at",
            hides="status",
            takes_include_deleted=True,
            needs_items=True,
        ),
        Resource(
            "item",
            "items",
            _fields(STRING, "id item_family_id name business_entity_id")
            | _fields(ENUM, "type item_applicability status usage_calculation channel")
            | _fields(BOOLEAN, "is_giftable enabled_for_checkout enabled_in_portal metered")
            | _fields(TIME, "updated_at"),
            sorts=("name", "id", "updated_at"),
            order="updated_at",
            hides="status",
            takes_include_deleted=True,
            needs_items=True,
        ),
        Resource(
            "item_price",
            "item_prices",
            _fields(STRING, "id name item_id item_family_id currency_code price_variant_id business_entity_id")
            | _fields(ENUM, "pricing_model item_type trial_period_unit status period_unit channel")
            | _fields(NUMBER, "trial_period period")
            | _fields(TIME, "updated_at"),
            sorts=("name", "id", "updated_at"),
            order="updated_at",
            hides="status",
            takes_include_deleted=True,
            needs_items=True,
        ),
        Resource(
            "subscription",
            "subscriptions",
            _fields(STRING, "id customer_id plan_id item_id item_price_id cancel_reason_code business_entity_id")
            | _fields(ENUM, "status cancel_reason offline_payment_method channel")
            | _fields(NUMBER, "remaining_billing_cycles")
            | _fields(TIME, "created_at activated_at next_billing_at cancelled_at updated_at")
            | _fields(BOOLEAN, "has_scheduled_changes auto_close_invoices override_relationship"),
            sorts=("created_at", "updated_at"),
            hides="deleted",
            takes_include_deleted=True,
        ),
        Resource(
            "invoice",
            "invoices",
            _fields(STRING, "id subscription_id customer_id payment_owner void_reason_code")
            | _fields(BOOLEAN, "recurring")
            | _fields(ENUM, "status price_type dunning_status channel")
            | _fields(TIME, "date paid_at updated_at voided_at")
            | _fields(NUMBER, "total amount_paid amount_adjusted credits_applied amount_due"),
            sorts=("date", "updated_at"),
            order="date",
            hides="deleted",
            takes_include_deleted=True,
            also={"line_items_limit": NUMBER},
        ),
        Resource(
            "coupon",
            "coupons",
            _fields(STRING, "id name currency_code")
            | _fields(ENUM, "discount_type duration_type status apply_on")
            | _fields(TIME, "created_at updated_at"),
            sorts=("created_at",),
            hides="status",
        ),
        Resource(
            "credit_note",
            "credit_notes",
            _fields(STRING, "id customer_id subscription_id reference_invoice_id")
            | _fields(ENUM, "type reason_code status")
            | _fields(TIME, "date updated_at voided_at")
            | _fields(NUMBER, "total"),
            sorts=("date",),
            order="date",
            hides="deleted",
            takes_include_deleted=True,
        ),
        Resource(
            "transaction",
            "transactions",
            _fields(STRING, "id customer_id subscription_id payment_source_id id_at_gateway reference_number")
            | _fields(ENUM, "payment_method gateway type status")
            | _fields(TIME, "date updated_at")
            | _fields(NUMBER, "amount"),
            sorts=("date", "updated_at"),
            order="date",
            hides="deleted",
            takes_include_deleted=True,
        ),
        Resource(
            "payment_source",
            "payment_sources",
            _fields(STRING, "id customer_id") | _fields(ENUM, "type status") | _fields(TIME, "created_at updated_at"),
            sorts=("created_at", "updated_at"),
            hides="deleted",
            takes_include_deleted=True,
        ),
        Resource(
            "event",
            "events",
            _fields(STRING, "id") | _fields(ENUM, "webhook_status event_type source") | _fields(TIME, "occurred_at"),
            sorts=("occurred_at",),
            order="occurred_at",
            also={"start_time": TIME, "end_time": TIME},
        ),
    )
}
"""By path. Which sort fields and filters there are follows the documentation of each list."""
SINGULARS: dict[str, Resource] = {each.singular: each for each in RESOURCES.values()}
