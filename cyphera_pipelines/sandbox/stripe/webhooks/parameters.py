"""The parameters with which an endpoint is made and changed, read from the body of a request and checked."""

from collections.abc import Collection, Mapping
from urllib.parse import parse_qsl

from cyphera_pipelines.sandbox.serialization import JsonObject
from cyphera_pipelines.sandbox.stripe.errors import ProviderError, unknown_parameters
from cyphera_pipelines.sandbox.stripe.query import boolean, split_name
from cyphera_pipelines.sandbox.stripe.webhooks.addresses import check_url
from cyphera_pipelines.sandbox.stripe.webhooks.vocabulary import api_versions, event_types

CREATE = frozenset({"url", "enabled_events", "api_version", "connect", "description", "metadata"})
UPDATE = frozenset({"url", "enabled_events", "description", "metadata", "disabled"})
MOST_METADATA = 50


def read_new_endpoint(body: bytes) -> JsonObject:
    """Return the fields of a new endpoint. Raises ProviderError (400) for what the provider refuses."""
    given = _read(body, CREATE, {})
    for name in ("url", "enabled_events"):
        if name not in given:
            raise _missing(name)
    return given


def read_changed_endpoint(body: bytes, metadata: Mapping[str, str]) -> JsonObject:
    """Return the fields of an endpoint that change; `metadata` is what it has. Raises ProviderError (400)."""
    return _read(body, UPDATE, metadata)


def _read(body: bytes, known: Collection[str], metadata: Mapping[str, str]) -> JsonObject:
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, errors="strict")
    except ValueError:
        raise ProviderError(400, "Invalid request body: it is not form-encoded UTF-8.") from None
    given: JsonObject = {}
    unknown: list[str] = []
    for parameter, value in pairs:
        name, inner = split_name(parameter)
        if name == "expand":
            continue
        if name not in known:
            unknown.append(parameter)
        elif name == "enabled_events":
            chosen = given.setdefault("enabled_events", ())
            given["enabled_events"] = (*chosen, _event_type(value, len(chosen)))
        elif name == "metadata":
            _add_metadata(given.setdefault("metadata", dict(metadata)), inner, value)
        else:
            given.update(_plain(name, value))
    if unknown:
        raise unknown_parameters(unknown)
    if len(given.get("metadata", ())) > MOST_METADATA:
        raise ProviderError(400, f"Metadata may have up to {MOST_METADATA} keys.", param="metadata")
    return given


def _plain(name: str, value: str) -> JsonObject:
    match name:
        case "url":
            if not value:
                raise _missing("url")
            check_url(value)
            return {"url": value}
        case "api_version":
            if value not in api_versions():
                raise ProviderError(400, f"Invalid API version: {value}", param="api_version")
            return {"api_version": value}
        case "connect":
            return {"is_connect": boolean(value, name)}
        case "disabled":
            return {"is_enabled": not boolean(value, name)}
        case _:
            return {name: value or None}


def _event_type(value: str, place: int) -> str:
    known = event_types()
    if value not in known:
        param = f"enabled_events[{place}]"
        raise ProviderError(400, f"Invalid {param}: must be one of {', '.join(known[1:])}", param=param)
    return value


def _add_metadata(metadata: dict[str, str], key: str, value: str) -> None:
    """An empty value takes its key away, and `metadata` itself empty all of them."""
    if not key:
        if value:
            raise ProviderError(400, "Invalid hash", param="metadata")
        metadata.clear()
    elif value:
        metadata[key] = value
    else:
        metadata.pop(key, None)


def _missing(name: str) -> ProviderError:
    return ProviderError(400, f"Missing required param: {name}.", code="parameter_missing", param=name)
