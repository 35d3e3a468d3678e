from pathlib import Path

from typer.testing import CliRunner

from cyphera_pipelines.cli.app import app
from cyphera_pipelines.dictionary.errors import errors_page
from cyphera_pipelines.model.error_codes import ErrorCode

_PAGE = Path(__file__).parents[2] / "docs" / "errors.md"


def test_the_page_of_the_documentation_is_this_one(tmp_path: Path) -> None:
    written = tmp_path / "errors.md"
    assert CliRunner().invoke(app, ["errors", "--out", str(written)]).exit_code == 0
    assert written.read_text(encoding="utf-8") == _PAGE.read_text(encoding="utf-8"), (
        "Write it anew: cyphera errors --out docs/errors.md"
    )


def test_every_code_has_a_heading_to_link_to_and_all_that_is_known_of_it() -> None:
    page = errors_page()
    for code in ErrorCode:
        assert f"\n## {code}\n\n{code.meaning}\n\nWhat to do: {code.remedy}\n\nWho can: {code.who}.\n" in page
        assert f"[{code}](#{code})" in page
