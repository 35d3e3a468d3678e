"""Subscriptions and their items."""

from functools import lru_cache
from typing import NamedTuple

from cyphera_pipelines.sandbox.generate.adjustments import discount_of
from cyphera_pipelines.sandbox.generate.prices import group_of, has_options, pick_price, plan_of, price
from cyphera_pipelines.sandbox.generate.timeline import DAY
from cyphera_pipelines.sandbox.generate.world import CACHED_CORES, World
from cyphera_pipelines.sandbox.serialization import JsonObject

EMBEDDED = 10
"""How many elements of a nested list Stripe embeds in its parent."""

_STATUSES = (
    ("active", 60), ("canceled", 16), ("trialing", 8), ("past_due", 5), ("unpaid", 3), ("incomplete_expired", 4),
    ("paused", 3), ("incomplete", 1),
)  # fmt: skip
_STATUS_OF_PERCENT = tuple(status for status, share in _STATUSES for _ in range(share))
_GROUPS = (
    ("usd", "month"), ("usd", "month"), ("usd", "month"), ("usd", "month"), ("eur", "month"), ("gbp", "month"),
    ("jpy", "month"), ("usd", "year"), ("eur", "year"),
)  # fmt: skip


class SubscriptionFacts(NamedTuple):
    """What is known of a subscription without building it."""

    number: int
    id: str
    customer: int
    status: str
    group: tuple[str, str | None]
    price_numbers: tuple[int, ...]
    currency: str
    """Lower case: that of all its prices, or one that all of them have as an option."""


def item_id(world: World, subscription_number: int, position: int) -> str:
    """Return the identifier of a subscription's item."""
    return world.ids["subscription_items"].encode(subscription_number * 32 + position)


