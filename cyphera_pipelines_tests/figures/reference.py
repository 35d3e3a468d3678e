"""The default rules once more, in plain Python and fractions: what each item brings at one moment.

It shares nothing with the SQL. That makes intervals of everything; this looks at a single moment, as somebody would who
has a pencil, the states that the provider held and the bills of before.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any

Row = Mapping[str, Any]
DAY = timedelta(days=1)
_MONTHS = {"day": Fraction(365, 12), "week": Fraction(52, 12), "month": Fraction(1), "year": Fraction(1, 12)}


@dataclass(frozen=True)
class Brought:
    """What an item brings; `left_out_by` tells why it counts nothing."""

    customer: str
    currency: str
    mrr: int
    left_out_by: str | None
    is_reconstructed: bool = False


def half_even(exact: Fraction) -> int:
    return round(exact)  # of a Fraction, Python rounds half to even


class Reference:
    def __init__(
        self, states: Sequence[Row], customer_states: Sequence[Row], lines: Sequence[Row], as_of: datetime
    ) -> None:
        self._as_of = as_of
        self._states, self._lists, self._lines = defaultdict(list), defaultdict(list), defaultdict(list)
        for state in sorted(states, key=lambda each: each["held_at"]):
            self._states[state["subscription_id"]].append(state)
        for state in sorted(customer_states, key=lambda each: each["held_at"]):
            self._lists[state["customer_id"]].append(state)
        for line in sorted(lines, key=lambda each: each["period_start"]):
            self._lines[line["subscription_id"]].append(line)
        self._effective = {name: _effective(each) for name, each in self._states.items()}

    @property
    def subscriptions(self) -> list[str]:
        return list(self._states)

    def brought(self, subscription: str, at: datetime) -> dict[str, Brought]:
        """What each item of the subscription brings at that moment; those that it does not have are left out."""
        states, effective = self._states[subscription], self._effective[subscription]
        holding = [number for number, since in enumerate(effective) if since <= at]
        if holding:
            return self._of_state(states[holding[-1]], at, is_before=False)
        first = states[0]
        if at < first["start_date"]:
            return {}
        bills = self._lines[subscription]
        if bills and min(effective) - first["start_date"] > DAY:
            return self._of_bills(first, bills, at, min(effective))
        return self._of_state(first, at, is_before=True)

    def _of_state(self, state: Row, at: datetime, *, is_before: bool) -> dict[str, Brought]:
        left_out = _left_out(state, at, is_before=is_before)
        amounts: dict[str, Fraction] = {}
        reasons: dict[str, str | None] = {}
        for item in state["items"]:
            if is_before and item["created"] is not None and at.timestamp() < item["created"]:
                continue
            price, reason = item["price"], left_out
            if reason is None and price["type"] == "one_time":
                reason = "one_time"
            elif reason is None and price["recurring_usage_type"] == "metered":
                reason = "metered"
            reasons[item["id"]] = reason
            amounts[item["id"]] = Fraction(0) if reason else _bill(item)
        counted = {item["id"]: item for item in state["items"] if item["id"] in reasons and reasons[item["id"]] is None}
        self._take_off(state, at, amounts, counted)
        found = {}
        for item in state["items"]:
            if item["id"] not in reasons:
                continue
            exact = amounts[item["id"]] * 100 / (100 + _tax(state, item["id"]))
            price = item["price"]
            if price["recurring_interval"] in _MONTHS:
                exact *= _MONTHS[price["recurring_interval"]] / price["recurring_interval_count"]
            found[item["id"]] = Brought(
                state["customer_id"], item["currency"], half_even(exact), reasons[item["id"]], is_before
            )
        return found

    def _take_off(self, state: Row, at: datetime, amounts: dict[str, Fraction], items: Mapping[str, Row]) -> None:
        own = [discount for discount in state["discounts"] if _applies(discount, at)]
        of_subscription = [discount for discount in own if discount["subscription_item_id"] is None]
        if not of_subscription:
            known = [each for each in self._lists[state["customer_id"]] if each["held_at"] <= at]
            lists = known[-1:] or self._lists[state["customer_id"]][:1]
            of_subscription = [discount for each in lists for discount in each["discounts"] if _applies(discount, at)]
        of_items = [discount for discount in own if discount["subscription_item_id"] is not None]
        by_item = sorted(of_items, key=lambda each: (each["subscription_item_id"], each["position"]))
        for discount in [*by_item, *sorted(of_subscription, key=lambda each: each["position"])]:
            meant = [
                name
                for name, item in sorted(items.items())
                if discount["subscription_item_id"] in (None, name)
                and (discount["product_ids"] is None or item["product_id"] in discount["product_ids"])
                and (discount["kind"] == "percent" or discount["currency"] == item["currency"])
            ]
            if discount["kind"] == "percent":
                for name in meant:
                    amounts[name] *= 1 - Fraction(discount["percent_off"]) / 100
            else:
                _share(discount["amount_off"], meant, amounts)

    def _of_bills(self, first: Row, bills: Sequence[Row], at: datetime, until: datetime) -> dict[str, Brought]:
        found = {}
        still = {item["id"]: item for item in first["items"]}
        same = self._of_state(first, until - timedelta(microseconds=1), is_before=True)
        for name in {bill["subscription_item_id"] for bill in bills}:
            told = [bill for bill in bills if bill["subscription_item_id"] == name and bill["period_start"] < until]
            begun = [bill for bill in told if bill["period_start"] <= at]
            if not begun:
                continue
            bill, later = begun[-1], told[len(begun) :]
            ends = bill["period_end"]
            if later and later[0]["period_start"] - ends <= DAY:
                ends = later[0]["period_start"]
            elif not later and name in still and until - ends < ends - bill["period_start"]:
                ends = until
            if at >= ends:
                continue
            price = bill["price"]
            factor = _MONTHS[price["recurring_interval"]] / price["recurring_interval_count"]
            mrr = half_even(Fraction(bill["amount"]) * factor)
            as_known = same.get(name)
            if (
                as_known is not None
                and as_known.left_out_by is None
                and abs(as_known.mrr - mrr) <= 1
                and (still[name]["price_id"], still[name]["quantity"]) == (bill["price_id"], bill["quantity"])
            ):
                mrr = as_known.mrr
            found[name] = Brought(first["customer_id"], bill["currency"], mrr, None, is_reconstructed=True)
        return found

    def sums(self, at: datetime) -> dict[tuple[str, str], int]:
        """By customer and currency, those of 0 left out."""
        sums: dict[tuple[str, str], int] = defaultdict(int)
        for subscription in self._states:
            for brought in self.brought(subscription, at).values():
                sums[brought.customer, brought.currency] += brought.mrr
        return {key: total for key, total in sums.items() if total}

    def movements(self, moments: Mapping[str, set[date]]) -> dict[tuple[str, str], list[tuple[date, str, int, int]]]:
        """(day, movement, opening, closing) by customer and currency. `moments` are the days to look at."""
        of_customer: dict[str, list[str]] = defaultdict(list)
        for name, states in self._states.items():
            of_customer[states[0]["customer_id"]].append(name)
        found: dict[tuple[str, str], list[tuple[date, str, int, int]]] = defaultdict(list)
        for customer, subscriptions in of_customer.items():
            last: dict[str, int] = defaultdict(int)
            had_any = set[str]()
            for day in sorted(moments[customer]):
                morning = datetime(day.year, day.month, day.day, tzinfo=UTC)
                closing = self._closing(subscriptions, morning + DAY - timedelta(microseconds=1))
                for currency in set(closing) | set(last):
                    before, now = last[currency], closing[currency]
                    if before == now:
                        continue
                    at_zero = morning if before == 0 else morning + DAY
                    if before == 0 and currency not in had_any:
                        movement = "new"
                    elif before == 0:
                        movement = "expansion" if self._lives(subscriptions, currency, at_zero) else "reactivation"
                    elif now == 0:
                        movement = "contraction" if self._lives(subscriptions, currency, at_zero) else "churn"
                    else:
                        movement = "expansion" if now > before else "contraction"
                    had_any.add(currency)
                    last[currency] = now
                    found[customer, currency].append((day, movement, before, now))
        return dict(found)

    def _closing(self, subscriptions: Sequence[str], evening: datetime) -> dict[str, int]:
        closing: dict[str, int] = defaultdict(int)
        for brought in [each for name in subscriptions for each in self.brought(name, evening).values()]:
            closing[brought.currency] += brought.mrr
        return closing

    def _lives(self, subscriptions: Sequence[str], currency: str, at: datetime) -> bool:
        """Whether a subscription lives just before that moment, or goes on after a time of which no bill tells."""
        for name in subscriptions:
            now = list(self.brought(name, at - timedelta(microseconds=1)).values())
            alive = (None, "paused", "pause_collection", "metered", "trialing")
            if any(each.currency == currency and each.left_out_by in alive for each in now):
                return True
            first = min(self._effective[name])
            starts = [bill["period_start"] for bill in self._lines[name] if bill["currency"] == currency]
            if now or at > first or not starts or min(starts) >= at:
                continue
            # What is still to come tells nothing yet.
            following = [start for start in starts if at <= start < first and start <= self._as_of]
            if following or (
                first <= self._as_of
                and any(
                    each.left_out_by is None and each.currency == currency
                    for each in self.brought(name, first).values()
                )
            ):
                return True
        return False


def _effective(states: Sequence[Row]) -> list[datetime]:
    moments = []
    for number, state in enumerate(states):
        before = states[number - 1] if number else None
        moment = state["held_at"]
        if state["status"] == "canceled":
            moment = state["ended_at"]
        elif before is not None and before["status"] == "trialing" != state["status"] and state.get("trial_end"):
            moment = min(moment, state["trial_end"]) if state["trial_end"] <= moment else moment
        moments.append(moment)
    return moments


def _left_out(state: Row, at: datetime, *, is_before: bool) -> str | None:
    status, trial_end = state["status"], state.get("trial_end")
    if status == "canceled" and not is_before:
        return "ended"
    if status in ("incomplete", "incomplete_expired"):
        return str(status)
    if status != "canceled" and state.get("cancel_at") and state["cancel_at"] <= at:
        return "ended"
    if (status == "trialing" or is_before) and trial_end and at < trial_end:
        return "trialing"
    if status == "trialing" and trial_end is None:
        return "trialing"
    if status in ("unpaid", "paused"):
        return str(status)
    resumes = state.get("pause_collection_resumes_at")
    if state.get("pause_collection_behavior") == "void" and (resumes is None or at < resumes):
        return "pause_collection"
    return None


def _bill(item: Row) -> Fraction:
    price, units = item["price"], Fraction(item["quantity"] or 0)
    if price["transform_quantity_divide_by"]:
        whole, rest = divmod(int(units), price["transform_quantity_divide_by"])
        units = Fraction(whole + (1 if rest and price["transform_quantity_round"] == "up" else 0))
    if not price["tiers"]:
        return units * Fraction(price["unit_amount_decimal"])
    total, after = Fraction(0), 0
    for tier in price["tiers"]:
        unit, flat = Fraction(tier["unit_amount_decimal"] or 0), Fraction(tier["flat_amount_decimal"] or 0)
        is_last = tier["up_to"] is None or units <= tier["up_to"]
        if price["tiers_mode"] == "volume":
            if is_last:
                return units * unit + flat
        else:
            total += (min(units, tier["up_to"]) if tier["up_to"] is not None else units) * unit - after * unit + flat
            if is_last:
                return total
        after = tier["up_to"]
    return total


def _share(amount: int, meant: Sequence[str], amounts: dict[str, Fraction]) -> None:
    total = sum((amounts[name] for name in meant), Fraction(0))
    if total <= amount:
        for name in meant:
            amounts[name] = Fraction(0)
        return
    shares = {name: amount * amounts[name] / total for name in meant}
    left = amount - sum(int(share) for share in shares.values())
    by_rest = sorted(meant, key=lambda name: (int(shares[name]) - shares[name], name))
    for place, name in enumerate(by_rest):
        amounts[name] -= min(Fraction(int(shares[name]) + (1 if place < left else 0)), amounts[name])


def _applies(discount: Row, at: datetime) -> bool:
    if discount["duration"] == "once":
        return False
    now = at.timestamp()
    starts, ends = discount["starts_at"], discount["ends_at"]
    return (starts is None or starts <= now) and (ends is None or now < ends)


def _tax(state: Row, item_id: str) -> Fraction:
    of_item = [rate for rate in state["tax_rates"] if rate["subscription_item_id"] == item_id]
    rates = of_item or [rate for rate in state["tax_rates"] if rate["subscription_item_id"] is None]
    return sum((Fraction(rate["percentage"]) for rate in rates if rate["inclusive"]), Fraction(0))
