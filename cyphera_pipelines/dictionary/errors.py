"""The page that tells what each error code means, what to do about it, and who can."""

from cyphera_pipelines.dictionary.rendering import render_page
from cyphera_pipelines.model.error_codes import ErrorCode, WhoActs


def errors_page() -> str:
    """The page in Markdown: all codes in alphabetical order, each with an anchor of its own."""
    codes = sorted(ErrorCode)
    by_who = {who: [code for code in codes if code.who is who] for who in WhoActs}
    return render_page("errors.md", codes=codes, by_who=by_who)
