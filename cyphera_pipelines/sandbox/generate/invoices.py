"""Invoices and their lines."""

from functools import lru_cache, partial
from typing import NamedTuple

from cyphera_pipelines.sandbox.generate import adjustments
from cyphera_pipelines.sandbox.generate.customers import contact, invoice_prefix
from cyphera_pipelines.sandbox.generate.dice import Dice
from cyphera_pipelines.sandbox.generate.prices import PriceFacts, pick_price, price_facts
from cyphera_pipelines.sandbox.generate.subscriptions import EMBEDDED, SubscriptionGenerator, item_id
from cyphera_pipelines.sandbox.generate.timeline import DAY
from cyphera_pipelines.sandbox.generate.world import CACHED_CORES, World
from cyphera_pipelines.sandbox.serialization import JsonObject

_STATUSES = (("paid", 80), ("open", 8), ("void", 4), ("uncollectible", 4), ("draft", 4))
_STATUS_OF_PERCENT = tuple(status for status, share in _STATUSES for _ in range(share))
MOST_LINES = 250
_QUANTITIES = (1, 1, 1, 2, 3, 5, 10)


class InvoiceFacts(NamedTuple):
    """What is known of an invoice without building it, and the dice to go on with."""

    status: str
    customer: int
    subscription: int | None
    collection_method: str
    line_count: int
    dice: Dice


