from dataclasses import replace

import pytest

from cyphera_pipelines.security.api_keys import new_key, parse_key
from cyphera_pipelines.security.secrets import MASK, redact


def test_a_key_comes_back_from_its_text() -> None:
    for _ in range(50):
        key = new_key()
        assert parse_key(key.as_text()) == key
        assert key.matches(key.digest())


def test_another_secret_does_not_match() -> None:
    key, other = new_key(), new_key()
    assert not replace(key, secret=other.secret).matches(key.digest())
    assert not key.matches(b"")


KEY = f"cyk_{'0123456789abcdef' * 2}_{'A' * 43}"


@pytest.mark.parametrize(
    "text",
    ["", "cyk_", "cyk__", "sk_test_123", "cyk_zz_secret", f"{KEY}x", f"{KEY}\n"],
)
def test_what_is_no_key_is_told_apart(text: str) -> None:
    assert parse_key(KEY) is not None
    assert parse_key(text) is None


def test_a_key_is_seen_in_no_text() -> None:
    key = new_key()
    assert key.secret not in repr(key)
    assert key.secret.encode() not in key.digest()
    assert redact(f"X-API-Key: {key.as_text()}.").rstrip("*.") == "X-API-Key: cyk_"
    assert redact("cyk_0123456789abcdef_unregistered-secret") == f"cyk_{MASK}"
    assert redact(f"half of it: {key.secret}") == f"half of it: {MASK}"