class SubscriptionGenerator:
    """Subscriptions of one account."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.facts = lru_cache(maxsize=CACHED_CORES)(self._facts)
        self._price = lru_cache(maxsize=4_096)(self._embedded_price)

    def _facts(self, number: int) -> SubscriptionFacts:
        world = self.world
        dice = world.dice("subscriptions", number)
        ceiling = world.not_newer("subscriptions", number, "prices", dice)
        wanted = dice.pick(_GROUPS)
        if dice.chance(world.account.large_subscription_share):
            count = dice.between(EMBEDDED + 1, 25)
        else:
            count = dice.pick((1, 1, 1, 1, 1, 2, 2, 3))
        first = pick_price(world, wanted, ceiling, dice)
        group = group_of(first)
        others = [pick_price(world, group, ceiling, dice) for _ in range(count - 1)]
        return SubscriptionFacts(
            number,
            world.subscription_id(number),
            world.not_newer("subscriptions", number, "customers", dice),
            _STATUS_OF_PERCENT[dice.below(100)],
            group,
            (first, *others),
            self._currency(number, group[0], (first, *others)),
        )

    def _currency(self, number: int, own: str, price_numbers: tuple[int, ...]) -> str:
        world = self.world
        may_be_another = all(has_options(world, price_number) for price_number in price_numbers)
        share = world.account.foreign_currency_share
        return "eur" if may_be_another and world.dice("billed in", number).chance(share) else own

    def _embedded_price(self, number: int) -> tuple[JsonObject, JsonObject]:
        built = price(self.world, number)
        built.pop("tiers", None)
        built.pop("currency_options")
        return built, plan_of(built)

    def first_invoice(self, number: int) -> int | None:
        """Return the number of the invoice that is fixed to be a subscription's own (the rest draw theirs)."""
        invoices, subscriptions = self.world.sizes["invoices"], self.world.sizes["subscriptions"]
        if not invoices or number >= subscriptions:
            return None
        first = -(-number * invoices // subscriptions)
        return first if first < invoices and first * subscriptions // invoices == number else None

    def item(self, facts: SubscriptionFacts, position: int, created: int, period: tuple[int, int]) -> JsonObject:
        """Return the item at a position, in Stripe's order."""
        embedded_price, plan = self._price(facts.price_numbers[position])
        metered = plan["usage_type"] == "metered"
        built: JsonObject = {
            "id": item_id(self.world, facts.number, position),
            "object": "subscription_item",
            "billing_thresholds": None,
            "created": created,
            "current_period_end": period[1],
            "current_period_start": period[0],
            "discounts": [],
            "metadata": {"position": str(position)} if position % 3 == 1 else {},
            "plan": plan,
            "price": embedded_price,
            "subscription": facts.id,
            "tax_rates": [],
        }
        if not metered:
            built["quantity"] = (facts.number + position) % 7 + 1
        return built

    def subscription(self, number: int, item_limit: int | None = EMBEDDED) -> JsonObject:
        """Return subscription `number` with its first items, or all of them for None."""
        world = self.world
        facts = self.facts(number)
        dice = world.dice("subscription details", number)
        created = world.created_at("subscriptions", number)
        now = max(world.account.newest_created, created)
        length = (365 if facts.group[1] == "year" else 30) * DAY
        ended = None
        if facts.status in ("canceled", "incomplete_expired"):
            ended = min(now, created + (DAY if facts.status == "incomplete_expired" else dice.between(5, 400) * DAY))
        trial = facts.status == "trialing"
        moment = ended if ended is not None else now
        period_start = created + (moment - created) // length * length
        trial_start = period_start if trial else None
        cancel_at_period_end = facts.status == "active" and dice.chance(0.05)
        canceled_at = ended if facts.status == "canceled" else (created + 60 if cancel_at_period_end else None)
        by_invoice = dice.chance(0.15)
        first_invoice = self.first_invoice(number)
        period = (period_start, period_start + length)
        count = len(facts.price_numbers)
        shown = count if item_limit is None else min(count, item_limit)
        discount = discount_of(world, number)
        cancellation_reason = "cancellation_requested" if canceled_at is not None else None
        return {
            "id": facts.id,
            "object": "subscription",
            "application": None,
            "application_fee_percent": None,
            "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
            "billing_cycle_anchor": created,
            "billing_cycle_anchor_config": None,
            "billing_mode": {
                "flexible": {"proration_discounts": "included"},
                "type": "flexible",
                "updated_at": None,
            },
            "billing_schedules": [],
            "billing_thresholds": None,
            "cancel_at": period[1] if cancel_at_period_end else None,
            "cancel_at_period_end": cancel_at_period_end,
            "canceled_at": canceled_at,
            "cancellation_details": {
                "comment": None,
                "feedback": dice.pick((None, "too_expensive", "unused")) if cancellation_reason else None,
                "feedback_option": None,
                "reason": cancellation_reason,
            },
            "collection_method": "send_invoice" if by_invoice else "charge_automatically",
            "created": created,
            "currency": facts.currency,
            "customer": world.customer_id(facts.customer),
            "customer_account": None,
            "days_until_due": 30 if by_invoice else None,
            "default_payment_method": None if by_invoice else f"pm_1{dice.hexadecimal(20)}",
            "default_source": None,
            "default_tax_rates": [],
            "description": "Annual agreement" if dice.chance(0.1) else None,
            "discounts": [] if discount is None else [discount.id],
            "ended_at": ended,
            "invoice_settings": {
                "account_tax_ids": None,
                "custom_fields": None,
                "description": None,
                "footer": None,
                "issuer": {"type": "self"},
            },
            "items": {
                "object": "list",
                "data": [self.item(facts, position, created, period) for position in range(shown)],
                "has_more": shown < count,
                "total_count": count,
                "url": f"/v1/subscription_items?subscription={facts.id}",
            },
            "latest_invoice": None if first_invoice is None else world.invoice_id(first_invoice),
            "livemode": world.livemode,
            "managed_payments": {"enabled": False},
            "metadata": {"order": f"{number:06d}"} if dice.chance(0.4) else {},
            "next_pending_invoice_item_invoice": None,
            "on_behalf_of": None,
            "pause_collection": (
                {"behavior": "void", "resumes_at": None} if facts.status == "active" and dice.chance(0.02) else None
            ),
            "payment_settings": {
                "payment_method_options": None,
                "payment_method_types": None,
                "save_default_payment_method": "off",
            },
            "pending_invoice_item_interval": None,
            "pending_setup_intent": None,
            "pending_update": None,
            "presentment_details": None,
            "schedule": None,
            "start_date": created,
            "status": facts.status,
            "status_details": None,
            "test_clock": world.test_clock(facts.customer),
            "transfer_data": None,
            "trial_end": period[1] if trial else None,
            "trial_settings": {"end_behavior": {"missing_payment_method": "create_invoice"}},
            "trial_start": trial_start,
        }
