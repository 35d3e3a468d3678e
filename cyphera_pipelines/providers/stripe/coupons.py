"""The terms of coupons: discounts name them by ids, which is all that there is of them in objects and in events.

They are asked for when the first discount is met, and never again: a few one by one, more of them by listing all. Those
that are gone, or that the key may not read, leave the terms of their discounts unknown, and nothing fails for that.
"""

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import quote

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.storable import is_usable_id, storable
from cyphera_pipelines.providers.base import (
    CredentialsRejectedError,
    CursorLostError,
    Notice,
    ObjectGoneError,
    ProviderError,
    ProviderUnavailableError,
    RequestAbandonedError,
)
from cyphera_pipelines.providers.stripe.pages import PageReader, Unread
from cyphera_pipelines.providers.stripe.paging import Paging, entries_of
from cyphera_pipelines.providers.stripe.transport import StripeTransport

FEW = 5
"""So many are asked for one by one, before all are listed."""
_EXPANDED = ("applies_to", "currency_options")
_OF_ALL_DISCOUNTS = ("times_redeemed", "valid", "max_redemptions", "redeem_by")
_LARGEST_AMOUNT = 2**63


class Coupon(NamedTuple):
    """What of a coupon makes rows; None where it is not told, or is not what it should be.

    `amounts_off` are those in other currencies than its own.
    """

    name: str | None = None
    percent_off: str | None = None
    amount_off: int | None = None
    currency: str | None = None
    duration: str | None = None
    duration_in_months: int | None = None
    product_ids: tuple[str, ...] | None = None
    amounts_off: tuple[tuple[str, int], ...] = ()

    def terms_in(self, currency: Any) -> dict[str, Any]:
        """The columns of a discount of it, on something that is billed in that currency."""
        amount, of_currency = self.amount_off, self.currency
        if amount is not None and currency != of_currency and currency in dict(self.amounts_off):
            amount, of_currency = dict(self.amounts_off)[currency], currency
        kind = "percent" if self.percent_off is not None else ("amount" if amount is not None else None)
        return {
            "coupon_name": self.name,
            "kind": kind,
            "percent_off": self.percent_off,
            "amount_off": amount,
            "currency": of_currency,
            "duration": self.duration,
            "duration_in_months": self.duration_in_months,
            "product_ids": None if self.product_ids is None else list(self.product_ids),
        }


UNKNOWN = Coupon()
Coupons = Mapping[str, Coupon]
"""What is known of coupons, by id."""


def to_coupon(told: Mapping[str, Any]) -> Coupon:
    """What a coupon tells. Whatever is odd about it counts as not told: it is not the discount's fault."""
    limits, options = told.get("applies_to"), told.get("currency_options")
    products = limits.get("products") if isinstance(limits, dict) else None
    amounts = {
        name.lower(): _whole(option.get("amount_off"))
        for name, option in (options.items() if isinstance(options, dict) else ())
        if isinstance(option, dict)
    }
    currency = _text(told.get("currency"))
    return Coupon(
        _text(told.get("name")),
        _percent(told.get("percent_off")),
        _whole(told.get("amount_off")),
        None if currency is None else currency.lower(),
        _text(told.get("duration")),
        _whole(told.get("duration_in_months")),
        tuple(filter(is_usable_id, products)) if isinstance(products, list) else None,
        tuple(sorted((name, amount) for name, amount in amounts.items() if amount is not None)),
    )


def discounts_in(entity: Entity, obj: Any) -> Iterator[dict[str, Any]]:
    """The discounts in an object that are there whole, wherever they stand."""
    if not isinstance(obj, dict):
        return
    found = list[Any]()
    if entity is Entity.CUSTOMERS:
        found.append(obj.get("discount"))
    if entity in (Entity.SUBSCRIPTIONS, Entity.INVOICES):
        found += _list(obj.get("discounts"))
        found.append(obj.get("discount"))
    if entity is Entity.SUBSCRIPTIONS and isinstance(obj.get("items"), dict):
        for item in _list(obj["items"].get("data")):
            found += _list(item.get("discounts")) if isinstance(item, dict) else []
    if entity is Entity.INVOICES:
        found += [each.get("discount") for each in _list(obj.get("total_discount_amounts")) if isinstance(each, dict)]
    yield from (each for each in found if isinstance(each, dict))


