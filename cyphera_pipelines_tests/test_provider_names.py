"""What is one provider's stays with that provider: elsewhere its name stands in examples for people, and in no rule."""

import re
import tokenize
from pathlib import Path

import cyphera_pipelines
from cyphera_pipelines.providers.registry import PROVIDERS

ROOT = Path(cyphera_pipelines.__file__).parent
THEIR_OWN = ("providers/", "sandbox/", "store/migrations/versions/")
"""A provider's code, what looks like a provider, and what was done to databases once."""
ALLOWED = {
    "settings.py": "the variables with the platform's own key and secret, which existing installations set",
    "figures/rules.py": "sets of rules are named after those whose way of counting they are",
    "model/currencies.py": "amounts that were always kept as one provider counts them; others convert theirs",
    "api/schemas/examples.py": "the examples of the API's document are of one provider",
}
ALLOWED_BEGINNINGS = ("cli/demo", "cli/forget_demo", "cli/sandbox")
"""Commands that start and use the sandboxes."""


def test_no_rule_outside_of_providers_names_one() -> None:
    names = "|".join(map(re.escape, sorted(PROVIDERS)))
    # `acme stripe`, `acme:stripe`, "as in 'stripe'", and `SLUG stripe` in an example of a command.
    example = re.compile(rf"(as in ['`]|acme[: ]|SLUG |\{{workspace\.slug\}} )({names})\b")
    found = []
    for path in sorted(ROOT.rglob("*")):
        place = path.relative_to(ROOT).as_posix()
        if place.startswith(THEIR_OWN) or place in ALLOWED or place.startswith(ALLOWED_BEGINNINGS):
            continue
        if path.suffix == ".py":
            found += [f"{place}:{line}: {text}" for line, text in words_of(path) if is_named(names, example, text)]
        elif path.suffix in (".sql", ".html", ".yaml", ".toml"):
            found += [f"{place}: {text}" for text in path.read_text().splitlines() if is_named(names, example, text)]
    assert found == []


def test_what_is_allowed_is_still_there() -> None:
    """Whatever stands in the list for nothing would hide the next one."""
    names = re.compile("|".join(map(re.escape, sorted(PROVIDERS))), re.IGNORECASE)
    assert [place for place in ALLOWED if not names.search((ROOT / place).read_text())] == []


def words_of(path: Path) -> list[tuple[int, str]]:
    """Names, texts and comments of a Python file, with their lines."""
    kinds = {tokenize.NAME, tokenize.STRING, tokenize.COMMENT}
    with path.open("rb") as file:
        return [(token.start[0], token.string) for token in tokenize.tokenize(file.readline) if token.type in kinds]


def is_named(names: str, example: re.Pattern[str], text: str) -> bool:
    return re.search(names, example.sub("", text), re.IGNORECASE) is not None
