"""A source whose key is replaced: by another one of its account, or by one of another account."""

from collections.abc import Callable, Iterator

import pytest
from pydantic import SecretStr

from cyphera_pipelines.model.configuration import Configuration, Credentials
from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.sessions import SessionStatus
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.sandbox import Fault, FaultKind, SandboxAccount, SandboxOptions, SandboxServer
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.store.configurations import ConfigurationChange, change_configuration
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.events import list_events
from cyphera_pipelines_tests.sync.conftest import RunSync
from cyphera_pipelines_tests.truth import assert_tables_equal_truth

FIRST = SandboxAccount(
    api_key="sk_test_first_account",
    account_id="acct_first",
    seed=31,
    more_keys=("sk_test_first_rolled",),
    customers=60,
    invoices=80,
    test_clock_share=0.3,
)
OTHER = SandboxAccount(
    api_key="sk_test_other_account",
    account_id="acct_other",
    seed=32,
    restricted_keys={"rk_test_other_account": frozenset({"account"})},
    customers=60,
    invoices=80,
)

ENTITIES = [entity.value for entity in Entity]


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer([FIRST, OTHER], SandboxOptions()) as server:
        yield server


@pytest.fixture
def replace_key(database: Database, keyring: Keyring, sandbox: SandboxServer) -> Callable[[Source, str], None]:
    def replace(source: Source, api_key: str) -> None:
        def decide(_present: Configuration, _read: object) -> ConfigurationChange:
            return ConfigurationChange({}, Credentials(api_key=SecretStr(api_key), base_url=sandbox.url))

        change_configuration(database, keyring, source.workspace_id, source.configuration_id, decide)

    return replace


@pytest.mark.parametrize("key", ["sk_test_other_account", "rk_test_other_account"])
@pytest.mark.parametrize("only_changes", [True, False])
def test_another_account_replaces_the_first_one_s_rows(
    key: str,
    only_changes: bool,
    sandbox: SandboxServer,
    add_source: Callable[..., Source],
    replace_key: Callable[[Source, str], None],
    sync_now: RunSync,
    database: Database,
) -> None:
    source = add_source(FIRST.api_key, sandbox.url)
    sync_now(source)
    replace_key(source, key)
    outcome = sync_now(source, only_changes=only_changes)
    assert (outcome.status, outcome.error_summary) == (SessionStatus.COMPLETED, None)
    is_certain = key == OTHER.api_key
    # Lists may leave out invoices of test clocks: only with another account for certain they are known to be gone.
    certain = ENTITIES if is_certain else [entity for entity in ENTITIES if entity != "invoices"]
    assert_tables_equal_truth(database, source, sandbox.state, "acct_other", entities=certain)
    events = {event.event_type for event in list_events(database, source.workspace_id, outcome.session.id)}
    assert "account_changed" in events


def test_the_first_account_s_rows_are_back_with_its_key(
    sandbox: SandboxServer,
    add_source: Callable[..., Source],
    replace_key: Callable[[Source, str], None],
    sync_now: RunSync,
    database: Database,
) -> None:
    """Those of its test clocks too, however soon that is."""
    source = add_source(FIRST.api_key, sandbox.url)
    for api_key, account_id in ((FIRST.api_key, "acct_first"), (OTHER.api_key, "acct_other")) * 2:
        replace_key(source, api_key)
        assert sync_now(source).status is SessionStatus.COMPLETED
        assert_tables_equal_truth(database, source, sandbox.state, account_id)


def test_an_unfinished_listing_of_another_account_is_not_gone_on_with(
    sandbox: SandboxServer,
    add_source: Callable[..., Source],
    replace_key: Callable[[Source, str], None],
    sync_now: RunSync,
    database: Database,
) -> None:
    source = add_source(FIRST.api_key, sandbox.url)
    sandbox.state.faults.set([Fault(kind=FaultKind.FORBIDDEN, path="/v1/customers", after=3)])
    assert sync_now(source, batch_size=10).status is SessionStatus.PARTIAL
    sandbox.state.faults.clear()
    replace_key(source, OTHER.api_key)
    assert sync_now(source).status is SessionStatus.COMPLETED
    assert_tables_equal_truth(database, source, sandbox.state, "acct_other")


def test_another_key_of_the_same_account_goes_on_from_where_the_last_one_was(
    sandbox: SandboxServer,
    add_source: Callable[..., Source],
    replace_key: Callable[[Source, str], None],
    sync_now: RunSync,
    database: Database,
) -> None:
    source = add_source(FIRST.api_key, sandbox.url)
    sync_now(source)
    replace_key(source, "sk_test_first_rolled")
    sandbox.state.apply_changes("acct_first", update={"customers": 2})
    for requests_for_the_account in (1, 0):
        sandbox.state.counters.reset()
        assert sync_now(source, only_changes=True).status is SessionStatus.COMPLETED
        asked = [seen.path for seen in sandbox.state.counters.recent]
        assert asked.count("/v1/account") == requests_for_the_account
        assert not set(asked) & {f"/v1/{entity.value}" for entity in Entity}
    assert_tables_equal_truth(database, source, sandbox.state, "acct_first")
