"""The rules that pages show are those that the SQL knows."""

import re
from dataclasses import asdict, fields
from pathlib import Path

import pytest

from cyphera_pipelines.figures import rules
from cyphera_pipelines.figures.rules import ALWAYS, LEFT_OUT, PRESET_SENTENCES, PRESETS, REASONS, RULES, Rules, digest

FILES = Path(rules.__file__).parent / "sql"
SQL = {file.stem: file.read_text(encoding="utf-8") for file in FILES.glob("*.sql")}


def test_each_rule_has_its_choices_and_its_default_is_one_of_them() -> None:
    assert [rule.name for rule in fields(Rules)] == list(RULES)
    for preset in PRESETS.values():
        for name, choice in asdict(preset).items():
            assert choice in RULES[name].choices
    assert PRESETS["cyphera"] == Rules()
    assert list(PRESET_SENTENCES) == list(PRESETS)


@pytest.mark.parametrize("name", RULES)
def test_each_rule_is_asked_for_and_each_choice_but_the_last_is_named(name: str) -> None:
    asking = "\n".join(statement for statement in SQL.values() if f":{name}" in statement)
    named = [choice for choice in RULES[name].choices if f"'{choice}'" in asking]
    assert len(named) >= len(RULES[name].choices) - 1


def test_presets_change_these_rows_only() -> None:
    assert {
        preset: {name: choice for name, choice in asdict(chosen).items() if choice != getattr(Rules(), name)}
        for preset, chosen in PRESETS.items()
    } == {
        "cyphera": {},
        "stripe": {"cancel_at_period_end": "at_request", "full_discount": "churn"},
        "chartmogul": {"paused_status": "counts", "pause_collection": "ignore", "once_coupons": "subtract"},
    }


def test_whatever_leaves_out_and_every_reason_has_a_sentence() -> None:
    left_out = re.search(r"CASE\n.*?END AS left_out_by", SQL["slices"], re.DOTALL)
    assert left_out is not None
    codes = set(re.findall(r"THEN '(\w+)'", left_out[0] + SQL["items"])) - {"object", "array"}
    assert codes | {"incomplete", "incomplete_expired", "unknown_status"} == set(LEFT_OUT)
    reasons = set(re.findall(r"(?:THEN|ELSE) '(\w+)'", SQL["movements"]))
    movements = {"reactivation", "expansion", "churn", "contraction", "observed", "reconstructed"}
    assert reasons - movements == set(REASONS)


def test_sentences_are_sentences() -> None:
    choices = [sentence for rule in RULES.values() for sentence in rule.choices.values()]
    for sentence in [*choices, *LEFT_OUT.values(), *REASONS.values(), *ALWAYS.values(), *PRESET_SENTENCES.values()]:
        assert re.fullmatch(r"[A-Z].*\.", sentence), sentence


def test_other_rules_have_another_digest() -> None:
    assert len({digest(each) for each in PRESETS.values()}) == len(PRESETS)
