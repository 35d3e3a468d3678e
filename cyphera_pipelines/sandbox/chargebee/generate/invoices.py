"""Invoices, the payments that settled them, and the credit notes that lowered them."""

from collections.abc import Sequence
from typing import NamedTuple

from cyphera_pipelines.sandbox.business.bills import Bill, Bills
from cyphera_pipelines.sandbox.business.dice import Dice
from cyphera_pipelines.sandbox.business.discounts import Discount
from cyphera_pipelines.sandbox.business.offers import offer
from cyphera_pipelines.sandbox.business.timeline import DAY
from cyphera_pipelines.sandbox.chargebee.generate.catalog import PriceKey, price_id
from cyphera_pipelines.sandbox.chargebee.generate.customers import BUSINESS_ENTITY, has_card, payment_source_id
from cyphera_pipelines.sandbox.chargebee.generate.discounts import is_given_by_hand
from cyphera_pipelines.sandbox.chargebee.generate.ids import customer_id, made_id
from cyphera_pipelines.sandbox.chargebee.generate.moments import stamped
from cyphera_pipelines.sandbox.chargebee.generate.subscriptions import keys_of, subscription_id
from cyphera_pipelines.sandbox.chargebee.sites import ChargebeeSite
from cyphera_pipelines.sandbox.serialization import JsonObject

TAX_PERCENT = 19


class Billed(NamedTuple):
    """An invoice, with what goes with it."""

    invoice: JsonObject
    payment: JsonObject | None
    credit_note: JsonObject | None


