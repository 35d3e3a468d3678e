"""What the discounts on a bill take off each of its lines."""

from collections.abc import Sequence

from cyphera_pipelines.sandbox.business.discounts import Discount
from cyphera_pipelines.sandbox.business.offers import product_of_price
from cyphera_pipelines.sandbox.business.world import World


def reductions(
    world: World, discounts: Sequence[Discount], price_numbers: Sequence[int], amounts: Sequence[int], items: int
) -> list[tuple[int, ...]]:
    """Of each line what each discount takes off it, in the order of the discounts.

    The lines are of these prices and come to these amounts, in the currency's smallest unit; the first `items` of them
    are the subscription's items. Those of items come first, whatever their order; each takes from what is left.
    """
    left = list(amounts)
    off = [[0] * len(discounts) for _ in amounts]
    in_order = sorted(range(len(discounts)), key=lambda at: discounts[at].item is None)
    for at in in_order:
        discount = discounts[at]
        lines = [
            line
            for line, price in enumerate(price_numbers)
            if discount.item is None or (line == discount.item and line < items)
            if not discount.coupon.products or product_of_price(world, price) in discount.coupon.products
        ]
        taken = _taken(discount, [left[line] for line in lines])
        for line, amount in zip(lines, taken, strict=True):
            off[line][at] = amount
            left[line] -= amount
    return [tuple(each) for each in off]


def _taken(discount: Discount, amounts: Sequence[int]) -> list[int]:
    if sum(amounts) < 0:
        # What comes to less than nothing is not made cheaper.
        return [0 for _ in amounts]
    if discount.coupon.amount_off is None:
        return [discount.coupon.of(amount) for amount in amounts]
    return _spread(discount.coupon.amount_off, amounts)


def _spread(off: int, amounts: Sequence[int]) -> list[int]:
    """An amount over lines by their share, to the unit: the largest remainders are rounded up. Never below zero."""
    positive = [max(amount, 0) for amount in amounts]
    whole = sum(positive)
    off = max(min(off, sum(amounts)), 0)
    if not whole:
        return [0 for _ in amounts]
    shares = [off * amount // whole for amount in positive]
    by_remainder = sorted(range(len(positive)), key=lambda at: (-(off * positive[at] % whole), at))
    for at in by_remainder[: off - sum(shares)]:
        shares[at] += 1
    return shares
