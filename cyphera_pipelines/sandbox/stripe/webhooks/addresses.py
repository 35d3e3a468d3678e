"""Where webhooks may go: to this machine, and nowhere else."""

from urllib.parse import urlsplit

from cyphera_pipelines.sandbox.stripe.errors import ProviderError
from cyphera_pipelines.sandbox.webhooks.addresses import is_loopback

MOST_CHARACTERS = 2_048


def check_url(url: str) -> None:
    """Raise ProviderError (400) for what is no URL, as the provider does, and for any host but this one."""
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        raise _invalid("Not a valid URL") from None
    if not parts.scheme or "://" not in url:
        raise _invalid("Invalid URL: An explicit scheme (such as https) must be provided.")
    if parts.scheme not in ("http", "https") or not host or not url.isprintable() or len(url) > MOST_CHARACTERS:
        raise _invalid("Not a valid URL")
    if is_loopback(host):
        return
    if parts.scheme == "http":
        raise _invalid("Invalid URL: URL must be https.")
    raise _invalid(f"Invalid URL: a sandbox sends to this machine only (127.0.0.1, ::1 or localhost), not to {host}.")


def _invalid(message: str) -> ProviderError:
    return ProviderError(400, message, code="url_invalid", param="url")
