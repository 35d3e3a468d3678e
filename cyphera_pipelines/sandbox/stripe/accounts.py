"""What a sandbox account is: its keys, its size and how its data looks."""

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Literal, Self

from pydantic import Field, model_validator

from cyphera_pipelines.sandbox.business.business import DEFAULT_NEWEST_CREATED, Business

API_VERSION = "2026-10-28.endive"
"""The Stripe API version whose object shapes are served."""

LIVE_PREFIXES = ("sk_live_", "rk_live_", "sk_org_live_")


class Ugliness(StrEnum):
    """A way in which an object is awkward and yet something that Stripe may send."""

    NUL_CHARACTER = "nul_character"
    LONE_SURROGATE = "lone_surrogate"
    LONG_STRING = "long_string"
    HUGE_AMOUNT = "huge_amount"
    ODD_METADATA = "odd_metadata"
    NULL_FIELDS = "null_fields"
    MISSING_FIELDS = "missing_fields"
    SHARED_CHILD_ID = "shared_child_id"
    REPEATED_CHILD_ID = "repeated_child_id"


class SandboxAccount(Business):
    """One Stripe account in one mode, and the business whose data it holds.

    `restricted_keys` maps an `rk_` key to the permissions that it lacks, named after the singular entity
    (`invoice`, `customer`, `product`, `price`, `subscription`, `event`, `account`, `webhook`, `webhook_write`).
    `more_keys` are further full keys.
    All keys of an account are of the same mode; an account in both modes is two of these with one `account_id`.

    `platform` is the account of the same mode whose keys open this one too, with `Stripe-Account`. `organization_keys`
    (`sk_org_...`) open this account with `Stripe-Context` (`acct_...`, or below its platform `acct_.../acct_...`);
    several accounts may share them.

    With `tiered_options` the tiers of prices in other currencies take a request of their own.
    `test_clock_share` of the customers, with their subscriptions and invoices, belong to one of three test clocks, if
    the account is in test mode: lists of customers and subscriptions leave them out unless asked for a clock's.

    `ugly` kinds are applied to `ugly_share` of the objects. `event_api_version` is the version that the account's
    provider events carry; another than ours gives the snapshots the shape of 2024.
    `event_delay_seconds` is how long a new provider event stays invisible: the Events API is eventually consistent.
    `discount_expansions` is what becomes of a request to expand discounts: stand-ins for Stripe ignore or refuse it.
    `rejects_deleted_cursors` makes a cursor that names a deleted object an error instead of a place in the list.
    """

    api_key: str = Field(min_length=1)
    account_id: str = Field(pattern=r"^acct_\w+$")
    test_clock_share: float = Field(default=0.0, ge=0, le=1)
    restricted_keys: Mapping[str, frozenset[str]] = Field(default_factory=dict)
    more_keys: tuple[str, ...] = ()
    platform: str | None = None
    organization_keys: tuple[str, ...] = ()
    ugly: frozenset[Ugliness] = frozenset()
    ugly_share: float = Field(default=0.05, ge=0, le=1)
    event_api_version: str = API_VERSION
    event_delay_seconds: float = Field(default=0.0, ge=0)
    discount_expansions: Literal["honoured", "ignored", "refused"] = "honoured"
    rejects_deleted_cursors: bool = False
    cache_megabytes: int = Field(default=128, ge=1)

    @model_validator(mode="after")
    def _keys_must_be_of_one_mode(self) -> Self:
        if len({key.startswith(LIVE_PREFIXES) for key in self.keys}) > 1:
            raise ValueError("all keys of an account must be of the same mode, test or live")
        return self

    @property
    def keys(self) -> tuple[str, ...]:
        """All keys that open this account."""
        return (self.api_key, *self.more_keys, *self.restricted_keys)

    @property
    def livemode(self) -> bool:
        """Whether the keys are live keys."""
        return self.api_key.startswith(LIVE_PREFIXES)


def demo_accounts(ends: datetime | None = None) -> list[SandboxAccount]:
    """Return the two accounts of the demo: `acme`, a company with some history, and `globex`, a small one.

    Their data end at `ends`, which is part of their ids: data that end at another time are another account's. By
    default they end when those of any other account do.
    """
    newest, of_then = _end(ends)
    return [
        SandboxAccount(
            api_key="sk_test_cyphera_demo_acme",
            account_id=f"acct_1CypheraDemoAcme{of_then}",
            name="Acme Inc.",
            seed=11,
            customers=2_000,
            products=40,
            prices=120,
            subscriptions=240,
            invoices=6_000,
            newest_created=newest,
            regular_bills=True,
            discount_share=0.15,
            coupon_share=0.25,
            customer_discount_share=0.05,
            tax_rate_share=0.3,
            tax_id_share=0.2,
            proration_share=0.08,
            credit_share=0.04,
        ),
        SandboxAccount(
            api_key="sk_test_cyphera_demo_globex",
            account_id=f"acct_1CypheraDemoGlobex{of_then}",
            name="Globex GmbH",
            seed=12,
            country="DE",
            default_currency="eur",
            customers=60,
            products=5,
            prices=12,
            subscriptions=22,
            invoices=600,
            newest_created=newest,
            regular_bills=True,
            discount_share=0.15,
            coupon_share=0.25,
            customer_discount_share=0.05,
            tax_rate_share=0.3,
            tax_id_share=0.2,
            proration_share=0.08,
            credit_share=0.04,
        ),
    ]


def spare_accounts(ends: datetime | None = None) -> list[SandboxAccount]:
    """Return two more accounts, for whoever tries what the demo does not show: the README's examples connect them.

    `ends` as with `demo_accounts`.
    """
    newest, of_then = _end(ends)
    return [
        SandboxAccount(
            api_key=f"sk_test_cyphera_sandbox_{name}",
            account_id=f"acct_1CypheraSandbox{name.title()}{of_then}",
            name=f"Sandbox {name.title()}",
            seed=seed,
            customers=200,
            products=8,
            prices=20,
            subscriptions=120,
            invoices=500,
            newest_created=newest,
            discount_share=0.15,
            coupon_share=0.25,
            customer_discount_share=0.05,
            tax_rate_share=0.3,
            tax_id_share=0.2,
        )
        for seed, name in ((21, "one"), (22, "two"))
    ]


def _end(ends: datetime | None) -> tuple[int, str]:
    """The second of it, and what it adds to an account's id."""
    if ends is None:
        return DEFAULT_NEWEST_CREATED, ""
    return int(ends.timestamp()), f"{ends.astimezone(UTC):%Y%m%d%H%M}"
