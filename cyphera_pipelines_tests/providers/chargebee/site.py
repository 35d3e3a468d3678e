"""A small Chargebee site over real HTTP, which misbehaves as `HostileProvider` does."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from cyphera_pipelines_tests.hostile import Asked, HostileProvider

Json = dict[str, Any]
SINGULAR = {
    "customers": "customer",
    "items": "item",
    "item_prices": "item_price",
    "subscriptions": "subscription",
    "invoices": "invoice",
    "coupons": "coupon",
    "events": "event",
}
MARCH = 1_772_323_200


@dataclass
class Site(HostileProvider):
    """What the site has, by the plural of its resources. Lists are sorted and cut as they are asked for."""

    objects: dict[str, list[Any]] = field(default_factory=lambda: {plural: [] for plural in SINGULAR})
    configuration: Json = field(
        default_factory=lambda: {
            "domain": "acme-test",
            "product_catalog_version": "v2",
            "chargebee_response_schema_type": "items",
        }
    )

    def honest_answer(self, asked: Asked) -> tuple[int, Any]:
        match asked.path.removeprefix("/api/v2/").split("/", 1):
            case ["configurations"]:
                return 200, {"configurations": [self.configuration]}
            case [plural] if plural in self.objects:
                return self._list(plural, asked.query)
            case [plural, object_id] if plural in self.objects:
                found = [obj for obj in self.objects[plural] if isinstance(obj, dict) and obj.get("id") == object_id]
                return (200, {SINGULAR[plural]: found[0]}) if found else refusal(404, "resource_not_found")
        return refusal(404, "resource_not_found")

    def _list(self, plural: str, query: Mapping[str, Sequence[str]]) -> tuple[int, Any]:
        shown = list(self.objects[plural])
        if "include_deleted" not in query and "status[in]" not in query:
            shown = [obj for obj in shown if not (isinstance(obj, dict) and obj.get("deleted"))]
        for name, (value, *_) in query.items():
            if name.endswith("[after]"):
                shown = [obj for obj in shown if obj.get(name[:-7], -1) > int(value)]
            elif name.endswith("[before]"):
                shown = [obj for obj in shown if obj.get(name[:-8], 10**12) < int(value)]
            elif name.startswith("sort_by["):
                shown.sort(key=lambda obj: obj.get(value) or 0, reverse=name == "sort_by[desc]")
        begins = 0
        if "offset" in query:
            told = json.loads(query["offset"][0])
            if not isinstance(told, list) or len(told) != 1 or not isinstance(told[0], int):
                return refusal(400, "param_wrong_value", param="offset")
            begins = told[0]
        ends = begins + int(query.get("limit", ["10"])[0])
        answer: Json = {"list": [{SINGULAR[plural]: obj} for obj in shown[begins:ends]]}
        return 200, answer | ({"next_offset": json.dumps([ends])} if ends < len(shown) else {})


def refusal(status: int, code: str, **more: Any) -> tuple[int, Json]:
    """An error as Chargebee tells it."""
    said = {"message": f"Sorry: {code}", "type": "invalid_request", "api_error_code": code, **more}
    return status, said


@contextmanager
def running_site() -> Iterator[Site]:
    """A site that answers."""
    with Site() as site:
        yield site


def customer(number: int, **more: Any) -> Json:
    """A customer, made in the number's minute of March 2026."""
    made = MARCH + 60 * number
    return {
        "id": f"customer {number}/1",
        "first_name": "Ada",
        "last_name": f"Lovelace {number}",
        "email": f"ada{number}@example.com",
        "auto_collection": "on",
        "created_at": made,
        "updated_at": made,
        "resource_version": made * 1000 + 7,
        "deleted": False,
        "object": "customer",
        **more,
    }


def event(number: int, kind: str, /, *, occurred_at: float | None = None, **content: Any) -> Json:
    """An event that tells of these objects."""
    return {
        "id": f"ev_{number}",
        "occurred_at": int(time.time() if occurred_at is None else occurred_at),
        "source": "api",
        "event_type": kind,
        "api_version": "v2",
        "object": "event",
        "content": content,
    }


def coupon(coupon_id: str, **more: Any) -> Json:
    """A coupon that takes off half, for ever."""
    return {
        "id": coupon_id,
        "name": coupon_id.capitalize(),
        "discount_type": "percentage",
        "discount_percentage": 50.0,
        "duration_type": "forever",
        "apply_on": "invoice_amount",
        "status": "active",
        "redemptions": 3,
        "object": "coupon",
        **more,
    }
