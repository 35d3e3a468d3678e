"""By which rules figures are made: each with its choices, in words that pages and explanations show.

The SQL of the build is given the choices by their names here, so that there is one source for both.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from types import MappingProxyType
from uuid import UUID

from sqlalchemy import Connection, select
from sqlalchemy.dialects.postgresql import insert

from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.model.workspace import Workspace
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.tables.figures import figure_rules

WAY_OF_COUNTING = 2
"""Raise it when the SQL comes to other figures than before: every source's are then made anew."""


@dataclass(frozen=True)
class Rules:
    """One choice for each rule. The defaults are the preset `cyphera`."""

    trialing: str = "left_out"
    past_due: str = "counts"
    unpaid: str = "churn"
    paused_status: str = "contraction"
    pause_collection: str = "void"
    cancel_at_period_end: str = "at_end"
    once_coupons: str = "ignore"
    repeating_coupons: str = "subtract"
    full_discount: str = "contraction"
    inclusive_tax: str = "remove"


@dataclass(frozen=True)
class Rule:
    """What can be chosen. `choices` has the sentence of each."""

    name: str
    case: str
    choices: Mapping[str, str]


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        rule.name: rule
        for rule in (
            Rule(
                "trialing",
                "A subscription is on trial",
                {
                    "left_out": "It counts from the end of the trial on, even while its first invoice is unpaid.",
                    "counts": "It counts from the beginning of the trial on.",
                },
            ),
            Rule(
                "past_due",
                "A payment failed and is tried again",
                {
                    "counts": "It goes on counting; its status tells how much is at risk.",
                    "left_out": "It counts nothing until it is paid.",
                },
            ),
            Rule(
                "unpaid",
                "Every attempt at payment failed and the subscription goes on unpaid",
                {
                    "churn": "It counts nothing, and the customer is gone unless others of theirs count.",
                    "counts": "It goes on counting until it is canceled.",
                },
            ),
            Rule(
                "paused_status",
                "The subscription is paused",
                {
                    "contraction": "It counts nothing meanwhile: a contraction, and no churn.",
                    "churn": "It counts nothing meanwhile: churn, and a reactivation when it goes on.",
                    "counts": "It goes on counting.",
                },
            ),
            Rule(
                "pause_collection",
                "The collection of payments is paused",
                {
                    "void": "It counts nothing while invoices are voided; it counts where they are kept or given up.",
                    "always": "It counts nothing, whatever becomes of the invoices.",
                    "ignore": "It goes on counting.",
                },
            ),
            Rule(
                "cancel_at_period_end",
                "A subscription is to end at a later moment",
                {
                    "at_end": "It counts until it ends; what is going to end is shown with its date.",
                    "at_request": "It counts until its end was asked for.",
                },
            ),
            Rule(
                "once_coupons",
                "A discount is for one invoice only",
                {
                    "ignore": "It is not subtracted: it says nothing about the next invoice.",
                    "subtract": "It is subtracted while the subscription has it.",
                },
            ),
            Rule(
                "repeating_coupons",
                "A discount is for a number of months",
                {
                    "subtract": "It is subtracted while it applies, and its end is an expansion.",
                    "ignore": "It is not subtracted.",
                },
            ),
            Rule(
                "full_discount",
                "Discounts take off everything",
                {
                    "contraction": "The subscription lives and brings 0: a contraction, and no churn.",
                    "churn": "What brings 0 is gone: churn, and a reactivation when it brings something again.",
                },
            ),
            Rule(
                "inclusive_tax",
                "Prices contain tax",
                {
                    "remove": "The tax is taken out: by the subscription's rates, or else by the last invoice line's, "
                    "which is marked as estimated.",
                    "keep": "It stays in.",
                },
            ),
        )
    }
)

PRESETS: Mapping[str, Rules] = MappingProxyType(
    {
        "cyphera": Rules(),
        "stripe": Rules(cancel_at_period_end="at_request", full_discount="churn"),
        "chartmogul": Rules(paused_status="counts", pause_collection="ignore", once_coupons="subtract"),
    }
)
PRESET_SENTENCES: Mapping[str, str] = MappingProxyType(
    {
        "cyphera": "Our own rules, which every workspace has until it chooses others.",
        "stripe": "As Stripe's billing analytics are documented: what is going to end leaves when that is asked for, "
        "and a subscription that brings 0 is churned.",
        "chartmogul": "As ChartMogul documents it: pauses go on counting, and a discount for one invoice is subtracted "
        "while it is there. It counts invoice lines and we count items, so that prorated periods differ.",
    }
)

