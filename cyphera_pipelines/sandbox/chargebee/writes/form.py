"""Bodies of requests as Chargebee reads them: form-encoded, nested by brackets, lists by index."""

import json
import re
from typing import Any
from urllib.parse import parse_qsl

from cyphera_pipelines.sandbox.chargebee.errors import ChargebeeError, missing, unknown_parameter, wrong_value
from cyphera_pipelines.sandbox.serialization import JsonObject

_NAME = re.compile(r"([A-Za-z_][\w]*)((?:\[[^\[\]]*\])*)")
_PART = re.compile(r"\[([^\[\]]*)\]")
MOST_AMOUNT = 9_999_999_999_999


class Form:
    """The parameters of one request. Each is taken once; what nobody took, the address does not know.

    An empty value means that the field is to be emptied: it is taken as None.
    """

    def __init__(self, body: bytes) -> None:
        self._values: dict[str, str] = {}
        try:
            pairs = parse_qsl(body.decode(), keep_blank_values=True, errors="strict")
        except ValueError:
            raise ChargebeeError(400, "invalid_request", "The request body is not form-encoded UTF-8") from None
        for name, value in pairs:
            if _NAME.fullmatch(name) is None:
                raise unknown_parameter(name)
            self._values[name] = value

    def has(self, name: str) -> bool:
        """Whether a parameter is given, be it empty."""
        return name in self._values

    def text(self, name: str) -> str | None:
        """Take a text."""
        return self._values.pop(name, None) or None

    def need(self, name: str) -> str:
        """Take a text that has to be there. Raises ChargebeeError."""
        value = self.text(name)
        if value is None:
            raise missing(name)
        return value

    def choice(self, name: str, choices: tuple[str, ...]) -> str | None:
        """Take one of some words. Raises ChargebeeError for another."""
        value = self.text(name)
        if value is not None and value not in choices:
            raise wrong_value(name, f"should be one of {', '.join(choices)}")
        return value

    def integer(self, name: str, least: int = 0) -> int | None:
        """Take a number. Raises ChargebeeError for what is none, or out of bounds."""
        value = self.text(name)
        if value is None:
            return None
        try:
            number = int(value)
        except ValueError:
            raise wrong_value(name, "should be a number") from None
        if not least <= number <= MOST_AMOUNT:
            raise wrong_value(name, f"should be between {least} and {MOST_AMOUNT}")
        return number

    def boolean(self, name: str) -> bool | None:
        """Take a truth. Raises ChargebeeError for what is none."""
        value = self.choice(name, ("true", "false"))
        return None if value is None else value == "true"

    def json_object(self, name: str) -> JsonObject | None:
        """Take a JSON object, as metadata are given. Raises ChargebeeError for what is none."""
        value = self.text(name)
        if value is None:
            return None
        try:
            parsed = json.loads(value)
        except ValueError:
            parsed = None
        if not isinstance(parsed, dict):
            raise wrong_value(name, "should be a JSON object")
        return parsed

    def group(self, name: str, fields: tuple[str, ...]) -> JsonObject | None:
        """Take the fields of a nested object, as in `billing_address[city]`; None if none of them is given."""
        found = {field: self.text(f"{name}[{field}]") for field in fields if self.has(f"{name}[{field}]")}
        return {field: value for field, value in found.items() if value is not None} if found else None

    def rows(self, name: str, fields: tuple[str, ...]) -> list[dict[str, str]]:
        """Take a list of nested objects, as in `charges[amount][0]`, in the order of their indexes."""
        rows: dict[int, dict[str, str]] = {}
        for key in list(self._values):
            root, parts = _split(key)
            if root == name and len(parts) == 2 and parts[0] in fields and parts[1].isdecimal():
                rows.setdefault(int(parts[1]), {})[parts[0]] = self._values.pop(key)
        return [rows[index] for index in sorted(rows)]

    def values(self, name: str) -> list[str] | None:
        """Take a list of texts, as in `coupon_ids[0]`; None if it is not given."""
        found: dict[int, str] = {}
        for key in list(self._values):
            root, parts = _split(key)
            if root == name and len(parts) == 1 and parts[0].isdecimal():
                found[int(parts[0])] = self._values.pop(key)
        return [found[index] for index in sorted(found)] if found else None

    def custom_fields(self) -> JsonObject:
        """Take all fields of the site's own."""
        return {name: self._values.pop(name) or None for name in list(self._values) if name.startswith("cf_")}

    def fields(self, texts: tuple[str, ...]) -> JsonObject:
        """Take those of some texts that are given; empty ones are None."""
        return {name: self.text(name) for name in texts if self.has(name)}

    def end(self) -> None:
        """Everything has been taken. Raises ChargebeeError for what the address does not know."""
        for name in self._values:
            raise unknown_parameter(name)


def _split(key: str) -> tuple[str, list[str]]:
    match = _NAME.fullmatch(key)
    return (match.group(1), _PART.findall(match.group(2))) if match else (key, [])


def changed(before: JsonObject, given: JsonObject) -> JsonObject:
    """Return an object with given fields; those that are None are left out, as Chargebee leaves out what is absent."""
    after: dict[str, Any] = {**before, **given}
    return {name: value for name, value in after.items() if value is not None}
