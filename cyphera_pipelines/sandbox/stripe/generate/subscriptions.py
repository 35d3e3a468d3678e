"""Subscriptions and their items."""

from functools import lru_cache

from cyphera_pipelines.sandbox.business.discounts import Discount, discounts_of
from cyphera_pipelines.sandbox.business.subscriptions import Subscription, Subscriptions, quantity
from cyphera_pipelines.sandbox.business.taxes import AppliedTaxRate, tax_rates_of
from cyphera_pipelines.sandbox.serialization import JsonObject
from cyphera_pipelines.sandbox.stripe.generate.discounts import discount_object
from cyphera_pipelines.sandbox.stripe.generate.prices import plan_of, price
from cyphera_pipelines.sandbox.stripe.generate.taxes import tax_rate_object
from cyphera_pipelines.sandbox.stripe.generate.world import StripeWorld

EMBEDDED = 10
"""How many elements of a nested list Stripe embeds in its parent."""


def item_id(world: StripeWorld, subscription_number: int, position: int) -> str:
    """Return the identifier of a subscription's item."""
    return world.ids["subscription_items"].encode(subscription_number * 32 + position)


class SubscriptionGenerator:
    """Subscriptions of one account."""

    def __init__(self, world: StripeWorld, subscriptions: Subscriptions) -> None:
        self.world = world
        self.subscriptions = subscriptions
        self._price = lru_cache(maxsize=4_096)(self._embedded_price)

    def _embedded_price(self, number: int) -> tuple[JsonObject, JsonObject]:
        built = price(self.world, number)
        built.pop("tiers", None)
        built.pop("currency_options")
        return built, plan_of(built)

    def item(
        self,
        facts: Subscription,
        position: int,
        created: int,
        period: tuple[int, int],
        discounts: tuple[Discount, ...],
        rates: tuple[AppliedTaxRate, ...],
    ) -> JsonObject:
        """Return the item at a position, in Stripe's order, with those discounts and tax rates that are its."""
        own_id = item_id(self.world, facts.number, position)
        embedded_price, plan = self._price(facts.price_numbers[position])
        metered = plan["usage_type"] == "metered"
        built: JsonObject = {
            "id": own_id,
            "object": "subscription_item",
            "billing_thresholds": None,
            "created": created,
            "current_period_end": period[1],
            "current_period_start": period[0],
            "discounts": [
                discount_object(self.world, each, facts.customer, facts.number, own_id)
                for each in discounts
                if each.item == position
            ],
            "metadata": {"position": str(position)} if position % 3 == 1 else {},
            "plan": plan,
            "price": embedded_price,
            "subscription": self.world.subscription_id(facts.number),
            "tax_rates": [tax_rate_object(self.world, each.rate) for each in rates if each.item == position],
        }
        if not metered:
            built["quantity"] = quantity(facts.number, position)
        return built

    def subscription(self, number: int, item_limit: int | None = EMBEDDED) -> JsonObject:
        """Return subscription `number` with its first items, or all of them for None."""
        world = self.world
        facts = self.subscriptions.facts(number)
        created, ended, period, is_trial, cancels, canceled_at, by_invoice, dice = self.subscriptions.schedule(number)
        first_invoice = self.subscriptions.first_invoice(number)
        count = len(facts.price_numbers)
        shown = count if item_limit is None else min(count, item_limit)
        discounts, rates = discounts_of(self.subscriptions, number), tax_rates_of(self.subscriptions, number)
        subscription_id = world.subscription_id(number)
        cancellation_reason = "cancellation_requested" if canceled_at is not None else None
        return {
            "id": subscription_id,
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
            "cancel_at": period[1] if cancels else None,
            "cancel_at_period_end": cancels,
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
            "default_tax_rates": [tax_rate_object(world, each.rate) for each in rates if each.item is None],
            "description": "Annual agreement" if dice.chance(0.1) else None,
            "discounts": [
                discount_object(world, each, facts.customer, number) for each in discounts if each.item is None
            ],
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
                "data": [self.item(facts, position, created, period, discounts, rates) for position in range(shown)],
                "has_more": shown < count,
                "total_count": count,
                "url": f"/v1/subscription_items?subscription={subscription_id}",
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
            "trial_end": period[1] if is_trial else None,
            "trial_settings": {"end_behavior": {"missing_payment_method": "create_invoice"}},
            "trial_start": period[0] if is_trial else None,
        }
