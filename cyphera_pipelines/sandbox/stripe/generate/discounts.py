"""How Stripe tells of discounts and of coupons."""

from cyphera_pipelines.sandbox.business.discounts import Coupon, Discount
from cyphera_pipelines.sandbox.serialization import JsonObject
from cyphera_pipelines.sandbox.stripe.generate.world import StripeWorld


def discount_id(discount: Discount) -> str:
    """Return a discount's identifier."""
    return f"di_1{discount.code}"


def told(discount: JsonObject, amount: int) -> JsonObject:
    """So much of a discount, as Stripe tells it of whole invoices."""
    return {"amount": amount, "discount": discount}


def discount_object(
    world: StripeWorld, discount: Discount, customer: int, subscription: int | None = None, item_id: str | None = None
) -> JsonObject:
    """Return the object: its coupon is an id, unless somebody asks to expand it."""
    return {
        **new_discount(discount_id(discount), discount.coupon.id, discount.start, discount.end),
        "customer": world.customer_id(customer),
        "promotion_code": f"promo_1{discount.code[:16]}" if discount.code[-1] in "01" else None,
        "subscription": None if subscription is None else world.subscription_id(subscription),
        "subscription_item": item_id,
    }


def new_discount(identifier: str, coupon_id: str, start: int, end: int | None) -> JsonObject:
    """Return a discount that is on nothing yet."""
    return {
        "id": identifier,
        "object": "discount",
        "checkout_session": None,
        "customer": None,
        "customer_account": None,
        "end": end,
        "invoice": None,
        "invoice_item": None,
        "promotion_code": None,
        "source": {"coupon": coupon_id, "type": "coupon"},
        "start": start,
        "subscription": None,
        "subscription_item": None,
    }


def coupon_object(world: StripeWorld, coupon: Coupon, created: int) -> JsonObject:
    """Return the object, with the products that it is limited to, which has to be asked for."""
    built: JsonObject = {
        "id": coupon.id,
        "object": "coupon",
        "amount_off": coupon.amount_off,
        "created": created,
        "currency": coupon.currency,
        "duration": coupon.duration,
        "duration_in_months": coupon.duration_in_months,
        "livemode": world.livemode,
        "max_redemptions": None,
        "metadata": {},
        "name": coupon.name,
        "percent_off": None if coupon.percent_off is None else float(coupon.percent_off),
        "redeem_by": None,
        "times_redeemed": 0,
        "valid": True,
    }
    if coupon.products:
        built["applies_to"] = {"products": [world.product_id(number) for number in coupon.products]}
    return built
