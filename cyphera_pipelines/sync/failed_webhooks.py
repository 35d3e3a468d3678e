"""Webhooks that a sync could not apply: each failure counts, and after so many they are given up."""

from collections.abc import Mapping

from cyphera_pipelines.model.entities import Entity
from cyphera_pipelines.model.errors import CypheraError
from cyphera_pipelines.security.secrets import redact
from cyphera_pipelines.settings import load_settings
from cyphera_pipelines.store.inbox import note_failed
from cyphera_pipelines.sync.context import SyncContext


def note_failed_webhooks(context: SyncContext, errors: Mapping[Entity, CypheraError]) -> None:
    """Count an attempt of the events that are about these entities, and say with each why it failed.

    What failed is the entity, not the event: once a sync brings the entity up to date, its events are applied however
    often they failed before.
    """
    most = load_settings().webhook_attempts if errors else 0
    for entity, error in errors.items():
        message = redact(str(error))
        note_failed(
            context.database, context.source, [entity], message, error.code, livemode=context.livemode, most=most
        )
