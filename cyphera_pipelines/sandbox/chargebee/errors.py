"""Errors in Chargebee's shape."""

from dataclasses import dataclass, field

from cyphera_pipelines.sandbox.serialization import JsonObject


@dataclass
class ChargebeeError(Exception):
    """An answer other than success: HTTP status, and what its body says."""

    status: int
    code: str
    message: str
    type: str | None = "invalid_request"
    param: str | None = None
    error_code: str | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def body(self) -> JsonObject:
        """Return the response body."""
        shown: JsonObject = {
            "message": self.message,
            "api_error_code": self.code,
            "error_code": self.error_code or self.code,
            "error_msg": self.message,
            "http_status_code": self.status,
        }
        if self.type:
            shown["type"] = self.type
        if self.param:
            shown |= {"param": self.param, "error_param": self.param}
        return shown


def not_authenticated() -> ChargebeeError:
    """No key, or one that opens nothing here."""
    return ChargebeeError(
        401,
        "api_authentication_failed",
        "Sorry, authentication failed. Invalid api key",
        type=None,
        headers={"WWW-Authenticate": 'Basic realm="Chargebee"'},
    )


def not_authorized() -> ChargebeeError:
    """The key may not do this."""
    return ChargebeeError(
        403, "api_authorization_failed", "Sorry, you are not authorized to perform this operation", type=None
    )


def site_not_found(site: str) -> ChargebeeError:
    """There is no such site."""
    return ChargebeeError(404, "site_not_found", f"Sorry, we couldn't find the site {site}", type=None)


def not_found(identifier: str) -> ChargebeeError:
    """There is no such object."""
    return ChargebeeError(404, "resource_not_found", f"Sorry, we couldn't find that resource: {identifier} not found")


def no_such_path() -> ChargebeeError:
    """There is nothing at this address."""
    return ChargebeeError(404, "resource_not_found", "Sorry, we couldn't find that resource. The url is invalid")


def wrong_method(method: str) -> ChargebeeError:
    """The address takes another method."""
    return ChargebeeError(405, "http_method_not_supported", f"The HTTP method {method} is not supported here")


def wrong_value(param: str, why: str) -> ChargebeeError:
    """A parameter has a value that makes no sense."""
    return ChargebeeError(400, "param_wrong_value", f"{param} : {why}", param=param)


def unknown_parameter(param: str) -> ChargebeeError:
    """A parameter that this address does not take."""
    return ChargebeeError(400, "invalid_request", f"{param} : the parameter is not supported", param=param)


def missing(param: str) -> ChargebeeError:
    """A parameter that has to be given."""
    return ChargebeeError(400, "param_wrong_value", f"{param} : cannot be blank", param=param)


def duplicate(param: str, value: str) -> ChargebeeError:
    """There is an object of that id."""
    return ChargebeeError(
        400, "duplicate_entry", f"{param} : The value {value} is already present.", param=param, type="invalid_request"
    )


def wrong_catalog() -> ChargebeeError:
    """The site has another product catalog than the request is about."""
    return ChargebeeError(
        400, "configuration_incompatible", "This API operation is not enabled for this site", type="operation_failed"
    )


def wrong_state(why: str) -> ChargebeeError:
    """The object is in a state that does not allow it."""
    return ChargebeeError(409, "invalid_state_for_request", why)


def cannot_be_charged(why: str) -> ChargebeeError:
    """There is nothing to charge, or the charge failed."""
    return ChargebeeError(400, "payment_method_not_present", why, type="payment")


def other_request_under_key() -> ChargebeeError:
    """An idempotency key came with another request before."""
    return ChargebeeError(
        422,
        "unable_to_process_request",
        "The idempotency key was used before with a different request payload",
    )


def too_many_requests(retry_after: float | None) -> ChargebeeError:
    """The site's requests of this minute are used up."""
    return ChargebeeError(
        429,
        "api_request_limit_exceeded",
        "Sorry, access has been blocked temporarily due to request count exceeding acceptable limits.",
        type=None,
        headers={} if retry_after is None else {"Retry-After": f"{retry_after:g}"},
    )


def internal_error() -> ChargebeeError:
    """Something went wrong on the provider's side."""
    return ChargebeeError(500, "internal_error", "Sorry, something went wrong", type=None)


def read_only_site() -> ChargebeeError:
    """The site takes no writes for the moment, and for some requests does not answer at all."""
    return ChargebeeError(503, "site_read_only_mode", "Sorry, the site is in read only mode", type=None)
