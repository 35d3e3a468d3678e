"""Errors in Stripe's shape."""

from dataclasses import dataclass, field

from cyphera_pipelines.sandbox.serialization import JsonObject

_DOCUMENTATION = "https://stripe.com/docs/error-codes/"


@dataclass
class ProviderError(Exception):
    """An answer other than success: HTTP status, and the body's `error`."""

    status: int
    message: str
    type: str = "invalid_request_error"
    code: str | None = None
    param: str | None = None
    details: JsonObject = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    def body(self) -> JsonObject:
        """Return the response body."""
        error: JsonObject = dict(self.details)
        if self.code:
            error["code"] = self.code
            error["doc_url"] = _DOCUMENTATION + self.code.replace("_", "-")
        error["message"] = self.message
        if self.param:
            error["param"] = self.param
        error["type"] = self.type
        return {"error": error}


def no_such(kind: str, identifier: str, param: str = "id", status: int = 404) -> ProviderError:
    """The named object does not exist: 404 for a path, 400 for a parameter."""
    return ProviderError(status, f"No such {kind}: '{identifier}'", code="resource_missing", param=param)


def invalid_integer(value: str, param: str) -> ProviderError:
    """A parameter that must be an integer is not."""
    return ProviderError(400, f"Invalid integer: {value}", code="parameter_invalid_integer", param=param)


def unknown_parameters(names: list[str]) -> ProviderError:
    """Parameters that the endpoint does not take."""
    several = "s" if len(names) > 1 else ""
    return ProviderError(
        400, f"Received unknown parameter{several}: {', '.join(names)}", code="parameter_unknown", param=names[0]
    )


def invalid_choice(param: str, choices: tuple[str, ...]) -> ProviderError:
    """A parameter that must be one of a few words is not."""
    listed = ", ".join(choices[:-1]) + f", or {choices[-1]}"
    return ProviderError(400, f"Invalid {param}: must be one of {listed}", param=param)


def unrecognized_url(method: str, path: str) -> ProviderError:
    """No endpoint has this method and path."""
    return ProviderError(
        404,
        f"Unrecognized request URL ({method}: {path}). If you are trying to list objects, remove the trailing slash. "
        "If you are trying to retrieve an object, make sure you passed a valid (non-empty) identifier in your code.",
    )


def no_api_key() -> ProviderError:
    """The request carries no key."""
    return ProviderError(
        401,
        "You did not provide an API key. You need to provide your API key in the Authorization header, "
        "using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY').",
        headers={"WWW-Authenticate": 'Bearer realm="Stripe"'},
    )


def masked(api_key: str) -> str:
    """Return a key as Stripe shows it: the start and the last four characters."""
    if len(api_key) <= 12:
        return "*" * len(api_key)
    return f"{api_key[:8]}{'*' * (len(api_key) - 12)}{api_key[-4:]}"


def invalid_api_key(api_key: str) -> ProviderError:
    """The key is unknown or revoked."""
    return ProviderError(
        401, f"Invalid API Key provided: {masked(api_key)}", headers={"WWW-Authenticate": 'Bearer realm="Stripe"'}
    )


def account_not_open(api_key: str, account: str) -> ProviderError:
    """The key does not open the account that the request names."""
    return ProviderError(
        403,
        f"The provided key '{masked(api_key)}' does not have access to account '{account}' (or that account does not "
        "exist). Application access may have been revoked.",
        code="account_invalid",
    )


def no_context() -> ProviderError:
    """An organization's key without an account."""
    return ProviderError(400, "Requests with an organization API key must include the Stripe-Context header.")


def missing_permission(api_key: str, account_id: str, permission: str, access: str = "read") -> ProviderError:
    """A restricted key may not use this endpoint."""
    return ProviderError(
        403,
        f"The provided key '{masked(api_key)}' does not have the required permissions for this endpoint on account "
        f"'{account_id}'. Having the 'rak_{permission}_{access}' permission would allow this request to continue.",
    )


def rate_limited(reason: str, retry_after: float | None) -> ProviderError:
    """Too many requests; `reason` is `global-rate` or `endpoint-rate`."""
    headers = {"Stripe-Rate-Limited-Reason": reason, "Stripe-Should-Retry": "true"}
    if retry_after is not None:
        headers["Retry-After"] = f"{retry_after:g}"
    return ProviderError(
        429,
        "Request rate limit exceeded. You can learn more about rate limits here https://stripe.com/docs/rate-limits.",
        code="rate_limit",
        headers=headers,
    )


def server_error() -> ProviderError:
    """Something went wrong on the provider's side."""
    return ProviderError(
        500,
        "An unknown error occurred. If this persists, please contact support.",
        type="api_error",
    )