ALWAYS: Mapping[str, str] = MappingProxyType(
    {
        "Basis": "Items of subscriptions; invoice lines only for the time before the first sync, which is marked as "
        "reconstructed.",
        "Incomplete": "A subscription whose first payment is missing counts nothing until it is made.",
        "Canceled": "It counts until it ended, on the day that the provider gives, however late that is learned.",
        "Year, quarter, week, day": "The amount of a bill times an exact fraction: 1/12 of a year, 1/n of n months, "
        "52/12 of a week, 365/12 of a day; rounded once for each item, half to even, to the currency's minor unit.",
        "Tiers and packages": "Computed from the quantity: graduated, volume, amounts for a whole tier, and quantities "
        "that are divided and rounded.",
        "Metered": "Prices by usage count nothing: usage is shown by month.",
        "One-time": "One-time prices and lines count nothing.",
        "Several discounts": "The item's first, then the subscription's, or the customer's where the subscription has "
        "none, each in its order; never below 0, and an amount only in its own currency.",
        "Change within a period": "It counts from the moment of the change on.",
        "Refunds and credit notes": "They change nothing here: they are about revenue.",
        "Currencies": "Each is counted by itself, and none is added to another.",
        "A second subscription": "It is an expansion of its customer.",
        "One of several canceled": "It is a contraction of its customer.",
        "Change of price or product": "One movement by the difference, net of the customer and day.",
        "Return after churn": "A reactivation, however long it took, with the days in between.",
        "Future start": "It counts nothing before it starts.",
        "Removed items": "They keep their past.",
    }
)
"""What holds whatever is chosen, by the case."""

LEFT_OUT: Mapping[str, str] = MappingProxyType(
    {
        "trialing": "The subscription is on trial.",
        "incomplete": "The first payment is missing.",
        "incomplete_expired": "The first payment was never made.",
        "past_due": "A payment failed and is tried again.",
        "unpaid": "Every attempt at payment failed.",
        "paused": "The subscription is paused.",
        "pause_collection": "The collection of payments is paused.",
        "ended": "The subscription has ended, or its end counts already.",
        "metered": "The price is by usage.",
        "one_time": "The price is charged once.",
        "not_started": "The subscription has not begun yet.",
        "gone": "The subscription is gone at the provider.",
        "no_currency": "The currency is not known.",
        "unknown_status": "The subscription has a status that is not known here.",
    }
)
"""Codes of `left_out_by`, each with its sentence."""

REASONS: Mapping[str, str] = MappingProxyType(
    {
        "new": "A subscription began where there was none.",
        "added_subscription": "A further subscription began.",
        "added_item": "An item was added to a subscription.",
        "removed_item": "An item was removed from a subscription.",
        "quantity": "The quantity changed.",
        "price": "The price changed.",
        "migration": "One subscription or item was replaced by another.",
        "discount": "A discount was given.",
        "discount_ended": "A discount ended.",
        "tax": "The tax in the price changed.",
        "trial_converted": "A trial ended.",
        "paused": "The subscription or its collection was paused.",
        "resumed": "A pause ended.",
        "unpaid": "Every attempt at payment failed.",
        "paid": "What was unpaid was paid.",
        "cancelled": "The subscription ended.",
        "one_of_several_cancelled": "One of several subscriptions ended.",
        "gone": "The subscription was found to be gone at the provider.",
        "status": "The status changed otherwise.",
        "not_billed": "Before the first sync: no bill tells of a time, and the subscription went on later.",
        "billed_again": "Before the first sync: the subscription is billed again.",
    }
)
"""Reasons of movements, each with its sentence."""


def digest(rules: Rules) -> str:
    """Tells these rules and this release's way of counting apart from others."""
    counted_by = json.dumps([WAY_OF_COUNTING, asdict(rules)], sort_keys=True)
    return hashlib.sha256(counted_by.encode()).hexdigest()[:16]


def rules_of(database: Database, workspace_id: UUID) -> Rules:
    """The workspace's rules: those of the preset `cyphera` until it chooses others."""
    with database.tenant(workspace_id) as connection:
        return read_rules(connection, workspace_id)[1]


def read_rules(connection: Connection, workspace_id: UUID) -> tuple[str, Rules]:
    """(preset, rules) of the workspace whose transaction this is."""
    chosen = connection.execute(
        select(figure_rules.c.preset, figure_rules.c.changed).where(figure_rules.c.workspace_id == workspace_id)
    ).one_or_none()
    if chosen is None:
        return "cyphera", PRESETS["cyphera"]
    return chosen.preset, make_rules(chosen.preset, chosen.changed)


def make_rules(preset: str, changed: Mapping[str, str]) -> Rules:
    """A preset's rules, and what is changed of them. Raises InvalidInputError that names what there is."""
    if preset not in PRESETS:
        raise InvalidInputError(f"{preset!r} is not a preset: there are {', '.join(PRESETS)}.")
    for name, choice in changed.items():
        if name not in RULES:
            raise InvalidInputError(f"{name!r} is not a rule: there are {', '.join(RULES)}.")
        if choice not in RULES[name].choices:
            raise InvalidInputError(f"{name} can be {' or '.join(RULES[name].choices)}, not {choice!r}.")
    return replace(PRESETS[preset], **changed)


def set_rules(database: Database, workspace: Workspace, preset: str, changed: Mapping[str, str]) -> None:
    """Choose the workspace's rules. The next build makes its figures anew by them.

    Raises InvalidInputError for a preset, rule or choice that does not exist.
    """
    rules = make_rules(preset, changed)
    of_preset = PRESETS[preset]
    differing = {
        rule.name: getattr(rules, rule.name)
        for rule in fields(Rules)
        if getattr(rules, rule.name) != getattr(of_preset, rule.name)
    }
    values = {"workspace_id": workspace.id, "preset": preset, "changed": differing}
    statement = insert(figure_rules).values(values)
    written = {name: statement.excluded[name] for name in ("preset", "changed", "updated_at")}
    with database.tenant(workspace.id) as connection:
        connection.execute(statement.on_conflict_do_update(index_elements=["workspace_id"], set_=written))
