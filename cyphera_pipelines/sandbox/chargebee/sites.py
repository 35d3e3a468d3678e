"""What a Chargebee site of the sandbox is: its name, its keys, its size and how its data look."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Literal, Self

from pydantic import Field, model_validator

from cyphera_pipelines.sandbox.business.business import DEFAULT_NEWEST_CREATED, Business

TEST_SUFFIX = "-test"


class Oddity(StrEnum):
    """A way in which an object is awkward and yet something that Chargebee may send."""

    NUL_CHARACTER = "nul_character"
    LONE_SURROGATE = "lone_surrogate"
    LONG_STRING = "long_string"
    HUGE_AMOUNT = "huge_amount"
    ODD_METADATA = "odd_metadata"
    MISSING_FIELDS = "missing_fields"
    EXPLICIT_NULLS = "explicit_nulls"


class ChargebeeSite(Business):
    """One Chargebee site, and the business whose data it holds.

    `api_key` may read and write; `read_only_keys` may read all; `restricted_keys` are full keys that may not touch some
    resources, named as their lists are (`invoices`).

    `catalog` is the site's product catalog: `v2` (items), `v1` (plans and addons, whose site refuses items), `mixed`
    (both, refusing requests that do not say with `chargebee-response-schema-type` which they want).
    `in_decimal` sites tell amounts as text in major units too. `custom_fields` puts `cf_` fields on customers,
    subscriptions and items. `odd_ids` gives some objects ids with spaces, slashes and the like.

    Shares of the objects: `deleted_share` of the customers and items are deleted; `without_updated_share` of the
    customers, subscriptions and invoices have not changed since before `updated_at` was kept; `consolidated_share` of
    the subscriptions' invoices name their subscriptions on their lines only; `kwd_share` of the other invoices are in
    Kuwaiti dinars, which Chargebee counts in hundredths; of `inclusive_share` of all invoices the prices contain the
    taxes. `odd` kinds are applied to `odd_share` of the objects.

    With `pending_invoices`, invoices that clients make stay pending until they are closed.
    `line_items_at_once` is how many lines an invoice shows before the rest has to be asked for; None shows all.
    `offset_length` is how long the offsets of lists are, in characters: 0 leaves them as they come.
    `event_delay_seconds` is how long a new event stays invisible, `events_kept_days` how long it can be listed (None:
    for ever). `events_doubled` of the events are told twice, under two ids. `event_jitter_seconds`: events are dated up
    to so much after what they tell of, so that their order is not that of the changes.
    """

    provider: Literal["chargebee"] = "chargebee"
    site: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,49}$")
    api_key: str = Field(min_length=1)
    read_only_keys: tuple[str, ...] = ()
    restricted_keys: Mapping[str, frozenset[str]] = Field(default_factory=dict)
    catalog: Literal["v2", "v1", "mixed"] = "v2"
    in_decimal: bool = False
    custom_fields: bool = True
    odd_ids: bool = True
    deleted_share: float = Field(default=0.02, ge=0, le=1)
    without_updated_share: float = Field(default=0.02, ge=0, le=1)
    consolidated_share: float = Field(default=0.03, ge=0, le=1)
    kwd_share: float = Field(default=0.25, ge=0, le=1)
    inclusive_share: float = Field(default=0.1, ge=0, le=1)
    odd: frozenset[Oddity] = frozenset()
    odd_share: float = Field(default=0.05, ge=0, le=1)
    pending_invoices: bool = False
    line_items_at_once: int | None = Field(default=None, ge=1, le=300)
    offset_length: int = Field(default=0, ge=0, le=1_000)
    event_delay_seconds: float = Field(default=0.0, ge=0)
    events_kept_days: int | None = Field(default=90, ge=1)
    events_doubled: float = Field(default=0.0, ge=0, le=1)
    event_jitter_seconds: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _keys_must_differ(self) -> Self:
        if len(set(self.keys)) < len(self.keys):
            raise ValueError("a key of a site is given twice")
        return self

    @property
    def account_id(self) -> str:
        """What the control interface names it by: the site."""
        return self.site

    @property
    def keys(self) -> tuple[str, ...]:
        """All keys that open this site."""
        return (self.api_key, *self.read_only_keys, *self.restricted_keys)

    @property
    def livemode(self) -> bool:
        """Whether it is a live site: test sites say so in their names."""
        return not self.site.endswith(TEST_SUFFIX)


def demo_sites(ends: datetime | None = None) -> list[ChargebeeSite]:
    """Return the demo's site: `initech`, a small company that bills through Chargebee.

    Its data end at `ends`, or else when those of any other site do. A site is called by its name wherever it is
    connected, so that the name stays whenever the data end.
    """
    return [
        ChargebeeSite(
            site=f"initech{TEST_SUFFIX}",
            api_key="test_cyphera_demo_initech",
            name="Initech LLC",
            seed=13,
            customers=120,
            products=6,
            prices=24,
            subscriptions=45,
            invoices=1_200,
            newest_created=_second(ends),
            regular_bills=True,
            discount_share=0.15,
            coupon_share=0.25,
            customer_discount_share=0.05,
            credit_share=0.04,
        )
    ]


def spare_sites(ends: datetime | None = None) -> list[ChargebeeSite]:
    """Return one more site, for whoever tries what the demo does not show. `ends` as with `demo_sites`."""
    return [
        ChargebeeSite(
            site=f"three{TEST_SUFFIX}",
            api_key="test_cyphera_sandbox_three",
            name="Sandbox Three",
            seed=23,
            customers=200,
            products=8,
            prices=24,
            subscriptions=120,
            invoices=500,
            newest_created=_second(ends),
            discount_share=0.15,
            coupon_share=0.25,
            customer_discount_share=0.05,
        )
    ]


def _second(ends: datetime | None) -> int:
    return DEFAULT_NEWEST_CREATED if ends is None else int(ends.timestamp())
