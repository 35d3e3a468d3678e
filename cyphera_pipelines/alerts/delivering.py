"""Sending what is due: several channels at once, each its messages one after the other, within a bounded time."""

import logging
import threading
import time
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from sqlalchemy.exc import SQLAlchemyError

from cyphera_pipelines.alerts.addresses import SendError
from cyphera_pipelines.alerts.messages import Writer
from cyphera_pipelines.alerts.sending import send
from cyphera_pipelines.model.alert_channels import AlertChannel, AlertDelivery
from cyphera_pipelines.model.errors import CypheraError
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.security.secrets import redact, secrets_of_one_request
from cyphera_pipelines.settings import Settings
from cyphera_pipelines.store.alert_deliveries import (
    Claim,
    DueDelivery,
    claim_channels,
    claim_for_test,
    find_delivery,
    next_due,
    note_delivered,
    note_failed,
    release,
)
from cyphera_pipelines.store.database import Database

HEALTHY_AT_ONCE, FAILING_AT_ONCE = 12, 4
"""Channels that one process sends to at once. Those whose last attempt failed have places of their own."""

_log = logging.getLogger(__name__)
_at_work: set[UUID] = set()
"""Channels that a thread of this process is at, whatever became of its claim: one that hangs is not joined by more."""
_at_work_changes = threading.Condition()


@dataclass
class Sent:
    """What became of the messages of one look. `still_sending` are channels that were not done in time."""

    delivered: int = 0
    failed: int = 0
    still_sending: int = 0
    _adding: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def count(self, *, delivered: bool) -> None:
        """Count one attempt; from any thread."""
        with self._adding:
            if delivered:
                self.delivered += 1
            else:
                self.failed += 1


def deliver(database: Database, keyring: Keyring, settings: Settings, *, within: float) -> Sent:
    """Send what is due, beginning nothing after so many seconds, and returning little later.

    A receiver that has not answered by then is left to its thread: its channel stays claimed for as long as that may
    take, and its message is due again if this process dies.
    """
    deadline, sent = time.monotonic() + within, Sent()
    mine: set[UUID] = set()
    while time.monotonic() < deadline:
        with _at_work_changes:
            busy = set(_at_work)
            failing = FAILING_AT_ONCE
            healthy = HEALTHY_AT_ONCE + FAILING_AT_ONCE - len(busy)
        claims = claim_channels(
            database, healthy=max(0, healthy - failing), failing=max(0, min(failing, healthy)), but_not=busy
        )
        for claim in claims:
            mine.add(claim.channel_id)
            _start(database, keyring, settings, claim, deadline, sent)
        with _at_work_changes:
            if not mine and not claims:
                break
            if mine <= _at_work:
                # As soon as one is done, another may take its place.
                _at_work_changes.wait(max(0.0, deadline - time.monotonic()))
            mine &= _at_work
    with _at_work_changes:
        sent.still_sending = len(mine & _at_work)
    return sent


def send_test(
    database: Database, keyring: Keyring, settings: Settings, writer: Writer, channel: AlertChannel
) -> AlertDelivery:
    """Send a test, at once and once, and return what became of it. One that is taken revives a channel that was dead.

    Raises ConflictError while something else is being sent, and QuotaReachedError after too many tests.
    """
    claim, test = claim_for_test(database, channel, writer.test(uuid4(), channel.name))
    _attempt(database, keyring, settings, claim, test)
    release(database, claim)
    return find_delivery(database, test.id)


def _start(database: Database, keyring: Keyring, settings: Settings, claim: Claim, deadline: float, sent: Sent) -> None:
    with _at_work_changes:
        _at_work.add(claim.channel_id)

    def work() -> None:
        try:
            with secrets_of_one_request():
                _send_all(database, keyring, settings, claim, deadline, sent)
        except (CypheraError, SQLAlchemyError) as error:
            # The claim runs out by itself; whatever was not written down is sent again.
            _log.warning("The channel %s of alerts could not be served: %s", claim.channel_id, redact(str(error)))
        finally:
            with _at_work_changes:
                _at_work.discard(claim.channel_id)
                _at_work_changes.notify_all()

    # A daemon: whoever ends this process need not wait for a receiver that hangs.
    threading.Thread(target=work, name=f"alerts to {claim.channel_id}", daemon=True).start()


def _send_all(
    database: Database, keyring: Keyring, settings: Settings, claim: Claim, deadline: float, sent: Sent
) -> None:
    while time.monotonic() < deadline and (due := next_due(database, claim)) is not None:
        is_delivered = _attempt(database, keyring, settings, claim, due)
        sent.count(delivered=is_delivered)
        if not is_delivered:
            return
    release(database, claim)


def _attempt(database: Database, keyring: Keyring, settings: Settings, claim: Claim, due: DueDelivery) -> bool:
    """Try once and write down what became of it; whether it was delivered."""
    try:
        send(keyring, settings, claim, due.message)
    except SendError as error:
        note_failed(database, claim, due, redact(str(error)), was_refused=error.was_refused)
        return False
    except CypheraError as error:
        note_failed(database, claim, due, redact(str(error)), was_refused=False)
        return False
    except Exception as error:
        # Of a library that speaks to dozens of services nobody knows all that it raises.
        _log.exception("An alert could not be sent to channel %s.", claim.channel_id)
        note_failed(database, claim, due, redact(f"{type(error).__name__}: {error}"), was_refused=False)
        return False
    note_delivered(database, claim, due)
    return True
