"""What a site's coupons take off. A subscription names its coupons only."""

from collections.abc import Callable, Iterable, Mapping
from threading import Lock
from typing import Any

from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.storable import storable
from cyphera_pipelines.providers.base import (
    EndlessListError,
    Notice,
    ObjectGoneError,
    PermissionDeniedError,
    RefusedRequestError,
)
from cyphera_pipelines.providers.chargebee.discounts import Terms
from cyphera_pipelines.providers.chargebee.lists import ListReader
from cyphera_pipelines.providers.chargebee.resources import id_of
from cyphera_pipelines.providers.chargebee.transport import ChargebeeTransport, object_path

FEW = 5
"""So many coupons are read by their ids before all of them are listed, of which a site may have very many."""
MOST_ASKED_FOR = 100
"""So many coupons are read by their ids: what no list shows beyond that is not known."""
COUPONS_IN_A_MESSAGE = 5
_LISTED = {"status[in]": '["active","expired","archived","deleted","future"]'}
# Not how often it was used and the like: that would make every use of a coupon a change of all its subscriptions.
_TERMS = (
    "name",
    "discount_type",
    "discount_percentage",
    "discount_amount",
    "currency_code",
    "duration_type",
    "duration_month",
    "period",
    "period_unit",
    "apply_on",
    "item_constraints",
)


class CouponReader:
    """Reads the coupons of one site: a few by their ids, then all at once, and then by its id what no list shows.

    What it has read it keeps: the terms of a coupon that is in use hardly change. Safe to use from several threads.
    """

    def __init__(self, transport: ChargebeeTransport, lists: ListReader, on_notice: Callable[[Notice], None]) -> None:
        self._transport, self._lists, self._on_notice = transport, lists, on_notice
        self._lock = Lock()
        self._terms: dict[str, dict[str, Any]] = {}
        self._unknown = set[str]()
        self._asked_for = 0
        self._is_listed = self._is_forbidden = False

    @property
    def terms(self) -> Terms:
        """What is known."""
        return self._terms

    def read(self, coupon_ids: Iterable[str]) -> int:
        """Make these coupons known, as far as the site tells them. Returns the requests made.

        Of coupons that are gone, or that the key may not read, nothing is known: a notice says so. Raises
        ProviderError's kinds where they cannot be read just now.
        """
        wanted = list(dict.fromkeys(coupon_ids))
        if not self._missing(wanted):
            return 0
        with self._lock:
            try:
                return self._read(wanted)
            except PermissionDeniedError as error:
                self._unknown.update(wanted)
                if not self._is_forbidden:
                    self._is_forbidden = True
                    self._note(f"The key may not read coupons: what they take off is not known. {error}", wanted)
                return 1

    def _read(self, wanted: list[str]) -> int:
        if self._is_forbidden:
            self._unknown.update(wanted)
            return 0
        requests, gone = 0, list[str]()
        if not self._is_listed and self._asked_for + len(self._missing(wanted)) > FEW:
            requests = self._list_all()
        for coupon_id in self._missing(wanted):
            if self._asked_for < MOST_ASKED_FOR:
                self._asked_for += 1
                requests += 1
                if self._read_one(coupon_id):
                    continue
            self._unknown.add(coupon_id)
            gone.append(coupon_id)
        if gone:
            self._note(
                "Coupons that subscriptions name are not there: what they take off is not known: "
                f"{', '.join(gone[:COUPONS_IN_A_MESSAGE])}{' and others' if len(gone) > COUPONS_IN_A_MESSAGE else ''}.",
                gone,
            )
        return requests

    def _missing(self, wanted: Iterable[str]) -> list[str]:
        return [each for each in wanted if each not in self._terms and each not in self._unknown]

    def _list_all(self) -> int:
        try:
            requests = self._list(_LISTED)
        except RefusedRequestError:
            # Not every site lets deleted ones be asked for: those are read by their ids.
            requests = 1 + self._list({})
        self._is_listed = True
        return requests

    def _list(self, asked: Mapping[str, str]) -> int:
        offset, seen = None, set[str]()
        while True:
            page = self._lists.page("coupons", "coupon", asked, "listing coupons", offset=offset)
            for coupon in page.objects:
                self._keep(coupon)
            offset = page.next_offset
            if offset is None:
                return len(seen) + 1
            if offset in seen:
                raise EndlessListError("listing coupons", "the same page follows twice")
            seen.add(offset)

    def _read_one(self, coupon_id: str) -> bool:
        operation = f"reading coupon {coupon_id}"
        try:
            answer = self._transport.get(object_path("coupons", coupon_id), {}, operation, endpoint="one of coupons")
        except ObjectGoneError:
            return False
        coupon = answer.get("coupon")
        return id_of(coupon) == coupon_id and self._keep(coupon)

    def _keep(self, coupon: Any) -> bool:
        coupon_id = id_of(coupon)
        if coupon_id is not None:
            self._terms[coupon_id] = storable({name: coupon[name] for name in _TERMS if coupon.get(name) is not None})
        return coupon_id is not None

    def _note(self, message: str, coupon_ids: list[str]) -> None:
        details = {"coupons": coupon_ids[:MOST_ASKED_FOR]}
        self._on_notice(Notice("coupons_not_known", message, details, ErrorCode.DISCOUNT_TERMS_UNKNOWN))
