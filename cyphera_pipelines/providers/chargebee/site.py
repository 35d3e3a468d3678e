"""What a source names beside its key: the site whose data it is, and where its requests go."""

from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.providers.base import SourceOption, UnusableAccessError

HOSTS = ".chargebee.com"
API = "/api/v2"
_TEST_SUFFIX = "-test"

SITE = SourceOption(
    name="site",
    title="Site",
    help="The site's name, as it stands before .chargebee.com. A test site's ends in -test.",
    is_required=True,
    pattern=r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?",
    example="acme-test",
)
WEBHOOK_READ_BACK = SourceOption(
    name="webhook_read_back",
    title="Read webhooks back",
    help="With yes, a webhook counts only once its event was read at Chargebee, which signs nothing.",
    is_required=False,
    pattern="yes|no",
    example="yes",
)
ITEM_FAMILY = SourceOption(
    name="item_family",
    title="Item family",
    help="The item family that new products go to; without it, the first one there is.",
    is_required=False,
    pattern=r"[^\x00-\x1f\x7f]{1,100}",
    example="cloud",
)


def site_of(credentials: Credentials) -> str:
    """The site's name. Raises UnusableAccessError where none is named."""
    site = credentials.options.get(SITE.name)
    if not site:
        raise UnusableAccessError(
            "configuration.options.site", "It is not said which Chargebee site this is.", "Give option site=NAME."
        )
    return site


def is_test_site(credentials: Credentials) -> bool:
    """Whether the site is a test site, which its name tells."""
    return site_of(credentials).endswith(_TEST_SUFFIX)


def reads_webhooks_back(credentials: Credentials) -> bool:
    """Whether a webhook counts only once its event was read."""
    return credentials.options.get(WEBHOOK_READ_BACK.name) == "yes"


def api_address(credentials: Credentials) -> str:
    """Where the site's requests go: `base_url` where one is given, without a slash at its end."""
    return (credentials.base_url or f"https://{site_of(credentials)}{HOSTS}").rstrip("/")
