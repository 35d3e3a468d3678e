"""What a Stripe API key tells about itself."""

ORGANIZATION_PREFIX = "sk_org"
_LIVE = ("sk_live_", "rk_live_", f"{ORGANIZATION_PREFIX}_live_")


def is_test_key(api_key: str) -> bool | None:
    """Whether the key is for test mode: every key but `sk_live_...`, `rk_live_...` and `sk_org_live_...`.

    None for an organization's key without a word on its mode, of which Stripe's documentation promises none.
    """
    if is_organization_key(api_key) and not api_key.startswith((f"{ORGANIZATION_PREFIX}_test_", *_LIVE)):
        return None
    return not api_key.startswith(_LIVE)


def is_organization_key(api_key: str) -> bool:
    """Whether the key is an organization's: it opens all of its accounts and has none of its own."""
    return api_key.startswith(ORGANIZATION_PREFIX)
