"""Configurations: credentials go in encrypted and come out only to call the provider."""

from typing import Any
from uuid import UUID, uuid4

import orjson
from pydantic import SecretStr, ValidationError
from sqlalchemy import Row, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from cyphera_pipelines.model.configuration import Configuration, Credentials
from cyphera_pipelines.model.errors import ConflictError, NotFoundError
from cyphera_pipelines.model.workspace import Workspace
from cyphera_pipelines.security.encryption import Binding, DecryptionError, Keyring
from cyphera_pipelines.security.secrets import register_secret
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.tables import workspace_payment_configurations as configurations

_PUBLIC_COLUMNS = [column for column in configurations.c if column.name not in ("configuration", "deleted_at")]


def create_configuration(
    database: Database,
    keyring: Keyring,
    workspace: Workspace,
    provider: str,
    credentials: Credentials,
    *,
    is_test_mode: bool,
    webhook_endpoint_url: str | None = None,
    metadata: dict[str, Any] | None = None,
) -> Configuration:
    """Store an active configuration. Raises ConflictError if the workspace has an active one for the provider."""
    configuration_id = uuid4()
    binding = Binding(workspace.id, configuration_id, provider)
    values = {
        "id": configuration_id,
        "workspace_id": workspace.id,
        "provider_name": provider,
        "is_test_mode": is_test_mode,
        "configuration": keyring.encrypt(_to_plaintext(credentials), binding),
        "webhook_endpoint_url": webhook_endpoint_url,
        "metadata": metadata or {},
    }
    try:
        with database.tenant(workspace.id) as connection:
            row = connection.execute(insert(configurations).values(values).returning(*_PUBLIC_COLUMNS)).one()
    except IntegrityError:
        raise ConflictError(
            f"Workspace {workspace.slug!r} has an active {provider} source already. "
            f"Remove it first with: cyphera source remove {workspace.slug} {provider}"
        ) from None
    return _to_configuration(row)


def find_active_configuration(database: Database, workspace: Workspace, provider: str) -> Configuration:
    """The workspace's active configuration for the provider, or NotFoundError."""
    statement = select(*_PUBLIC_COLUMNS).where(
        configurations.c.workspace_id == workspace.id,
        configurations.c.provider_name == provider,
        configurations.c.is_active,
        configurations.c.deleted_at.is_(None),
    )
    with database.tenant(workspace.id) as connection:
        row = connection.execute(statement).one_or_none()
    if row is None:
        raise NotFoundError(
            f"Workspace {workspace.slug!r} has no active {provider} source. "
            f"Add it with: cyphera source add {workspace.slug} {provider} --api-key-stdin"
        )
    return _to_configuration(row)


def read_credentials(database: Database, keyring: Keyring, binding: Binding) -> Credentials:
    """Decrypt the bound configuration's credentials and register them as secrets.

    Raises DecryptionError that names the configuration if its value does not open.
    """
    statement = select(configurations.c.configuration).where(configurations.c.id == binding.configuration_id)
    with database.tenant(binding.workspace_id) as connection:
        envelope = connection.execute(statement).scalar_one()
    try:
        credentials = Credentials.model_validate_json(keyring.decrypt(envelope, binding))
    except ValidationError:
        raise DecryptionError(
            f"Configuration {binding.configuration_id} of workspace {binding.workspace_id} "
            f"({binding.provider}) was decrypted but does not hold credentials. Enter them again."
        ) from None
    for secret in credentials.secret_values():
        register_secret(secret)
    return credentials


def remove_configuration(database: Database, configuration: Configuration) -> None:
    """Mark the configuration as deleted. Its synced rows stay; a new configuration may take its place."""
    statement = (
        update(configurations)
        .where(configurations.c.id == configuration.id)
        .values(is_active=False, deleted_at=func.now(), updated_at=func.now())
    )
    with database.tenant(configuration.workspace_id) as connection:
        connection.execute(statement)


def record_sync(database: Database, workspace_id: UUID, configuration_id: UUID) -> None:
    """Note that a sync of the configuration has just completed."""
    statement = update(configurations).where(configurations.c.id == configuration_id).values(last_sync_at=func.now())
    with database.tenant(workspace_id) as connection:
        connection.execute(statement)


def _to_plaintext(credentials: Credentials) -> bytes:
    values = credentials.model_dump(exclude_none=True)
    for name, value in values.items():
        values[name] = value.get_secret_value() if isinstance(value, SecretStr) else value
    return orjson.dumps(values)


def _to_configuration(row: Row[Any]) -> Configuration:
    return Configuration(**row._mapping)
