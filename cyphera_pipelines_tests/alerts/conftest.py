"""Sources that are as a test puts them, and a look at what is told of them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from cyphera_pipelines.alerts.channels import Wanted, add
from cyphera_pipelines.alerts.looking import evaluate, look
from cyphera_pipelines.model.alert_channels import AlertChannel, ChannelKind
from cyphera_pipelines.model.alerts import Alert, AlertCause, AlertRule, AlertState
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.settings import Settings
from cyphera_pipelines.store.alert_channels import remove_channel
from cyphera_pipelines.store.alert_rules import forget_rule, set_rule
from cyphera_pipelines.store.alerts import list_alerts
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.schedules import SyncResult
from cyphera_pipelines_tests.receiver import Receiver, receiving
from cyphera_pipelines_tests.store.test_schedules import note, put


@dataclass
class Watch:
    """What looks at everything; tests share its deployment, so each is told of workspaces of its own only."""

    database: Database
    keyring: Keyring
    settings: Settings
    made: list[AlertChannel]

    def channel(
        self,
        url: str,
        *,
        of: Source | None = None,
        only: list[Source] | None = None,
        causes: list[AlertCause] | None = None,
        kind: ChannelKind = ChannelKind.WEBHOOK,
        **settings: Any,
    ) -> tuple[AlertChannel, str]:
        """A channel of the source's workspace, or of the deployment for some sources, and its secret."""
        wanted = Wanted("a channel", kind, url, causes, None if only is None else [each.workspace_id for each in only])
        used = self.settings.model_copy(update={"alerts_to_private_addresses": True, **settings})
        added = add(self.database, self.keyring, used, None if of is None else of.workspace_id, wanted)
        self.made.append(added.channel)
        return added.channel, added.secret or ""

    def look(self, **settings: Any) -> None:
        used = self.settings.model_copy(update={"alerts_to_private_addresses": True, **settings})
        look(self.database, self.keyring, used, within=120.0)

    def evaluate(self) -> None:
        evaluate(self.database, self.settings)

    def alerts(self, *sources: Source, states: tuple[AlertState, ...] = (AlertState.OPEN,)) -> list[Alert]:
        ids = {each.workspace_id for each in sources}
        found = list_alerts(self.database, None, states, limit=100_000)
        return [each for each in found if each.workspace_id in ids]


def fail(database: Database, *sources: Source, message: str = "The provider does not answer.") -> None:
    for source in sources:
        note(database, source, SyncResult.FAILED, message)


def succeed(database: Database, *sources: Source) -> None:
    for source in sources:
        note(database, source, SyncResult.LEVEL)


def be_fresh(database: Database, *sources: Source) -> None:
    """As after a first sync, some time ago."""
    for source in sources:
        put(database, source, fresh_at=text("now() - interval '1 minute'"))


@pytest.fixture
def watch(database: Database, keyring: Keyring, settings: Settings) -> Iterator[Watch]:
    """With rules under which everything is told at once, as is its end."""
    for cause in AlertCause:
        set_rule(database, None, AlertRule(cause, all_clear_after=0))
    made: list[AlertChannel] = []
    yield Watch(database, keyring, settings, made)
    for channel in made:
        remove_channel(database, None, channel.id)
    for cause in AlertCause:
        forget_rule(database, None, cause)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


@pytest.fixture
def sources(database: Database, add_source: Callable[..., Source]) -> Callable[[int], list[Source]]:
    """So many sources, each of a workspace of its own, fresh a minute ago."""

    def make(count: int) -> list[Source]:
        made = [add_source("sk_test_alerts") for _ in range(count)]
        be_fresh(database, *made)
        return made

    return make


def kinds(receiver: Receiver) -> list[str]:
    return [each.event["kind"] for each in receiver.received]


def channel_row(database: Database, channel_id: UUID) -> Any:
    with database.control() as connection:
        return connection.execute(text("SELECT * FROM sync.alert_channels WHERE id = :id"), {"id": channel_id}).one()
