import pytest

from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.providers.addresses import check_base_url
from cyphera_pipelines.settings import Settings

EMBEDDED = Settings(database_url=None, provider_hosts=())
EXTERNAL = Settings(database_url="postgresql://app@db/app", provider_hosts=())  # type: ignore[arg-type]
ALLOWING = EXTERNAL.model_copy(update={"provider_hosts": ("proxy.internal", "stripe.test:8443", "127.0.0.1")})


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("http://127.0.0.1:12119", "http://127.0.0.1:12119"),
        ("http://127.9.8.7/", "http://127.9.8.7"),
        ("http://localhost:80/", "http://localhost:80"),
        ("HTTP://LOCALHOST:80", "HTTP://LOCALHOST:80"),
        ("http://[::1]:80", "http://[::1]:80"),
        ("https://127.0.0.1/prefix/", "https://127.0.0.1/prefix"),
        ("https://api.stripe.com", "https://api.stripe.com"),
        ("https://API.Stripe.com/", "https://API.Stripe.com"),
    ],
)
def test_this_machine_and_the_provider_itself_are_allowed_in_embedded_mode(url: str, kept: str) -> None:
    assert check_base_url(url, EMBEDDED) == kept


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com",
        "https://evil.com",
        "http://localhost.evil.com",
        "http://127.0.0.1.evil.com",
        "http://127.0.0.1@evil.com",
        "http://localhost:80@evil.com",
        "http://user:password@127.0.0.1",
        "http://@127.0.0.1",
        "http://127.0.0.1\\@evil.com",
        "http://evil.com\\.localhost",
        "http://127.0.0.1#@evil.com",
        "http://127.0.0.1#",
        "http://127.0.0.1?",
        "http://127.0.0.1/?x=1",
        "http://local\thost",
        "http://127.0.0.1\n.evil.com",
        " http://127.0.0.1",
        "http://127.0.0.1 .evil.com",
        "http://0x7f.1",
        "http://0x7f000001",
        "http://2130706433",
        "http://127.1",
        "http://017700000001",
        "http://localhost.",
        "http://0.0.0.0",
        "http://[::]",
        "http://10.0.0.1",
        "http://169.254.169.254",
        "http://[fe80::1]",
        "http://api.stripe.com",
        "https://api.stripe.com.evil.com",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:port",
        "http://[::1",
        "ftp://127.0.0.1",
        "file:///etc/passwd",
        "//127.0.0.1",
        "127.0.0.1:80",
        "localhost",
        "http://",
        "",
    ],
)
def test_anything_else_is_refused_in_embedded_mode(url: str) -> None:
    with pytest.raises(InvalidInputError, match="base_url"):
        check_base_url(url, EMBEDDED)


@pytest.mark.parametrize("url", ["http://127.0.0.1:80", "http://localhost", "http://[::1]", "https://proxy.internal"])
def test_with_a_database_of_one_s_own_loopback_is_refused_too(url: str) -> None:
    with pytest.raises(InvalidInputError, match=r"allowed are .*api\.stripe\.com\. The operator can add hosts"):
        check_base_url(url, EXTERNAL)


@pytest.mark.parametrize(
    "url", ["https://proxy.internal", "https://PROXY.internal:444", "https://stripe.test:8443", "http://127.0.0.1:9"]
)
def test_the_operator_may_allow_hosts(url: str) -> None:
    assert check_base_url(url, ALLOWING) == url


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://proxy.internal", "must use https for 'proxy.internal'"),
        ("https://stripe.test", "may not point to 'stripe.test'"),
        ("https://stripe.test:8444", "may not point to 'stripe.test'"),
        ("https://api.stripe.com", "allowed are proxy.internal, stripe.test:8443, 127.0.0.1"),
    ],
)
def test_hosts_that_the_operator_did_not_allow_are_refused(url: str, says: str) -> None:
    with pytest.raises(InvalidInputError, match=says):
        check_base_url(url, ALLOWING)
