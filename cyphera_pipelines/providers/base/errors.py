"""What can go wrong at a provider. No message holds a secret."""

from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.errors import CypheraError


class ProviderError(CypheraError):
    """The provider did not do what it was asked, or cannot be reached. The message holds no secret."""

    code = ErrorCode.PROVIDER_ERROR


class CredentialsRejectedError(ProviderError):
    """The key is wrong, expired or revoked: nothing will work with it, and trying again does not help."""

    code = ErrorCode.CREDENTIALS_REJECTED


class AccountNotOpenError(CredentialsRejectedError):
    """The key works, but does not open the connected account that it is to be used for."""

    code = ErrorCode.ACCOUNT_NOT_OPEN


class UnusableAccessError(ProviderError):
    """A key and a connected account that cannot go together: `field` names the one at fault, `remedy` what to do."""

    code = ErrorCode.ACCESS_UNUSABLE

    def __init__(self, field: str, problem: str, remedy: str) -> None:
        super().__init__(f"{problem} {remedy}")
        self.field = field
        self.problem = problem
        self.remedy = remedy


class PermissionDeniedError(ProviderError):
    """The key may not read this entity; others may still work. `permission` names what it lacks, if that is known."""

    code = ErrorCode.PERMISSION_MISSING

    def __init__(self, message: str, permission: str | None = None) -> None:
        super().__init__(message)
        self.permission = permission


class ProviderUnavailableError(ProviderError):
    """The provider cannot be reached, or kept failing after all retries."""

    code = ErrorCode.PROVIDER_UNAVAILABLE


class ProviderUnreachableError(ProviderUnavailableError):
    """No answer came: the network or the address is at fault, or the provider is cut off."""

    code = ErrorCode.PROVIDER_UNREACHABLE


class RateLimitRemainsError(ProviderUnavailableError):
    """The provider went on refusing requests for coming too fast."""

    code = ErrorCode.RATE_LIMITED


class CursorLostError(ProviderError):
    """The object that a page was to start after is gone, so that the provider does not know where to go on."""

    code = ErrorCode.LIST_CURSOR_LOST


class RefusedRequestError(ProviderError):
    """The provider does not know what it was asked for, or does not want to: asking again does not help."""

    code = ErrorCode.REFUSED_BY_PROVIDER


class EndlessListError(ProviderError):
    """The pages of a list do not come to an end."""

    code = ErrorCode.LIST_ENDLESS

    def __init__(self, operation: str, why: str) -> None:
        super().__init__(f"The provider's pages of {operation} do not come to an end: {why}. What came before is kept.")


class ObjectGoneError(ProviderError):
    """The object that was asked for no longer exists at the provider."""

    code = ErrorCode.OBJECT_GONE


class WebhookRejectedError(ProviderError):
    """What came in is no webhook of the provider's, or nobody can tell: its signature is wrong, or too old."""

    code = ErrorCode.WEBHOOK_REJECTED


class RequestAbandonedError(ProviderError):
    """The sync was told to stop while it waited to try again."""

    code = ErrorCode.REQUEST_ABANDONED


NOT_ABOUT_ONE_OBJECT = (
    CredentialsRejectedError,
    PermissionDeniedError,
    RateLimitRemainsError,
    RequestAbandonedError,
)
"""Errors that would come of every other object too: asking for those instead does not help."""
