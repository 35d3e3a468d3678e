import io
import logging

import pytest

from cyphera_pipelines.security.secrets import RedactingFilter, redact, register_secret


@pytest.mark.parametrize(
    "secret", ["sk_live_51AbCdEf", "rk_test_51AbCdEf", "whsec_0123456789abcdef", "sk_test_x_y-z1234567"]
)
def test_what_looks_like_a_key_is_cut_out(secret: str) -> None:
    cut = redact(f"the key {secret} was refused")
    assert secret[8:] not in cut
    assert cut.endswith("was refused")


def test_a_registered_secret_is_cut_out_whatever_it_looks_like() -> None:
    register_secret("correct horse battery")
    assert redact("they said: correct horse battery!") == "they said: ***!"


def test_a_secret_that_holds_another_one_is_cut_out_whole() -> None:
    register_secret("inner-secret")
    register_secret("outer-inner-secret-outer")
    assert redact("x outer-inner-secret-outer y inner-secret z") == "x *** y *** z"


def test_harmless_text_stays() -> None:
    text = "customer cus_123, invoice in_456, task sk_8"
    assert redact(text) == text


def test_log_records_lose_their_secrets() -> None:
    register_secret("tracebacks-show-this")
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(RedactingFilter())
    logger = logging.getLogger("redaction")
    logger.propagate = False
    logger.addHandler(handler)
    try:
        raise ValueError("tracebacks-show-this")
    except ValueError:
        logger.exception("key %s and %s", "sk_test_abcdefghij", {"nested": "tracebacks-show-this"})
    written = stream.getvalue()
    assert "Traceback" in written
    assert "abcdefghij" not in written
    assert "tracebacks-show-this" not in written
