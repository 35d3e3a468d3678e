"""The page on how figures are counted says what the build goes by, and what the views say."""

from dataclasses import asdict
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cyphera_pipelines.cli.app import app
from cyphera_pipelines.dictionary.counting import counting_page
from cyphera_pipelines.figures.rules import PRESETS, RULES

_PAGE = Path(__file__).parents[2] / "docs" / "how-figures-are-counted.md"


def test_the_page_of_the_documentation_is_this_one(tmp_path: Path) -> None:
    written = tmp_path / "page.md"
    assert CliRunner().invoke(app, ["dictionary", "--counting", "--out", str(written)]).exit_code == 0
    assert written.read_text(encoding="utf-8") == _PAGE.read_text(encoding="utf-8"), (
        "Write it anew: cyphera dictionary --counting --out docs/how-figures-are-counted.md"
    )


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_has_a_row_with_every_choice_and_preset(rule: str) -> None:
    own = asdict(PRESETS["cyphera"])[rule]
    (row,) = [line for line in counting_page().splitlines() if f"| `{rule}` | `{own}`: " in line]
    default, otherwise = row.removesuffix(" |").split(" | ")[-2:]
    assert default == f"`{own}`: {RULES[rule].choices[own]}"
    for choice, sentence in RULES[rule].choices.items():
        if choice != own:
            presets = [name for name, rules in PRESETS.items() if asdict(rules)[rule] == choice]
            named = "".join(f" (preset `{name}`)" for name in presets)
            assert f"`{choice}`{named}: {sentence}" in otherwise


def test_formulas_and_windows_are_the_views_own_words() -> None:
    page = counting_page()
    assert "| `quick_ratio` | (new + expansion) / (contraction + churned)" in page
    assert "every ratio's window is the calendar month" in page