@dataclass
class CouponBook:
    """The coupons of one account, as far as discounts have led to them. Safe to use from several threads."""

    transport: StripeTransport
    pages: PageReader
    on_notice: Callable[[Notice], None]
    known: dict[str, Coupon] = field(default_factory=dict)
    """By id; UNKNOWN where nobody tells, as of those that are gone."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _asked: int = 0
    _is_listed: bool = False
    _is_closed: bool = False
    _has_told_of_gone: bool = False

    def complete(self, entity: Entity, objects: Iterable[Any]) -> int:
        """Learn the coupons of all discounts in the objects, and leave their ids there. Return the requests made.

        How often a coupon was redeemed is nothing of the discount's: it would make unchanged objects look changed.
        Raises ProviderError where nothing more will work, or where asking again may help.
        """
        holders = [
            holder for obj in objects for discount in discounts_in(entity, obj) for holder in _coupon_holders(discount)
        ]
        told = {each["coupon"]["id"] for each in holders if isinstance(each["coupon"], dict)}
        wanted = told | {each["coupon"] for each in holders if isinstance(each["coupon"], str)}
        requests = self._learn(wanted, told) if wanted - self.known.keys() else 0
        for holder in holders:
            coupon = holder["coupon"]
            if isinstance(coupon, dict):
                is_known = self.known.get(coupon["id"], UNKNOWN) != UNKNOWN
                kept = {name: value for name, value in coupon.items() if name not in _OF_ALL_DISCOUNTS}
                holder["coupon"] = coupon["id"] if is_known else kept
        return requests

    def _learn(self, wanted: Collection[str], told: Collection[str]) -> int:
        """Ask for those of the wanted coupons that are not known. `told` are those that their discounts tell of."""
        requests = 0
        with self._lock:
            unknown = sorted(wanted - self.known.keys())
            if unknown and not self._is_closed and not self._is_listed and self._asked + len(unknown) > FEW:
                requests += self._trying(self._list)
                unknown = sorted(wanted - self.known.keys())
            for coupon_id in unknown:
                # One that no list tells any more is as its discounts tell it, if they do.
                if not self._is_closed and not (self._is_listed and coupon_id in told):
                    self._asked += 1
                    requests += self._trying(partial(self._read, coupon_id, is_told=coupon_id in told))
                self.known.setdefault(coupon_id, UNKNOWN)
        return requests

    def _trying(self, ask: Callable[[], int]) -> int:
        """Coupons that cannot be read are not asked for again. What may be over soon is raised."""
        try:
            return ask()
        except (CredentialsRejectedError, RequestAbandonedError, ProviderUnavailableError):
            raise
        except ProviderError as error:
            self._is_closed = True
            what = (
                f"{error} The terms of discounts are known only as far as the discounts tell them: percentages, "
                "amounts and durations may be missing, and to which products they are limited."
            )
            self.on_notice(Notice("coupons_unreadable", what, code=ErrorCode.DISCOUNT_TERMS_UNKNOWN))
            return 1

    def _list(self) -> int:
        operation, requests, cursor = "listing coupons", 0, None
        paging = Paging(operation, is_short=True)
        parameters: dict[str, Any] = {"expand[]": tuple(f"data.{name}" for name in _EXPANDED)}
        while True:
            asked = parameters if cursor is None else {**parameters, "starting_after": cursor}
            requests += 1
            try:
                answer = self.pages.get("/v1/coupons", asked, operation, endpoint="coupons")
            except CursorLostError:
                # Deleted meanwhile: those that follow are asked for one by one.
                break
            entries = entries_of(answer, operation)
            for each in entries:
                if isinstance(each, dict) and is_usable_id(each.get("id")) and not isinstance(each, Unread):
                    self.known[each["id"]] = to_coupon(each)
            cursor = paging.following(answer, entries)
            if cursor is None:
                break
        self._is_listed = True
        return requests

    def _read(self, coupon_id: str, is_told: bool) -> int:
        path, operation = f"/v1/coupons/{quote(coupon_id, safe='')}", f"reading coupon {coupon_id}"
        try:
            answer = self.transport.get(path, {"expand[]": _EXPANDED}, operation, endpoint="one of coupons")
        except ObjectGoneError:
            if not is_told and not self._has_told_of_gone:
                self._has_told_of_gone = True
                what = (
                    f"Discounts name coupons that are not there any more, as {coupon_id}: how much they take off is "
                    "not known."
                )
                self.on_notice(Notice("coupons_gone", what, code=ErrorCode.DISCOUNT_TERMS_UNKNOWN))
            return 1
        if answer.get("id") == coupon_id and answer.get("deleted") is not True:
            self.known[coupon_id] = to_coupon(answer)
        return 1


def _coupon_holders(discount: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Where in a discount its coupon stands, whole or as an id: an older version's place is the discount itself."""
    source = discount.get("source")
    for holder in (source if isinstance(source, dict) else {}, discount):
        coupon = holder.get("coupon")
        if is_usable_id(coupon.get("id") if isinstance(coupon, dict) else coupon):
            yield holder


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str | None:
    return str(storable(value)) if isinstance(value, str) and value else None


def _whole(value: Any) -> int | None:
    if value.__class__ is float and value.is_integer():
        value = int(value)
    return value if value.__class__ is int and abs(value) < _LARGEST_AMOUNT else None


def _percent(value: Any) -> str | None:
    if value.__class__ not in (int, float, str):
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return format(number.normalize(), "f") if number.is_finite() and abs(number) < 1_000_000 else None
