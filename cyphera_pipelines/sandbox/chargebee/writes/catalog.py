"""Families, items and prices made, changed and deleted."""

from cyphera_pipelines.sandbox.chargebee.errors import duplicate, missing, wrong_state, wrong_value
from cyphera_pipelines.sandbox.chargebee.writes.form import Form, changed
from cyphera_pipelines.sandbox.chargebee.writes.work import Work
from cyphera_pipelines.sandbox.serialization import JsonObject

_MODELS = ("flat_fee", "per_unit", "tiered", "volume", "stairstep")
_TIER = ("starting_unit", "ending_unit", "price", "starting_unit_in_decimal", "ending_unit_in_decimal",
         "price_in_decimal", "pricing_type", "package_size")  # fmt: skip
_WHOLE = ("starting_unit", "ending_unit", "price", "package_size")
_ITEM_FLAGS = ("is_shippable", "is_giftable", "enabled_for_checkout", "enabled_in_portal", "included_in_mrr")


def create_family(work: Work) -> JsonObject:
    """Make a family of items."""
    form = work.form
    family = {
        "id": form.need("id"),
        "name": form.need("name"),
        "status": "active",
        "channel": "web",
        "deleted": False,
        "object": "item_family",
        **form.fields(("description", "business_entity_id")),
    }
    form.end()
    return _told(work, "item_families", work.add("item_families", changed({}, family)), "item_family_created")


def update_family(work: Work, family_id: str) -> JsonObject:
    """Change a family."""
    before = work.expect("item_families", family_id)
    given = work.form.fields(("name", "description"))
    work.form.end()
    return _told(work, "item_families", work.put("item_families", changed(before, given)), "item_family_updated")


def create_item(work: Work) -> JsonObject:
    """Make an item: a plan, an addon or a charge."""
    form = work.form
    identifier, name = form.need("id"), form.need("name")
    item_type = form.choice("type", ("plan", "addon", "charge"))
    if item_type is None:
        raise missing("type")
    family = work.expect("item_families", form.need("item_family_id"))
    base: JsonObject = {
        "id": identifier,
        "name": name,
        "status": "active",
        "type": item_type,
        "item_family_id": family["id"],
        "is_shippable": False,
        "is_giftable": False,
        "enabled_for_checkout": True,
        "enabled_in_portal": True,
        "included_in_mrr": item_type != "charge",
        "item_applicability": "all",
        "metered": bool(form.boolean("metered")),
        "channel": "web",
        "deleted": False,
        "object": "item",
    }
    given = _item_fields(form)
    form.end()
    _refuse_name(work, "items", name)
    return _told(work, "items", work.add("items", changed(base, given)), "item_created")


def update_item(work: Work, item_id: str) -> JsonObject:
    """Change an item; `status` archived takes it out of sale."""
    before = work.expect("items", item_id)
    given = _item_fields(work.form) | work.form.fields(("name",))
    _add_status(work, before, given)
    work.form.end()
    return _told(work, "items", work.put("items", changed(before, given)), "item_updated")


def create_price(work: Work) -> JsonObject:
    """Make a price of an item."""
    form = work.form
    identifier, name = form.need("id"), form.need("name")
    item = work.expect("items", form.need("item_id"))
    if item["status"] != "active":
        raise wrong_state(f"The item {item['id']} is not active")
    base: JsonObject = {
        "id": identifier,
        "name": name,
        "item_id": item["id"],
        "item_family_id": item["item_family_id"],
        "item_type": item["type"],
        "status": "active",
        "pricing_model": form.choice("pricing_model", _MODELS) or "flat_fee",
        "currency_code": (form.text("currency_code") or work.site.default_currency).upper(),
        "is_taxable": True,
        "free_quantity": 0,
        "channel": "web",
        "created_at": work.now,
        "deleted": False,
        "object": "item_price",
    }
    if item["type"] != "charge":
        period, unit = form.integer("period", least=1), form.choice("period_unit", ("day", "week", "month", "year"))
        if period is None or unit is None:
            raise missing("period" if period is None else "period_unit")
        base |= {"period": period, "period_unit": unit}
    given = _price_fields(form) | form.fields(("price_variant_id",))
    form.end()
    whole = changed(base, given)
    if whole["pricing_model"] in ("tiered", "volume", "stairstep"):
        if not whole.get("tiers"):
            raise missing("tiers[starting_unit][0]")
    elif "price" not in whole and "price_in_decimal" not in whole:
        raise missing("price")
    _refuse_name(work, "item_prices", name)
    return _told(work, "item_prices", work.add("item_prices", whole), "item_price_created")


