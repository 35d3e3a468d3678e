import pytest
from pydantic import SecretStr

from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.providers.registry import PROVIDERS, find_provider


def test_providers_are_found_by_name() -> None:
    stripe = find_provider("stripe")
    assert (stripe.name, stripe.title, stripe.default_host) == ("stripe", "Stripe", "api.stripe.com")
    assert stripe.entities == tuple(Entity)
    assert {name: provider.name for name, provider in PROVIDERS.items()} == {name: name for name in PROVIDERS}


@pytest.mark.parametrize("name", ["paypal", "Stripe", "", "__class__"])
def test_an_unknown_provider_is_named_together_with_those_there_are(name: str) -> None:
    with pytest.raises(InvalidInputError, match=rf"^Unknown provider '{name}': choose from {', '.join(PROVIDERS)}\.$"):
        find_provider(name)


@pytest.mark.parametrize(
    ("key", "is_test"),
    [
        ("sk_live_1", False),
        ("rk_live_1", False),
        ("sk_test_1", True),
        ("rk_test_1", True),
        ("anything", True),
        ("sk_org_live_1", False),
        ("sk_org_test_1", True),
        ("sk_org_1", None),
    ],
)
def test_a_key_tells_its_mode_or_that_it_does_not(key: str, is_test: bool | None) -> None:
    assert find_provider("stripe").is_test_mode(Credentials(api_key=SecretStr(key))) is is_test
