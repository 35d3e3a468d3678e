"""No error without a code: the registry, the classes that have one, and every place where one is raised or told."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TypeVar

import pytest

import cyphera_pipelines
from cyphera_pipelines.model.error_codes import ErrorCode, WhoActs

Node = TypeVar("Node", bound=ast.AST)
ROOT = Path(cyphera_pipelines.__file__).parent
SANDBOX = "sandbox/"
"""What looks like a provider has errors of that provider's."""
BASE = "CypheraError"
LOOKED_AT = (ast.ClassDef, ast.Call, ast.Attribute, ast.Constant)
PROBLEMS = ("ProblemError", "conflict", "_unprocessable")


@pytest.mark.parametrize("code", ErrorCode)
def test_a_code_is_a_word_and_says_what_it_means_what_to_do_and_who_can(code: ErrorCode) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", code.value)
    assert code.value == code.name.lower().replace("_", "-")
    assert code.who in WhoActs
    for sentence in (code.meaning, code.remedy):
        assert sentence[0].isupper() or sentence[0] == "`"
        assert sentence.endswith(".")
        assert "  " not in sentence


def test_no_two_codes_are_the_same() -> None:
    assert len(ErrorCode.__members__) == len(ErrorCode)


def test_every_error_of_ours_has_a_code() -> None:
    """One that inherits its code inherits it from an error of its kind, and not from the base, which knows of none."""
    classes = {node.name: node for _place, node in nodes_of(ast.ClassDef)}
    of_ours = {name for name in classes if descends(name, classes)} - {BASE}
    assert len(of_ours) > 40
    assert [name for name in sorted(of_ours) if code_in(classes[name], classes) is None] == []


def test_whoever_raises_the_base_says_which_code() -> None:
    assert without(calls_of(BASE), "code") == []


def test_every_warning_and_error_of_a_session_has_a_code() -> None:
    loud = [(place, call) for place, call in calls_of("SessionEvent") if is_loud(call)]
    assert len(loud) > 15
    assert without(loud, "code") == []


def test_every_end_of_a_session_says_which_code() -> None:
    ends = list(calls_of("finish_session"))
    assert len(ends) > 5
    assert without(ends, "code") == []


def test_what_a_schedule_is_told_of_a_failure_has_a_code() -> None:
    told = [(place, call) for place, call in calls_of("SyncEnd") if len(call.args) > 2]
    assert len(told) > 4
    assert [place for place, call in told if len(call.args) < 4] == []


def test_every_kind_of_problem_is_a_code() -> None:
    known = set(ErrorCode)
    kinds = {
        (place, each.value)
        for name in PROBLEMS
        for place, call in calls_of(name)
        for each in call.args[:2]
        if isinstance(each, ast.Constant) and re.fullmatch(r"[a-z]+(-[a-z]+)+", str(each.value))
    }
    assert len(kinds) > 10
    assert [found for found in sorted(kinds) if found[1] not in known] == []


def test_every_code_is_used() -> None:
    """One that nothing uses explains something that never happens."""
    used = {node.attr for _place, node in nodes_of(ast.Attribute) if is_name(node.value, "ErrorCode")}
    words = {node.value for _place, node in nodes_of(ast.Constant) if isinstance(node.value, str)}
    assert [code for code in ErrorCode if code.name not in used and code.value not in words] == []


@cache
def all_nodes() -> list[tuple[str, ast.AST]]:
    """Every node of the package's code but for the registry itself, with the file and the line."""
    found: list[tuple[str, ast.AST]] = []
    for path in sorted(ROOT.rglob("*.py")):
        place = path.relative_to(ROOT).as_posix()
        if not place.startswith(SANDBOX) and place != "model/error_codes.py":
            nodes = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, LOOKED_AT))
            found += [(f"{place}:{getattr(node, 'lineno', 0)}", node) for node in nodes]
    return found


def nodes_of(kind: type[Node]) -> Iterator[tuple[str, Node]]:
    return ((place, node) for place, node in all_nodes() if isinstance(node, kind))


def calls_of(name: str) -> Iterator[tuple[str, ast.Call]]:
    return ((place, call) for place, call in nodes_of(ast.Call) if is_name(call.func, name))


def without(calls: Iterator[tuple[str, ast.Call]] | list[tuple[str, ast.Call]], keyword: str) -> list[str]:
    return [place for place, call in calls if keyword not in {each.arg for each in call.keywords}]


def is_loud(call: ast.Call) -> bool:
    level = next((each.value for each in call.keywords if each.arg == "level"), None)
    return level is not None and not (isinstance(level, ast.Attribute) and level.attr == "INFO")


def descends(name: str, classes: dict[str, ast.ClassDef]) -> bool:
    if name == BASE:
        return True
    found = classes.get(name)
    return found is not None and any(descends(base, classes) for base in bases_of(found))


def code_in(found: ast.ClassDef, classes: dict[str, ast.ClassDef]) -> str | None:
    for statement in found.body:
        if isinstance(statement, ast.Assign) and any(is_name(each, "code") for each in statement.targets):
            return ast.unparse(statement.value)
    own = [base for base in bases_of(found) if base != BASE and descends(base, classes)]
    return next((code for base in own if (code := code_in(classes[base], classes)) is not None), None)


def bases_of(found: ast.ClassDef) -> list[str]:
    return [base.id for base in found.bases if isinstance(base, ast.Name)]


def is_name(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name
