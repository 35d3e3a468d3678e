import io
import json
import logging
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import pytest

from cyphera_pipelines.security.secrets import (
    RedactingFilter,
    redact,
    redact_values,
    register_secret,
    secrets_of_one_request,
)


@pytest.mark.parametrize(
    "secret",
    [
        "sk_live_51AbCdEf",
        "rk_live_51AbCdEf",
        "rk_test_51AbCdEf",
        "whsec_0123456789abcdef",
        "sk_test_x_y-z1234567",
        "sk_org_51AbCdEf",
        "sk_org_live_51AbCdEf",
        "sk_org_test_51AbCdEf",
    ],
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


def test_a_request_s_secrets_are_cut_out_in_it_and_nowhere_else() -> None:
    register_secret("known-to-all")
    with secrets_of_one_request():
        register_secret("session")
        register_secret("session-known-to-all-too")
        assert redact("a session, session-known-to-all-too, known-to-all") == "a ***, ***, ***"
        with secrets_of_one_request():
            assert redact("another session, known-to-all") == "another session, ***"
        assert redact("session") == "***"
    assert redact("a session, known-to-all") == "a session, ***"


def test_threads_in_a_copy_of_the_context_share_its_secrets() -> None:
    with ThreadPoolExecutor(1) as threads:
        with secrets_of_one_request():
            context = copy_context()
            threads.submit(context.run, register_secret, "found-by-the-thread").result()
            assert redact("found-by-the-thread") == "***"
            assert threads.submit(redact, "found-by-the-thread").result() == "found-by-the-thread"
        assert threads.submit(context.run, redact, "found-by-the-thread").result() == "***"


@pytest.mark.parametrize(
    "secret", ['"level"', '{"level": "', "warning", 'quote"inside', "back\\slash-inside", "größer-als"]
)
def test_no_secret_breaks_json(secret: str) -> None:
    with secrets_of_one_request():
        register_secret(secret)
        value = {"level": "warning", "said": [f"it is {secret}!", None, 1.5], f"{secret} as a key": {"a": True}}
        cleaned = redact_values(value)
        assert cleaned["said"] == ["it is ***!", None, 1.5]
        assert cleaned["*** as a key"] == {"a": True}
        assert json.loads(json.dumps(cleaned)) == cleaned


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
