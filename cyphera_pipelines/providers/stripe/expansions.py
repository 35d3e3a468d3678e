"""What is asked for along with objects: their discounts, of which Stripe tells ids otherwise, tax ids, and payments.

Stripe expands four levels at most: the coupons of items' discounts, and of invoices' totals, lie deeper. Not everybody
lets us: a restricted key may lack the permission, and whoever stands in for Stripe may know less. Then ids will do.
"""

from collections.abc import Callable
from typing import Any

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.providers.base import Notice, PermissionDeniedError, RefusedRequestError

_EXPANDED: dict[Entity, tuple[str, ...]] = {
    Entity.CUSTOMERS: ("discount.source.coupon", "tax_ids"),
    Entity.SUBSCRIPTIONS: ("discounts.source.coupon", "items.data.discounts"),
    Entity.INVOICES: ("discounts.source.coupon", "total_discount_amounts.discount", "payments"),
}
ITEMS = "data.discounts"
"""The same where a subscription's items are listed by themselves."""
_ABOUT_EXPANSIONS = ("coupon", "discount", "promotion", "tax_id", "payment")


def of_list(entity: Entity) -> tuple[str, ...]:
    """What is expanded where the entity is listed."""
    return tuple(f"data.{path}" for path in of_one(entity))


def of_one(entity: Entity) -> tuple[str, ...]:
    """What is expanded where one object is read."""
    return _EXPANDED.get(entity, ())


class Expansions:
    """What of that one account lets us expand. Safe to use from several threads."""

    def __init__(self, on_notice: Callable[[Notice], None]) -> None:
        self._on_notice = on_notice
        self._refused: set[str] = set()

    def get(
        self, endpoint: str, expand: tuple[str, ...], get: Callable[[tuple[str, ...]], dict[str, Any]]
    ) -> dict[str, Any]:
        """What `get` returns for the expansions, or for none of them where they are what is refused.

        Raises what `get` does for a reason of another kind.
        """
        if not expand or endpoint in self._refused:
            return get(())
        try:
            return get(expand)
        except (RefusedRequestError, PermissionDeniedError) as error:
            if isinstance(error, PermissionDeniedError) and not _is_about_expansions(error):
                raise
            answer = get(())
            is_first = not self._refused
            self._refused.add(endpoint)
            if is_first:
                what = (
                    f"{error} Objects were read without: of their discounts only the ids are known, and tax ids of "
                    "customers and payments of invoices stay as they are."
                )
                self._on_notice(Notice("expansions_refused", what, code=error.code))
            return answer


def _is_about_expansions(error: PermissionDeniedError) -> bool:
    return error.permission is not None and any(word in error.permission for word in _ABOUT_EXPANSIONS)