def update_price(work: Work, price_id: str) -> JsonObject:
    """Change a price; `status` archived takes it out of sale."""
    before = work.expect("item_prices", price_id)
    given = _price_fields(work.form) | work.form.fields(("name",))
    _add_status(work, before, given)
    work.form.end()
    return _told(work, "item_prices", work.put("item_prices", changed(before, given)), "item_price_updated")


def delete(work: Work, name: str, identifier: str) -> JsonObject:
    """Delete a family, an item or a price, if nothing hangs on it."""
    before = work.expect(name, identifier)
    work.form.end()
    below = {"item_families": ("items", "item_family_id"), "items": ("item_prices", "item_id")}.get(name)
    if below is not None:
        shelf = work.objects.shelf(below[0])
        if any(each.get(below[1]) == identifier and each["status"] != "deleted" for each in shelf.all()):
            raise wrong_state(f"{identifier} cannot be deleted: it has {below[0].replace('_', ' ')}")
    elif any(
        item["item_price_id"] == identifier and each["status"] != "cancelled"
        for each in work.objects.shelf("subscriptions").all()
        for item in each["subscription_items"]
    ):
        raise wrong_state(f"{identifier} cannot be deleted: subscriptions have it")
    whole = work.put(name, {**before, "status": "deleted", "deleted": True})
    return _told(work, name, whole, f"{before['object']}_deleted")


def _item_fields(form: Form) -> JsonObject:
    given = form.fields(("external_name", "description", "unit", "business_entity_id")) | form.custom_fields()
    for name in _ITEM_FLAGS:
        if form.has(name):
            given[name] = form.boolean(name)
    for name, choices in (
        ("item_applicability", ("all", "restricted")),
        ("usage_calculation", ("sum_of_usages", "last_usage", "max_usage")),
    ):
        if form.has(name):
            given[name] = form.choice(name, choices)
    if form.has("metadata"):
        given["metadata"] = form.json_object("metadata")
    return given


def _price_fields(form: Form) -> JsonObject:
    given = form.fields(("external_name", "description", "price_in_decimal", "invoice_notes"))
    for name in ("price", "trial_period", "free_quantity", "billing_cycles"):
        if form.has(name):
            given[name] = form.integer(name)
    if form.has("trial_period_unit"):
        given["trial_period_unit"] = form.choice("trial_period_unit", ("day", "month"))
    if form.has("is_taxable"):
        given["is_taxable"] = form.boolean("is_taxable")
    if form.has("metadata"):
        given["metadata"] = form.json_object("metadata")
    tiers = form.rows("tiers", _TIER)
    if tiers:
        given["tiers"] = [_tier(tier, index) for index, tier in enumerate(tiers)]
    return given


def _tier(row: dict[str, str], index: int) -> JsonObject:
    tier: JsonObject = {"object": "tier"}
    for name, value in row.items():
        try:
            tier[name] = int(value) if name in _WHOLE else value
        except ValueError:
            raise wrong_value(f"tiers[{name}][{index}]", "should be a number") from None
    return tier


def _add_status(work: Work, before: JsonObject, given: JsonObject) -> None:
    status = work.form.choice("status", ("active", "archived"))
    if status is not None and status != before["status"]:
        given |= {"status": status, "archived_at": work.now if status == "archived" else None}


def _refuse_name(work: Work, name: str, wanted: str) -> None:
    if any(each.get("name") == wanted and each["status"] != "deleted" for each in work.objects.shelf(name).all()):
        raise duplicate("name", wanted)


def _told(work: Work, name: str, whole: JsonObject, event_type: str) -> JsonObject:
    work.tell(event_type, (name, whole))
    return {whole["object"]: whole}
