"""Unusual secrets are put into a source and used in every way; then they are looked for wherever anybody could read."""

import html
import json
import re
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psycopg2
import pytest

from cyphera_pipelines import local
from cyphera_pipelines.api.in_thread import serving
from cyphera_pipelines.sandbox import SandboxAccount, SandboxServer
from cyphera_pipelines.security.keys import load_keyring
from cyphera_pipelines.settings import Settings
from cyphera_pipelines_tests.cli.command import Cyphera, ForkedCyphera, Outcome
from cyphera_pipelines_tests.providers.header_server import Answer, Asked, HeaderServer

pytestmark = pytest.mark.slow

API_KEYS = {"odd": "correct/horse+battery:staple=7391", "shaped": "rk_live_51PlantedKeyOfStripeShape77"}
WEBHOOK_SECRETS = {"odd": "planted*webhook~secret!2468", "shaped": "whsec_PlantedWebhookSecretShape88"}
# Parts of them too: what was cut out only half would still be found.
FORBIDDEN = ("horse+battery", "PlantedKeyOfStripe", "webhook~secret", "PlantedWebhookSecret")
MOST_PAGES = 200
FAILURES = ("400", "401", "403", "404", "409", "500", "502", "drop")


@dataclass
class Place:
    """A home in which the secrets were used, and all that was printed meanwhile."""

    cyphera: Cyphera
    printed: dict[str, str] = field(default_factory=dict)
    opened: list[ForkedCyphera] = field(default_factory=list)
    of_thread: threading.local = field(default_factory=threading.local)

    def run(self, *arguments: str, stdin: str = "", real: bool = False, **environment: str) -> Outcome:
        outcome = (self.cyphera if real else self._forked())(*arguments, stdin=stdin, **environment)
        self.printed[f"{len(self.printed)} {' '.join(arguments)}"] = outcome.out + outcome.err
        return outcome

    def _forked(self) -> ForkedCyphera:
        """Each thread has one of its own."""
        if not hasattr(self.of_thread, "forked"):
            self.of_thread.forked = ForkedCyphera(self.cyphera.home)
            self.opened.append(self.of_thread.forked)
        forked: ForkedCyphera = self.of_thread.forked
        return forked


class Echo:
    """A provider that is no friend: each request fails in the next of these ways, and the answer repeats the key.

    A way is a status, or `drop` for a connection that is closed without a word. The last one stays.
    """

    def __init__(self, *ways: str) -> None:
        self._ways = list(ways)
        self._lock = threading.Lock()

    def __call__(self, asked: Asked) -> Answer | None:
        with self._lock:
            way = self._ways.pop(0) if len(self._ways) > 1 else self._ways[0]
        if way == "drop":
            return None
        key = asked.headers["authorization"].removeprefix("Bearer ")
        error = {"message": f"The key {key} is bad: Bearer {key}.", "type": "invalid_request_error", "code": key}
        body = f"<html>{key}</html>" if way == "502" else json.dumps({"error": error})
        names = ("Request-Id", "Stripe-Rate-Limited-Reason", "Set-Cookie", "X-Key")
        return Answer(int(way), body.encode(), dict.fromkeys(names, key))


@pytest.fixture(scope="module")
def place(quick_folder: Path | None) -> Iterator[Place]:
    with tempfile.TemporaryDirectory(prefix="planted", dir=quick_folder) as folder:
        made = Place(Cyphera(Path(folder) / "home"))
        handle = local.start(made.cyphera.home)
        try:
            fill(made)
            yield made
        finally:
            for forked in made.opened:
                forked.close()
            handle.release()


def fill(made: Place) -> None:
    """Use both kinds of secrets in every way."""

    def use(name: str) -> None:
        with SandboxServer([]) as sandbox, HeaderServer() as hostile:
            use_as_intended(made, name, sandbox)
            meet_a_hostile_provider(made, name, hostile)

    with ThreadPoolExecutor(len(API_KEYS)) as threads:
        list(threads.map(use, API_KEYS))
    made.run("source", "list")
    made.run("source", "list", "--json")
    for session in made.run("sessions", "--json").json():
        made.run("events", session["id"])
        made.run("events", session["id"], "--json")


def add(place: Place, slug: str, name: str, base_url: str, *more: str) -> None:
    place.run("workspace", "create", slug).done()
    arguments = ("source", "add", slug, "stripe", "--api-key-stdin", "--base-url", base_url)
    given = ("--webhook-secret-env", "HOOK", *more)
    place.run(*arguments, *given, stdin=API_KEYS[name], HOOK=WEBHOOK_SECRETS[name]).done()
    again = place.run("--debug", *arguments, *given, stdin=API_KEYS[name], HOOK=WEBHOOK_SECRETS[name])
    assert again.code == 1, "it was added already"