class InvoiceGenerator:
    """Invoices of one account."""

    def __init__(self, world: World, subscriptions: SubscriptionGenerator) -> None:
        self.world = world
        self.subscriptions = subscriptions
        self._price = lru_cache(maxsize=CACHED_CORES)(partial(price_facts, world))

    def facts(self, number: int) -> InvoiceFacts:
        """Return what filters ask for."""
        world = self.world
        dice = world.dice("invoices", number)
        status = _STATUS_OF_PERCENT[dice.below(100)]
        collection_method = "send_invoice" if dice.chance(0.15) else "charge_automatically"
        if dice.chance(world.account.long_invoice_share):
            line_count = dice.between(EMBEDDED + 1, MOST_LINES)
        else:
            line_count = dice.pick((1, 1, 1, 1, 2, 2, 3))
        subscriptions, invoices = world.sizes["subscriptions"], world.sizes["invoices"]
        subscription: int | None = number * subscriptions // invoices if invoices and number < invoices else None
        if subscription is None or self.subscriptions.first_invoice(subscription) != number:
            draws = subscriptions and not dice.chance(0.1)
            subscription = world.not_newer("invoices", number, "subscriptions", dice) if draws else None
        if subscription is not None:
            customer = self.subscriptions.facts(subscription).customer
            return InvoiceFacts(status, customer, subscription, collection_method, line_count, dice)
        customer = world.not_newer("invoices", number, "customers", dice)
        return InvoiceFacts(status, customer, None, collection_method, line_count, dice)

    def _price_numbers(self, facts: InvoiceFacts) -> tuple[int, ...]:
        if facts.subscription is not None:
            return self.subscriptions.facts(facts.subscription).price_numbers
        one_time = facts.dice.pick((("usd", None), ("eur", None)))
        return (pick_price(self.world, one_time, self.world.sizes["prices"], facts.dice),)

    def _line(
        self, invoice_number: int, invoice_id: str, position: int, facts: InvoiceFacts, price: PriceFacts,
        quantity: int, period: tuple[int, int],
    ) -> JsonObject:  # fmt: skip
        world = self.world
        of_item = facts.subscription is not None and position < len(
            self.subscriptions.facts(facts.subscription).price_numbers
        )
        subscription_id = None if facts.subscription is None else world.subscription_id(facts.subscription)
        line_id = f"il_1{invoice_id[4:13]}{invoice_id[-11:]}{position:03d}"
        item_details: JsonObject | None = None
        invoice_item_details: JsonObject | None = None
        if of_item and facts.subscription is not None:
            item_details = {
                "invoice_item": None,
                "proration": False,
                "proration_details": {"credited_items": None},
                "subscription": subscription_id,
                "subscription_item": item_id(world, facts.subscription, position),
            }
        else:
            invoice_item_details = {
                "invoice_item": f"ii_1{line_id[4:]}",
                "proration": facts.subscription is not None and position % 4 == 3,
                "proration_details": {"credited_items": None},
                "subscription": subscription_id,
            }
        amount = price.unit_amount * quantity
        return {
            "id": line_id,
            "object": "line_item",
            "amount": amount,
            "currency": price.currency,
            "description": f"{quantity} × {price.name}",
            "discount_amounts": [],
            "discountable": True,
            "discounts": [],
            "invoice": invoice_id,
            "livemode": world.livemode,
            "metadata": {"batch": str(invoice_number)} if position % 5 == 4 else {},
            "parent": {
                "invoice_item_details": invoice_item_details,
                "subscription_item_details": item_details,
                "type": "subscription_item_details" if item_details else "invoice_item_details",
            },
            "period": {"end": period[1], "start": period[0]},
            "pretax_credit_amounts": [],
            "pricing": {
                "price_details": {"price": price.id, "product": price.product},
                "type": "price_details",
                "unit_amount_decimal": price.unit_amount_decimal or str(price.unit_amount),
            },
            "quantity": quantity,
            "quantity_decimal": str(quantity),
            "subscription": subscription_id,
            "subtotal": amount,
            "taxes": [],
        }

    def invoice(self, number: int, line_limit: int | None = EMBEDDED) -> JsonObject:
        """Return invoice `number` with its first lines, or all of them for None."""
        world = self.world
        facts = self.facts(number)
        dice = facts.dice
        created = world.created_at("invoices", number)
        invoice_id = world.invoice_id(number)
        status = facts.status
        price_numbers = self._price_numbers(facts)
        billed_in = None if facts.subscription is None else self.subscriptions.facts(facts.subscription).currency
        proration = adjustments.proration_of(world, number, facts.subscription)
        count = facts.line_count + (proration is not None)
        shown = count if line_limit is None else min(count, line_limit)
        first_quantity = dice.below(len(_QUANTITIES))
        period = (created - 30 * DAY, created)
        # What comes to less than nothing is not made cheaper.
        is_credit = proration is not None and proration.exceeds
        discount = None if is_credit else adjustments.discount_of(world, facts.subscription)
        subtotal = discounted = 0
        lines: list[JsonObject] = []
        currency = "usd"
        for position in range(count):
            price = self._price(price_numbers[position % len(price_numbers)], billed_in)
            quantity = _QUANTITIES[(first_quantity + position) % len(_QUANTITIES)]
            currency = price.currency
            amount = price.unit_amount * quantity
            correction = proration if position == facts.line_count else None
            if correction is not None:
                amount = adjustments.unused_time(correction, price.unit_amount, subtotal)
            off = 0 if discount is None else discount.of(amount)
            subtotal += amount
            discounted += off
            if position < shown:
                line = self._line(number, invoice_id, position, facts, price, quantity, period)
                if correction is not None:
                    line = adjustments.prorated(line, correction, amount, created)
                if discount is not None:
                    line |= {"discounts": [discount.id], "discount_amounts": [discount.told(off)]}
                lines.append(line)
        taxable = subtotal - discounted
        tax = taxable * 19 // 100 if dice.chance(0.2) and taxable > 0 else 0
        total = taxable + tax
        settlement = adjustments.settlement_of(world, number, total, status)
        due = settlement.amount_due
        paid = due if status == "paid" else (due // 4 if status == "open" and dice.chance(0.1) else 0)
        remaining = 0 if status in ("paid", "void") else due - paid
        latest = max(world.account.newest_created, created)
        finalized = None if status == "draft" else min(created + 3_600, latest)
        settled = None if finalized is None else min(finalized + dice.between(1, 20) * 3_600, latest)
        by_invoice = facts.collection_method == "send_invoice"
        name, email, _ = contact(world, facts.customer)
        subscription_id = None if facts.subscription is None else world.subscription_id(facts.subscription)
        billing_reason = "manual"
        if facts.subscription is not None:
            is_first = self.subscriptions.first_invoice(facts.subscription) == number
            billing_reason = "subscription_create" if is_first else "subscription_cycle"
        secret = dice.hexadecimal(32)
        hosted = f"https://invoice.example.com/i/{world.account.account_id}/test_{secret}"
        return {
            "id": invoice_id,
            "object": "invoice",
            "account_country": world.account.country,
            "account_name": world.account.name,
            "account_tax_ids": None,
            "amount_due": due,
            "amount_overpaid": 0,
            "amount_paid": paid,
            "amount_paid_off_stripe": 0,
            "amount_remaining": remaining,
            "amount_shipping": 0,
            "application": None,
            "attempt_count": 0 if status in ("draft", "void") else 1,
            "attempted": status not in ("draft", "void"),
            "auto_advance": status == "draft",
            "automatic_tax": {
                "disabled_reason": None,
                "enabled": False,
                "liability": None,
                "provider": None,
                "status": None,
            },
            "automatically_finalizes_at": created + 3_600 if status == "draft" else None,
            "billing_reason": billing_reason,
            "collection_method": facts.collection_method,
            "created": created,
            "currency": currency,
            "custom_fields": None,
            "customer": world.customer_id(facts.customer),
            "customer_account": None,
            "customer_address": None,
            "customer_email": email,
            "customer_name": name,
            "customer_phone": None,
            "customer_shipping": None,
            "customer_tax_exempt": "none",
            "customer_tax_ids": [],
            "default_payment_method": None,
            "default_source": None,
            "default_tax_rates": [],
            "description": "Thank you for your business" if dice.chance(0.1) else None,
            "discounts": [] if discount is None else [discount.id],
            "due_date": created + 30 * DAY if by_invoice else None,
            "effective_at": finalized,
            "ending_balance": None if status == "draft" else settlement.ending_balance,
            "footer": None,
            "from_invoice": None,
            "hosted_invoice_url": None if status == "draft" else f"{hosted}?s=ap",
            "invoice_pdf": None if status == "draft" else f"{hosted}/pdf?s=ap",
            "issuer": {"type": "self"},
            "last_finalization_error": None,
            "latest_revision": None,
            "lines": {
                "object": "list",
                "data": lines,
                "has_more": shown < count,
                "total_count": count,
                "url": f"/v1/invoices/{invoice_id}/lines",
            },
            "livemode": world.livemode,
            "metadata": {"region": "emea"} if dice.chance(0.2) else {},
            "next_payment_attempt": created + 3 * DAY if status == "open" and not by_invoice else None,
            "number": None if status == "draft" else f"{invoice_prefix(facts.customer)}-{number % 10_000:04d}",
            "on_behalf_of": None,
            "parent": None
            if subscription_id is None
            else {
                "quote_details": None,
                "subscription_details": {
                    "metadata": {},
                    "subscription": subscription_id,
                    "subscription_proration_date": None,
                },
                "type": "subscription_details",
            },
            "payment_settings": {
                "default_mandate": None,
                "payment_method_options": None,
                "payment_method_types": None,
            },
            "period_end": period[1],
            "period_start": period[0],
            "post_payment_credit_notes_amount": settlement.post_payment_credit_notes,
            "pre_payment_credit_notes_amount": settlement.pre_payment_credit_notes,
            "receipt_number": None,
            "rendering": None,
            "shipping_cost": None,
            "shipping_details": None,
            "starting_balance": settlement.starting_balance,
            "statement_descriptor": None,
            "status": status,
            "status_details": None,
            "status_transitions": {
                "finalized_at": finalized,
                "marked_uncollectible_at": settled if status == "uncollectible" else None,
                "paid_at": settled if status == "paid" else None,
                "voided_at": settled if status == "void" else None,
            },
            "subtotal": subtotal,
            "subtotal_excluding_tax": subtotal,
            "test_clock": world.test_clock(facts.customer),
            "threshold_reason": None,
            "total": total,
            "total_discount_amounts": [] if discount is None else [discount.told(discounted)],
            "total_excluding_tax": taxable,
            "total_pretax_credit_amounts": [],
            "total_taxes": (
                [
                    {
                        "amount": tax,
                        "tax_behavior": "exclusive",
                        "tax_rate_details": {"tax_rate": f"txr_1{secret[:20]}"},
                        "taxability_reason": "standard_rated",
                        "taxable_amount": taxable,
                        "type": "tax_rate_details",
                    }
                ]
                if tax
                else []
            ),
            "webhooks_delivered_at": finalized,
        }
