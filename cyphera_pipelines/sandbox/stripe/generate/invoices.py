"""Invoices and their lines."""

from functools import lru_cache, partial

from cyphera_pipelines.sandbox.business.bills import Bill, BillFacts, BillLine, Bills
from cyphera_pipelines.sandbox.business.discounts import Discount
from cyphera_pipelines.sandbox.business.people import contact
from cyphera_pipelines.sandbox.business.timeline import DAY
from cyphera_pipelines.sandbox.business.world import CACHED_CORES
from cyphera_pipelines.sandbox.serialization import JsonObject
from cyphera_pipelines.sandbox.stripe.generate.adjustments import prorated
from cyphera_pipelines.sandbox.stripe.generate.customers import invoice_prefix
from cyphera_pipelines.sandbox.stripe.generate.discounts import discount_id, discount_object, told
from cyphera_pipelines.sandbox.stripe.generate.prices import PriceFacts, price_facts
from cyphera_pipelines.sandbox.stripe.generate.subscriptions import EMBEDDED, item_id
from cyphera_pipelines.sandbox.stripe.generate.world import StripeWorld


def due_date(created: int, collection_method: str) -> int | None:
    """Return when an invoice is due; None for one that is charged by itself."""
    return created + 30 * DAY if collection_method == "send_invoice" else None


def _discounted(bill: Bill, line: BillLine) -> JsonObject:
    """What a line tells of discounts: those of its own by their ids, and what each took off it."""
    of_line = [
        (discount, off)
        for discount, off in zip(bill.discounts, line.reductions, strict=True)
        if discount.item is None or off
    ]
    return {
        "discounts": [discount_id(discount) for discount, _off in of_line],
        "discount_amounts": [{"amount": off, "discount": discount_id(discount)} for discount, off in of_line],
    }


class InvoiceGenerator:
    """Invoices of one account."""

    def __init__(self, world: StripeWorld, bills: Bills) -> None:
        self.world = world
        self.bills = bills
        self.subscriptions = bills.subscriptions
        self._price = lru_cache(maxsize=CACHED_CORES)(partial(price_facts, world))

    def _line(
        self, invoice_number: int, invoice_id: str, position: int, facts: BillFacts, price: PriceFacts,
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

    def _discount(self, facts: BillFacts, discount: Discount) -> JsonObject:
        number = facts.subscription
        on_item = None if number is None or discount.item is None else item_id(self.world, number, discount.item)
        return discount_object(self.world, discount, facts.customer, number, on_item)

    def _payment(self, number: int, invoice_id: str, bill: Bill) -> JsonObject:
        """What paid an invoice, or a part of it: some was paid elsewhere, and some by a charge without an intent."""
        world, dice = self.world, self.world.dice("invoice payment", number)
        kind = dice.pick(("payment_intent",) * 8 + ("payment_record", "charge"))
        prefix = {"payment_intent": "pi", "payment_record": "payrec", "charge": "ch"}[kind]
        at = bill.settled or bill.created
        return {
            "id": f"inpay_1{dice.hexadecimal(20)}",
            "object": "invoice_payment",
            "amount_paid": bill.paid,
            "amount_requested": bill.paid,
            "created": bill.finalized or bill.created,
            "currency": bill.currency,
            "invoice": invoice_id,
            "is_default": kind == "payment_intent",
            "livemode": world.livemode,
            "payment": {kind: f"{prefix}_1{dice.hexadecimal(20)}", "type": kind},
            "status": "paid",
            "status_transitions": {"canceled_at": None, "paid_at": at},
        }

    def invoice(self, number: int, line_limit: int | None = EMBEDDED) -> JsonObject:
        """Return invoice `number` with its first lines, or all of them for None."""
        world, bill = self.world, self.bills.bill(number)
        facts, created, status, dice = bill.facts, bill.created, bill.facts.status, bill.dice
        settlement, finalized, settled = bill.settlement, bill.finalized, bill.settled
        invoice_id = world.invoice_id(number)
        count = len(bill.lines)
        shown = count if line_limit is None else min(count, line_limit)
        period, of_lines = (created - 30 * DAY, created), self.bills.period(bill)
        billed_in = None if facts.subscription is None else self.subscriptions.facts(facts.subscription).currency
        lines: list[JsonObject] = []
        for position, billed in enumerate(bill.lines[:shown]):
            price = self._price(billed.price_number, billed_in)
            line = self._line(number, invoice_id, position, facts, price, billed.quantity, of_lines)
            if billed.correction is not None:
                line = prorated(line, billed.correction, billed.amount, created)
            if bill.discounts:
                line |= _discounted(bill, billed)
            lines.append(line)
        discounts = [self._discount(facts, each) for each in bill.discounts]
        taxable, tax = bill.subtotal - bill.discounted, bill.tax
        by_invoice = facts.collection_method == "send_invoice"
        name, email, _ = contact(world, facts.customer)
        subscription_id = None if facts.subscription is None else world.subscription_id(facts.subscription)
        billing_reason = "manual"
        if facts.subscription is not None:
            is_first = self.subscriptions.first_invoice(facts.subscription) == number
            billing_reason = "subscription_create" if is_first else "subscription_cycle"
        secret = dice.hexadecimal(32)
        # Of what happens later there are events, and none about payments: what is made then is paid without one.
        is_told = bill.paid and number < world.sizes["invoices"]
        payments = [self._payment(number, invoice_id, bill)] if is_told else []
        hosted = f"https://invoice.example.com/i/{world.account.account_id}/test_{secret}"
        return {
            "id": invoice_id,
            "object": "invoice",
            "account_country": world.account.country,
            "account_name": world.account.name,
            "account_tax_ids": None,
            "amount_due": settlement.amount_due,
            "amount_overpaid": 0,
            "amount_paid": bill.paid,
            "amount_paid_off_stripe": 0,
            "amount_remaining": bill.remaining,
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
            "currency": bill.currency,
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
            "discounts": [each for each in discounts if each["subscription_item"] is None],
            "due_date": due_date(created, facts.collection_method),
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
            "payments": {
                "object": "list",
                "data": payments,
                "has_more": False,
                "url": f"/v1/invoices/{invoice_id}/payments",
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
            "subtotal": bill.subtotal,
            "subtotal_excluding_tax": bill.subtotal,
            "test_clock": world.test_clock(facts.customer),
            "threshold_reason": None,
            "total": bill.total,
            "total_discount_amounts": list(map(told, discounts, bill.reductions)),
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