class InvoiceGenerator:
    """The invoices of one site."""

    def __init__(self, site: ChargebeeSite, bills: Bills) -> None:
        self._site = site
        self.bills = bills
        self._world = bills.world

    def billed(self, number: int, others: Sequence[int] = ()) -> Billed:
        """Return invoice `number`; `others` are further subscriptions of its customer, for a consolidated one."""
        site, world = self._site, self._world
        bill = self.bills.bill(number)
        facts, dice = bill.facts, world.dice("chargebee invoices", number)
        is_consolidated = facts.subscription is not None and dice.chance(site.consolidated_share)
        is_dinars = facts.subscription is None and dice.chance(site.kwd_share)
        currency = "KWD" if is_dinars else bill.currency.upper()
        identifier = str(number + 1)
        lines = self._lines(bill, identifier, is_dinars)
        if is_consolidated:
            lines += [self._line_of(other, identifier, len(lines) + place) for place, other in enumerate(others)]
        built: JsonObject = {
            "id": identifier,
            "customer_id": customer_id(site, facts.customer),
            "recurring": facts.subscription is not None,
            "date": bill.created,
            "net_term_days": 30 if facts.collection_method == "send_invoice" else 0,
            "price_type": "tax_inclusive" if dice.chance(self._site.inclusive_share) else "tax_exclusive",
            "currency_code": currency,
            "base_currency_code": site.default_currency.upper(),
            "exchange_rate": 1.0,
            "first_invoice": False,
            "is_gifted": False,
            "has_advance_charges": False,
            "term_finalized": True,
            "channel": "web",
            "business_entity_id": BUSINESS_ENTITY,
            "round_off_amount": 0,
            "line_items": lines,
            "deleted": False,
            "object": "invoice",
        }
        if facts.subscription is not None and not is_consolidated:
            built["subscription_id"] = subscription_id(site, facts.subscription)
        self._add_up(built, bill, is_dinars)
        payment, credit_note = self._settle(built, bill, dice)
        earliest = max(bill.created, built.get("paid_at", 0), built.get("voided_at", 0))
        return Billed(stamped(site, built, earliest, dice, may_lack=True), payment, credit_note)

    def _lines(self, bill: Bill, invoice: str, is_dinars: bool) -> list[JsonObject]:
        subscription = bill.facts.subscription
        keys = None
        if subscription is not None:
            keys = keys_of(self.bills.subscriptions.facts(subscription))
        lines = []
        # A correction is a credit note of its own here, and no line.
        for position, billed in enumerate(line for line in bill.lines if line.correction is None):
            key = PriceKey(billed.price_number, "charge", bill.currency) if keys is None else keys[position % len(keys)]
            lines.append(self._line(bill, invoice, position, key, billed.quantity, subscription))
        if is_dinars:
            for line in lines:
                line |= {"entity_id": "setup-KWD", "unit_amount": 1_050, "amount": 1_050 * line["quantity"]}
        return lines

    def _line(
        self, bill: Bill, invoice: str, position: int, key: PriceKey, units: int, subscription: int | None
    ) -> JsonObject:
        sold = offer(self._world, key.number, key.currency)
        is_adhoc, period = subscription is not None and position % 5 == 4, self.bills.period(bill)
        built: JsonObject = {
            "id": made_id(self._site, "li_", invoice, position),
            "customer_id": customer_id(self._site, bill.facts.customer),
            "date_from": period[0],
            "date_to": period[1],
            "unit_amount": sold.unit_amount,
            "quantity": units,
            "amount": sold.unit_amount * units,
            "pricing_model": "per_unit",
            "is_taxed": False,
            "tax_amount": 0,
            "discount_amount": 0,
            "item_level_discount_amount": 0,
            "metered": False,
            "description": sold.name,
            "entity_type": "adhoc" if is_adhoc else f"{key.item_type}_item_price",
            "object": "line_item",
        }
        if not is_adhoc:
            built["entity_id"] = price_id(self._site, self._world, key)
        if subscription is not None:
            built["subscription_id"] = subscription_id(self._site, subscription)
        return built

    def _line_of(self, subscription: int, invoice: str, position: int) -> JsonObject:
        """A line of another subscription of the same customer."""
        subscribed = self.bills.subscriptions.facts(subscription)
        built: JsonObject = {
            "id": made_id(self._site, "li_", invoice, position),
            "customer_id": customer_id(self._site, subscribed.customer),
            "subscription_id": subscription_id(self._site, subscription),
            "unit_amount": 1_000,
            "quantity": 1,
            "amount": 1_000,
            "pricing_model": "flat_fee",
            "is_taxed": False,
            "tax_amount": 0,
            "discount_amount": 0,
            "item_level_discount_amount": 0,
            "description": "Another subscription",
            "entity_type": "plan_item_price",
            "entity_id": price_id(self._site, self._world, keys_of(subscribed)[0]),
            "object": "line_item",
        }
        return built

    def _add_up(self, built: JsonObject, bill: Bill, is_dinars: bool) -> None:
        """Discounts and taxes, on each line and on the whole."""
        lines = built["line_items"]
        reductions = self._reductions(lines, bill, is_dinars)
        is_inclusive = built["price_type"] == "tax_inclusive"
        on_items = [discount.item is not None or bool(discount.coupon.products) for discount in bill.discounts]
        for line, taken in zip(lines, reductions, strict=True):
            of_item = sum(off for off, is_on_item in zip(taken, on_items, strict=True) if is_on_item)
            line |= {"discount_amount": sum(taken) - of_item, "item_level_discount_amount": of_item}
            if bill.tax:
                taxable = line["amount"] - sum(taken)
                share = 100 + TAX_PERCENT if is_inclusive else 100
                line |= {"is_taxed": True, "tax_rate": float(TAX_PERCENT), "tax_amount": taxable * TAX_PERCENT // share}
        sub_total, off = sum(line["amount"] for line in lines), sum(map(sum, reductions))
        tax = sum(line["tax_amount"] for line in lines)
        built |= {"sub_total": sub_total, "tax": tax, "total": sub_total - off + (0 if is_inclusive else tax)}
        if off:
            self._tell_discounts(built, bill, reductions, on_items)
        if tax:
            built["taxes"] = [{"name": "VAT", "amount": tax, "description": f"VAT {TAX_PERCENT} %", "object": "tax"}]
            built["line_item_taxes"] = [
                {
                    "line_item_id": line["id"],
                    "tax_name": "VAT",
                    "tax_rate": float(TAX_PERCENT),
                    "taxable_amount": line["amount"] - line["discount_amount"] - line["item_level_discount_amount"],
                    "tax_amount": line["tax_amount"],
                    "object": "line_item_tax",
                }
                for line in lines
            ]

    def _reductions(self, lines: list[JsonObject], bill: Bill, is_dinars: bool) -> list[tuple[int, ...]]:
        """Of each line what each of the bill's discounts takes off; nothing of other subscriptions' lines."""
        own = [line for line in bill.lines if line.correction is None]
        nothing = (0,) * len(bill.discounts)
        found = [line.reductions or nothing for line in own]
        if is_dinars:
            found = [
                tuple(discount.coupon.of(line["amount"]) for discount in bill.discounts) for line in lines[: len(own)]
            ]
        return found + [nothing] * (len(lines) - len(own))

    def _tell_discounts(
        self, built: JsonObject, bill: Bill, reductions: list[tuple[int, ...]], on_items: list[bool]
    ) -> None:
        """What each discount took off the whole, and off each line."""
        levels = ["item_level" if is_on_item else "document_level" for is_on_item in on_items]
        hands = [is_given_by_hand(discount) for discount in bill.discounts]
        kinds = [f"{level}_{'discount' if by_hand else 'coupon'}" for level, by_hand in zip(levels, hands, strict=True)]
        built["discounts"] = [
            self._told(discount, kinds[at], sum(taken[at] for taken in reductions), hands[at])
            for at, discount in enumerate(bill.discounts)
            if any(taken[at] for taken in reductions)
        ]
        built["line_item_discounts"] = [
            {
                "line_item_id": line["id"],
                "discount_type": kinds[at],
                **({} if hands[at] else {"coupon_id": discount.coupon.id}),
                "discount_amount": taken[at],
                "object": "line_item_discount",
            }
            for line, taken in zip(built["line_items"], reductions, strict=True)
            for at, discount in enumerate(bill.discounts)
            if taken[at]
        ]

    def _told(self, discount: Discount, kind: str, amount: int, is_by_hand: bool) -> JsonObject:
        coupon = discount.coupon
        told: JsonObject = {
            "amount": amount,
            "description": coupon.name,
            "entity_type": kind,
            "entity_id": f"disc_{discount.code}" if is_by_hand else coupon.id,
            "discount_type": "fixed_amount" if coupon.percent_off is None else "percentage",
            "object": "discount",
        }
        if coupon.percent_off is not None:
            told["discount_percentage"] = float(coupon.percent_off)
        return told

    def _settle(self, built: JsonObject, bill: Bill, dice: Dice) -> tuple[JsonObject | None, JsonObject | None]:
        """What was paid, credited, adjusted and written off, and so the invoice's status."""
        total, status = built["total"], bill.facts.status
        credit = min(total, -bill.settlement.starting_balance)
        adjusted = min(total - credit, bill.settlement.pre_payment_credit_notes)
        paid = written_off = 0
        if status == "paid":
            paid, built["status"] = total - credit - adjusted, "paid"
            built["paid_at"] = bill.settled
        elif status == "open":
            is_late = dice.chance(0.7)
            built["status"] = "payment_due" if is_late else "posted"
            paid = (total - credit - adjusted) // 4 if bill.paid else 0
            if is_late:
                built |= {"dunning_status": "in_progress", "next_retry_at": bill.created + 3 * DAY}
        elif status == "uncollectible":
            built |= {"status": "not_paid", "dunning_status": "exhausted"}
            if dice.chance(0.5):
                written_off, adjusted = total, total
                credit = 0
        elif status == "void":
            built |= {"status": "voided", "voided_at": bill.settled, "void_reason_code": "Other"}
        else:
            built["status"] = "pending"
        built |= {
            "amount_paid": paid,
            "amount_adjusted": adjusted,
            "write_off_amount": written_off,
            "credits_applied": credit,
            "amount_due": 0 if status == "void" else total - paid - credit - adjusted,
        }
        built["amount_to_collect"] = built["amount_due"]
        if status != "draft":
            built["generated_at"] = bill.finalized
            built["due_date"] = bill.created + built["net_term_days"] * DAY
        self._link_credit(built, bill, credit, adjusted)
        payment = None
        if paid:
            payment = self._payment(built, bill, paid, dice)
            built["linked_payments"] = [
                {
                    "txn_id": payment["id"],
                    "applied_amount": paid,
                    "applied_at": payment["date"],
                    "txn_status": "success",
                    "txn_date": payment["date"],
                    "txn_amount": paid,
                }
            ]
        note = bill.settlement.post_payment_credit_notes
        credit_note = self._credit_note(built, bill, min(note, paid), dice) if note and paid else None
        if credit_note is not None:
            built["issued_credit_notes"] = [
                {"cn_id": credit_note["id"], "cn_total": credit_note["total"], "cn_status": credit_note["status"]}
            ]
        return payment, credit_note

    def _link_credit(self, built: JsonObject, bill: Bill, credit: int, adjusted: int) -> None:
        if credit:
            built["applied_credits"] = [
                {
                    "cn_id": f"CN-C{built['id']}",
                    "applied_amount": credit,
                    "applied_at": bill.created,
                    "cn_status": "refunded",
                }
            ]
        if adjusted:
            built["adjustment_credit_notes"] = [
                {"cn_id": f"CN-A{built['id']}", "cn_total": adjusted, "cn_status": "adjusted"}
            ]

    def _payment(self, invoice: JsonObject, bill: Bill, amount: int, dice: Dice) -> JsonObject:
        moment = bill.settled or bill.created
        identifier = made_id(self._site, "txn_", invoice["id"])
        is_carded = has_card(self._world, bill.facts.customer)
        built: JsonObject = {
            "id": identifier,
            "customer_id": invoice["customer_id"],
            **({"subscription_id": invoice["subscription_id"]} if "subscription_id" in invoice else {}),
            "payment_method": "card" if is_carded else "bank_transfer",
            "gateway": "chargebee" if is_carded else "not_applicable",
            "type": "payment",
            "date": moment,
            "amount": amount,
            "amount_unused": 0,
            "currency_code": invoice["currency_code"],
            "exchange_rate": 1.0,
            "status": "success",
            "linked_invoices": [
                {
                    "invoice_id": invoice["id"],
                    "applied_amount": amount,
                    "applied_at": moment,
                    "invoice_date": invoice["date"],
                    "invoice_total": invoice["total"],
                    "invoice_status": invoice["status"],
                }
            ],
            "linked_refunds": [],
            "deleted": False,
            "object": "transaction",
        }
        if is_carded:
            built["payment_source_id"] = payment_source_id(self._site, bill.facts.customer)
            built["id_at_gateway"] = f"cb_{identifier}"
            built["masked_card_number"] = "************1111"
        return stamped(self._site, built, moment, dice)

    def _credit_note(self, invoice: JsonObject, bill: Bill, amount: int, dice: Dice) -> JsonObject:
        moment = bill.settled or bill.created
        built: JsonObject = {
            "id": f"CN-{invoice['id']}",
            "customer_id": invoice["customer_id"],
            **({"subscription_id": invoice["subscription_id"]} if "subscription_id" in invoice else {}),
            "reference_invoice_id": invoice["id"],
            "type": "refundable",
            "reason_code": "service_unsatisfactory",
            "status": "refund_due",
            "date": moment,
            "price_type": invoice["price_type"],
            "currency_code": invoice["currency_code"],
            "sub_total": amount,
            "total": amount,
            "amount_allocated": 0,
            "amount_refunded": 0,
            "amount_available": amount,
            "line_items": [],
            "deleted": False,
            "object": "credit_note",
        }
        return stamped(self._site, built, moment, dice)
