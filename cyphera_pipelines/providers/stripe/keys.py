"""What a Stripe API key tells about itself."""


def is_test_key(api_key: str) -> bool:
    """Whether the key is for test mode: every key but `sk_live_...` and `rk_live_...`."""
    return not api_key.startswith(("sk_live_", "rk_live_"))