def use_as_intended(place: Place, name: str, sandbox: SandboxServer) -> None:
    sandbox.state.put_account(SandboxAccount(api_key=API_KEYS[name], account_id=f"acct_planted{name}", customers=30))
    slug = f"good-{name}"
    add(place, slug, name, sandbox.url, "--json")
    place.run("source", "test", slug, "stripe").done()
    place.run("--debug", "source", "test", slug, "stripe", "--json").done()
    place.run("--debug", "sync", slug, "stripe", real=True).done()
    customer = next(iter(sandbox.state.truth(f"acct_planted{name}", "customers")))
    sandbox.state.patch(f"acct_planted{name}", customer["id"], {"balance": "not a number"})
    assert place.run("--debug", "sync", slug, "stripe", "--json").code == 2


def meet_a_hostile_provider(place: Place, name: str, hostile: HeaderServer) -> None:
    slug = f"bad-{name}"
    add(place, slug, name, hostile.url)
    for failure in FAILURES:
        hostile.answer_with(Echo(failure))
        options = ("--debug",) if name == "odd" else ()
        assert place.run(*options, "source", "test", slug, "stripe").code in (1, 2)
    hostile.answer_with(Echo("500", "drop", "429", "401") if name == "odd" else Echo("409", "403"))
    assert place.run("--debug", "sync", slug, "stripe", real=name == "odd").code == 1


def test_nothing_that_was_printed_holds_a_secret(place: Place) -> None:
    assert "acct_plantedodd" in "".join(place.printed.values()), "the search finds what is there"
    assert_clean(place.printed)


@pytest.mark.parametrize("database", ["cyphera", "dagster"])
def test_no_row_of_any_table_holds_a_secret(database: str, place: Place) -> None:
    handle = local.start(place.cyphera.home)
    rows: dict[str, str] = {}
    connection = psycopg2.connect(handle.psql_url(database))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) FROM pg_tables "
            "WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        )
        for (table,) in cursor.fetchall():
            cursor.execute(f"SELECT found::text FROM {table} AS found")
            rows[table] = "\n".join(row for (row,) in cursor.fetchall())
    connection.close()
    handle.release()
    expected = "acct_plantedodd" if database == "cyphera" else "good-odd:stripe"
    assert expected in "".join(rows.values()), "the search finds what is there"
    if database == "cyphera":
        said = rows["sync.payment_sync_events"]
        assert "is bad: Bearer ***" in said
        for kind in ("request_provider_error", "request_connection_lost", "request_rate_limited"):
            assert kind in said
    assert_clean(rows)


def test_no_file_under_the_home_holds_a_secret(place: Place) -> None:
    files = {
        str(path.relative_to(place.cyphera.home)): path.read_bytes().decode("latin-1")
        for path in place.cyphera.home.rglob("*")
        if path.is_file() and (path.parts[len(place.cyphera.home.parts)] != "postgres" or path.suffix == ".log")
    }
    assert "encryption.key" in files
    assert any(name.startswith("postgres/") for name in files)
    assert_clean(files)


def test_no_page_that_an_operator_can_reach_holds_a_secret(place: Place) -> None:
    settings = Settings(home=place.cyphera.home)
    key = place.run("key", "create", "--operator", "--json").json()["operator_key"]
    pages: dict[str, str] = {}
    with (
        serving(settings, load_keyring(settings)) as url,
        httpx.Client(base_url=url, follow_redirects=True, timeout=60) as browser,
    ):
        form = browser.get("/ops/sign-in").text.partition('name="csrf_token" value="')[2].partition('"')[0]
        browser.post("/ops/sign-in", data={"csrf_token": form, "key": key})
        found = ["/ops"]
        while found and len(pages) < MOST_PAGES:
            address = found.pop(0)
            answer = browser.get(address)
            assert answer.status_code < 500, address
            pages[address] = answer.text
            links = re.findall(r'href="(/ops[^"#]*)', answer.text)
            found += [
                link
                for link in dict.fromkeys(map(html.unescape, links))
                if link not in pages and link not in found and not link.startswith("/ops/static/")
            ]
    assert "bad-odd:stripe" in pages["/ops"], "the search finds what is there"
    assert_clean(pages)
    assert key not in "".join(pages.values())


def assert_clean(texts: dict[str, str]) -> None:
    for name, text in texts.items():
        for secret in FORBIDDEN:
            for form in (secret, secret.encode().hex()):
                at = text.find(form)
                assert at < 0, f"{name} holds {secret!r}: ...{text[max(0, at - 200) : at + 100]}"
