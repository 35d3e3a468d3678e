"""The page that tells how figures are counted: from the rules that the build goes by, and the headers of the views."""

from collections.abc import Mapping
from dataclasses import asdict

from cyphera_pipelines.dictionary.rendering import render_page
from cyphera_pipelines.figures.rules import ALWAYS, LEFT_OUT, PRESET_SENTENCES, PRESETS, REASONS, RULES
from cyphera_pipelines.store.views.definitions import LIVE_SCHEMA, View, views

_FIGURES = (
    "mrr_movements",
    "mrr_movements_monthly",
    "mrr_summary",
    "mrr_summary_converted",
    "scheduled_churn",
    "trial_conversion",
    "subscriber_cohorts",
    "invoice_aging",
    "revenue_billed",
    "revenue_collected",
    "revenue_lines",
    "revenue_recognized",
    "usage_revenue",
    "product_revenue",
    "customer_summary",
    "customer_revenue",
)
_SAID_BY_EVERY_VIEW = ("workspace_id", "provider", "currency", "month")


def counting_page() -> str:
    """The page in Markdown."""
    choices = {preset: asdict(rules) for preset, rules in PRESETS.items()}
    return render_page(
        "counting.md",
        presets=PRESET_SENTENCES,
        rules=RULES.values(),
        chosen={rule: _by_preset(rule, choices) for rule in RULES},
        always=ALWAYS,
        left_out=LEFT_OUT,
        reasons=REASONS,
        views=_views(),
        not_repeated=_SAID_BY_EVERY_VIEW,
    )


def _by_preset(rule: str, choices: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """What each preset chooses where it is not our own choice."""
    own = choices["cyphera"][rule]
    return {preset: chosen[rule] for preset, chosen in choices.items() if preset == "cyphera" or chosen[rule] != own}


def _views() -> list[View]:
    by_name = {view.name: view for view in views() if view.schema == LIVE_SCHEMA}
    return [by_name[name] for name in _FIGURES]
