"""One look at all sources: what is wrong, what is over, whom to tell, and telling them."""

from dataclasses import dataclass

from cyphera_pipelines.alerts.announcing import announce
from cyphera_pipelines.alerts.delivering import Sent, deliver
from cyphera_pipelines.alerts.messages import Writer
from cyphera_pipelines.model.counted import counted
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.settings import Settings
from cyphera_pipelines.store.alert_conditions import bring_up_to_date
from cyphera_pipelines.store.database import Database


@dataclass(frozen=True)
class Look:
    """What one look came to: so many messages were written, and what became of those that were due."""

    written: int
    sent: Sent

    def __str__(self) -> str:
        """As in "2 messages written; 2 delivered, 0 attempts failed"."""
        sent = self.sent
        still = f", {counted(sent.still_sending, 'channel')} still being sent to" if sent.still_sending else ""
        written, failed = counted(self.written, "message"), counted(sent.failed, "attempt")
        return f"{written} written; {sent.delivered} delivered, {failed} failed{still}"


def evaluate(database: Database, settings: Settings) -> int:
    """Bring alerts up to date and write what is to be told; returns how many messages that is.

    All in one transaction, which only one at a time may be in: whoever is killed in it has done nothing.
    """
    with database.control() as connection:
        bring_up_to_date(connection)
        return announce(connection, Writer(settings.ops_url))


def look(database: Database, keyring: Keyring, settings: Settings, *, within: float) -> Look:
    """Evaluate, then send what is due, beginning nothing after so many seconds."""
    return Look(evaluate(database, settings), deliver(database, keyring, settings, within=within))
