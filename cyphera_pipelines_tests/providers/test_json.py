import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyphera_pipelines.providers.stripe.transport import parse_json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text() | st.floats(allow_nan=False, width=32),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=5), children, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_whatever_is_json_is_read(value: object) -> None:
    # Non-finite numbers are not JSON, whatever the standard library writes.
    text = json.dumps(value)
    if "Infinity" not in text:
        assert parse_json(text.encode()) == value


@given(JSON.filter(lambda value: isinstance(value, dict | list)), st.data())
def test_what_was_cut_off_is_not_json(value: object, data: st.DataObject) -> None:
    text = json.dumps(value)
    assert parse_json(text[: data.draw(st.integers(0, len(text) - 1))]) is None


def test_lone_surrogates_are_read() -> None:
    assert parse_json(rb'{"name": "a\ud800b"}') == {"name": "a\ud800b"}


@pytest.mark.parametrize("body", [b"", b"<html></html>", b"\xff\xfe\x00", b"[" * 100_000, b"[" * 500 + b"]" * 499])
def test_anything_else_is_not(body: bytes) -> None:
    assert parse_json(body) is None
