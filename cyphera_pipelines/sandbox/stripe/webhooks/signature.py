"""The header by which a receiver knows who sent an event, and when."""

import hashlib
import hmac

HEADER = "Stripe-Signature"


def signature_of(body: bytes, secret: str, at: int) -> str:
    """Return the header's value for a body sent `at` (Unix seconds)."""
    signed = hmac.new(secret.encode(), b"%d." % at + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={signed}"
