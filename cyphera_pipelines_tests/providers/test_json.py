import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyphera_pipelines.providers.http.json_text import (
    NotJsonError,
    TooDeepError,
    first_id_in_list,
    parse_clipped,
    parse_json,
)

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False, width=32),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=5), children, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_whatever_is_json_is_read(value: object) -> None:
    assert parse_json(json.dumps(value).encode()) == value


@given(JSON.filter(lambda value: isinstance(value, dict | list)), st.data())
def test_what_was_cut_off_is_not_json(value: object, data: st.DataObject) -> None:
    text = json.dumps(value)
    with pytest.raises(NotJsonError):
        parse_json(text[: data.draw(st.integers(0, len(text) - 1))])


def test_lone_surrogates_are_read() -> None:
    assert parse_json(rb'{"name": "a\ud800b"}') == {"name": "a\ud800b"}


@pytest.mark.parametrize("body", [b"", b"<html></html>", b"\xff\xfe\x00", b"[" * 100_000, b"[" * 500 + b"]" * 499])
def test_anything_else_is_not(body: bytes) -> None:
    with pytest.raises(NotJsonError):
        parse_json(body)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("NaN", "NaN"),
        ("-Infinity", "-Infinity"),
        ("1e999", "1e999"),
        ("1" * 400, int("1" * 400)),
        ("1" * 5_000, "1" * 5_000),
    ],
)
def test_numbers_that_are_none_are_texts(text: str, value: object) -> None:
    assert parse_json(f'{{"a": {text}}}') == {"a": value}


LIST = '{"object": "list", "has_more": true, "note": {"id": "no"}, "data": [{"object": "x", "a": [{"id": "inner"}], '


@pytest.mark.parametrize(
    ("beginning", "first_id"),
    [
        (LIST + '"id": "cus_1", "b": [[[["', "cus_1"),
        (LIST + r'"name": "a \"id\": \"b", "id": "a\u00e9", ', "aé"),
        (LIST + '"b": 1}, {"id": "second"}', None),
        (LIST + '"id": 5, "b": "c"', None),
        (LIST + '"id": "cus_', None),
        ('{"id": "no", "data": {"id": "no"}}', None),
        ("", None),
    ],
)
def test_the_first_id_is_found_in_the_beginning_of_a_list(beginning: str, first_id: str | None) -> None:
    assert first_id_in_list(beginning.encode()) == first_id


def test_what_nests_too_deeply_is_cut_out_of_the_rest() -> None:
    deep = b'{"]": ' * 5_000 + b"[" * 5_000 + b"]" * 5_000 + b"}" * 5_000
    body = b'{"data": [{"id": "a", "odd": %b}, %b, {"id": "[[\\"b"}], "has_more": true}' % (deep, deep)
    with pytest.raises(TooDeepError):
        parse_json(body)
    value = parse_clipped(body)
    assert [each["id"] for each in (value["data"][0], value["data"][2])] == ["a", '[["b']
    assert value["has_more"] is True
    assert "(what nests too deeply)" in str(value["data"][0])
    for cut in (body[:-1], body[:30_000]):
        with pytest.raises(NotJsonError):
            parse_clipped(cut)
