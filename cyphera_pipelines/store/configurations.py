"""Configurations: credentials go in encrypted and come out only to call the provider."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import orjson
from pydantic import SecretStr, ValidationError
from sqlalchemy import Connection, Row, Select, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from cyphera_pipelines.model.audit import Action
from cyphera_pipelines.model.configuration import Configuration, Credentials
from cyphera_pipelines.model.error_codes import ErrorCode
from cyphera_pipelines.model.errors import ConflictError, CypheraError, NotFoundError
from cyphera_pipelines.model.quotas import Quotas
from cyphera_pipelines.model.schedule import Schedule
from cyphera_pipelines.model.workspace import Workspace
from cyphera_pipelines.security.encryption import Binding, DecryptionError, Keyring
from cyphera_pipelines.security.platform_key import platform_key
from cyphera_pipelines.security.secrets import register_secret
from cyphera_pipelines.settings import load_settings
from cyphera_pipelines.store.access.matrix import Role
from cyphera_pipelines.store.audit import record_action, record_refusal
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.platform_accounts import check_allowed
from cyphera_pipelines.store.purges import check_not_purged
from cyphera_pipelines.store.quotas import check_configurations
from cyphera_pipelines.store.schedules import begin_schedule, end_credentials_pause, set_schedule
from cyphera_pipelines.store.tables import workspace_payment_configurations as configurations

MOST_REMOVED = 100
"""Removed configurations of one workspace that are kept: who adds and removes them all day fills no table."""
_OPEN_THE_ACCOUNT = {"configuration.api_key", "configuration.base_url", "connected_account_id", "is_test_mode"}
"""What of a configuration decides whether the provider accepts it."""
_PUBLIC_COLUMNS = [column for column in configurations.c if column.name not in ("configuration", "deleted_at")]


def create_configuration(
    database: Database,
    keyring: Keyring,
    workspace: Workspace,
    provider: str,
    credentials: Credentials,
    *,
    is_test_mode: bool,
    is_active: bool = True,
    label: str | None = None,
    webhook_endpoint_url: str | None = None,
    connected_account_id: str | None = None,
    metadata: dict[str, Any] | None = None,
    schedule: Schedule | None = None,
    quotas: Quotas | None = None,
) -> Configuration:
    """Store a configuration. If it is active, its source is synced by itself from then on.

    That is by the default schedule unless another is given. Raises ConflictError if it is to be active and the
    workspace has an active one, PurgeUnderWayError, QuotaReachedError, and AccountNotAllowedError for an account that
    the platform's key is not to open for it.
    """
    configuration_id = uuid4()
    binding = Binding(workspace.id, configuration_id, provider)
    values = {
        "id": configuration_id,
        "workspace_id": workspace.id,
        "provider_name": provider,
        "is_active": is_active,
        "is_test_mode": is_test_mode,
        "configuration": keyring.encrypt(_to_plaintext(credentials), binding),
        "label": label,
        "webhook_endpoint_url": webhook_endpoint_url,
        "connected_account_id": connected_account_id,
        "metadata": metadata or {},
    }
    try:
        with database.tenant(workspace.id, role=Role.CREDENTIALS, alone=quotas is not None) as connection:
            if quotas is not None:
                check_configurations(connection, quotas)
            check_not_purged(connection, workspace.id, provider)
            if credentials.uses_platform_key:
                check_allowed(connection, workspace.id, provider, connected_account_id, livemode=not is_test_mode)
            row = connection.execute(insert(configurations).values(values).returning(*_PUBLIC_COLUMNS)).one()
            if is_active:
                begin_schedule(connection, workspace.id, provider, schedule, is_new=True)
            details = {"provider": provider, "is_active": is_active, "key": credentials.key_ending()}
            record_action(connection, workspace.id, Action.CONFIGURATION_CREATED, configuration_id, details)
    except IntegrityError:
        reason = f"Workspace {workspace.slug!r} has an active {provider} source already."
        record_refusal(database, workspace.id, Action.CONFIGURATION_CREATED, provider, reason)
        raise ConflictError(
            f"{reason} Remove it first with: cyphera source remove {workspace.slug} {provider}",
            code=ErrorCode.CONFIGURATION_ACTIVE,
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


def list_providers(database: Database, workspace_id: UUID) -> set[str]:
    """The providers of which the workspace has a configuration, removed ones included, installed or not."""
    statement = select(configurations.c.provider_name).where(configurations.c.workspace_id == workspace_id)
    with database.tenant(workspace_id) as connection:
        return set(connection.execute(statement).scalars())


def get_configuration(database: Database, workspace_id: UUID, configuration_id: UUID) -> Configuration:
    """One configuration of the workspace, active or not, or NotFoundError."""
    with database.tenant(workspace_id) as connection:
        row = connection.execute(_existing(configuration_id)).one_or_none()
    if row is None:
        raise _no_such(configuration_id)
    return _to_configuration(row)


def page_configurations(
    database: Database, workspace_id: UUID, *, limit: int, offset: int
) -> tuple[list[Configuration], int]:
    """A page of the workspace's configurations, newest first, and how many there are in all."""
    existing = select(*_PUBLIC_COLUMNS).where(configurations.c.deleted_at.is_(None))
    page = existing.order_by(configurations.c.created_at.desc(), configurations.c.id).limit(limit).offset(offset)
    with database.tenant(workspace_id) as connection:
        found = [_to_configuration(row) for row in connection.execute(page)]
        return found, connection.execute(select(func.count()).select_from(existing.subquery())).scalar_one()


@dataclass(frozen=True)
class ConfigurationChange:
    """New values of a configuration's columns by name, new credentials, and another schedule of its source.

    None leaves those as they are. `action` is what the audit trail calls it, with these `details` more.
    """

    columns: dict[str, Any]
    credentials: Credentials | None = None
    schedule: Schedule | None = None
    action: Action = Action.CONFIGURATION_CHANGED
    details: Mapping[str, Any] = field(default_factory=dict)


def change_configuration(
    database: Database,
    keyring: Keyring,
    workspace_id: UUID,
    configuration_id: UUID,
    decide: Callable[[Configuration, Callable[[], Credentials]], ConfigurationChange],
) -> Configuration:
    """Change a configuration to what `decide` makes of its present state; nobody else changes it meanwhile.

    Its present credentials are opened only if `decide` asks for them: new ones may replace what no longer opens.
    Raises NotFoundError, ConflictError if it would be a second active one, and whatever `decide` does.
    """
    try:
        with database.tenant(workspace_id, role=Role.CREDENTIALS) as connection:
            return _change(connection, keyring, workspace_id, configuration_id, decide)
    except NotFoundError:
        raise
    except CypheraError as error:
        record_refusal(database, workspace_id, Action.CONFIGURATION_CHANGED, configuration_id, str(error))
        raise


def _change(
    connection: Connection,
    keyring: Keyring,
    workspace_id: UUID,
    configuration_id: UUID,
    decide: Callable[[Configuration, Callable[[], Credentials]], ConfigurationChange],
) -> Configuration:
    present = _existing(configuration_id).add_columns(configurations.c.configuration).with_for_update()
    row = connection.execute(present).one_or_none()
    if row is None:
        raise _no_such(configuration_id)
    values = dict(row._mapping)
    envelope = values.pop("configuration")
    binding = Binding(workspace_id, configuration_id, row.provider_name)
    change = decide(Configuration(**values), lambda: _open(keyring, envelope, binding))
    columns = {**change.columns, "updated_at": func.now()}
    changed = [name for name, value in change.columns.items() if value != values[name]]
    details: dict[str, Any] = {"provider": row.provider_name, "changed": changed, **change.details}
    if change.credentials is not None:
        columns["configuration"] = keyring.encrypt(_to_plaintext(change.credentials), binding)
        changed += _changed_credentials(keyring, envelope, binding, change.credentials)
        details["key"] = change.credentials.key_ending()
    statement = update(configurations).where(configurations.c.id == configuration_id).values(columns)
    if _OPEN_THE_ACCOUNT.intersection(change.columns):
        _check_platform_account(
            connection, keyring, envelope, binding, Configuration(**values | change.columns), change
        )
    try:
        configuration = _to_configuration(connection.execute(statement.returning(*_PUBLIC_COLUMNS)).one())
    except IntegrityError:
        raise ConflictError(
            f"The workspace has another active {row.provider_name} configuration. Make that one inactive first.",
            code=ErrorCode.CONFIGURATION_ACTIVE,
        ) from None
    changed += _change_schedule(connection, configuration, change.schedule, was_active=values["is_active"])
    record_action(connection, workspace_id, change.action, configuration_id, details)
    if configuration.is_active and _OPEN_THE_ACCOUNT.intersection(changed):
        end_credentials_pause(connection, workspace_id, configuration.provider_name)
    return configuration


def _change_schedule(
    connection: Connection, configuration: Configuration, schedule: Schedule | None, *, was_active: bool
) -> list[str]:
    """Let the source of a configuration that has become active be due; returns what was changed of its schedule."""
    workspace_id, provider = configuration.workspace_id, configuration.provider_name
    if configuration.is_active and not was_active:
        begin_schedule(connection, workspace_id, provider, schedule, is_new=False)
        return [] if schedule is None else ["schedule"]
    if configuration.is_active and schedule is not None and set_schedule(connection, workspace_id, provider, schedule):
        return ["schedule"]
    return []


def _check_platform_account(
    connection: Connection,
    keyring: Keyring,
    envelope: str,
    binding: Binding,
    changed: Configuration,
    change: ConfigurationChange,
) -> None:
    """That the platform's key may open the account that the configuration is for from now on."""
    credentials = change.credentials or _open(keyring, envelope, binding)
    if credentials.uses_platform_key:
        provider, livemode = changed.provider_name, not changed.is_test_mode
        check_allowed(connection, changed.workspace_id, provider, changed.connected_account_id, livemode=livemode)


def _changed_credentials(keyring: Keyring, envelope: str, binding: Binding, given: Credentials) -> list[str]:
    """The names of the credentials that differ from those in the envelope; of all, if that does not open."""
    try:
        before: Credentials | None = _open(keyring, envelope, binding)
    except DecryptionError:
        before = None
    names = [name for name in Credentials.model_fields if not name.startswith("former_")]
    return [f"configuration.{name}" for name in names if getattr(before, name, None) != getattr(given, name)]


def end_former_secret(database: Database, keyring: Keyring, workspace_id: UUID, configuration_id: UUID) -> bool:
    """Accept no longer the webhook secret that was replaced. Returns False if there was none. Raises NotFoundError."""
    present = _existing(configuration_id).add_columns(configurations.c.configuration).with_for_update()
    with database.tenant(workspace_id, role=Role.CREDENTIALS) as connection:
        row = connection.execute(present).one_or_none()
        if row is None:
            raise _no_such(configuration_id)
        binding = Binding(workspace_id, configuration_id, row.provider_name)
        credentials = _open(keyring, row.configuration, binding)
        if credentials.former_webhook_secret is None:
            return False
        envelope = keyring.encrypt(_to_plaintext(credentials.without_former_secret()), binding)
        changed = update(configurations).where(configurations.c.id == configuration_id)
        connection.execute(changed.values(configuration=envelope, updated_at=func.now()))
        details = {"provider": row.provider_name}
        record_action(connection, workspace_id, Action.WEBHOOK_SECRET_ENDED, configuration_id, details)
    return True


def read_credentials(database: Database, keyring: Keyring, binding: Binding) -> Credentials:
    """Decrypt the bound configuration's credentials and register them as secrets: what the provider is called with.

    One that has no key of its own gets the platform's, as long as an operator allows it. Raises DecryptionError that
    names the configuration if its value does not open, AccountNotAllowedError and NoPlatformKeyError.
    """
    shown = (configurations.c.configuration, configurations.c.connected_account_id, configurations.c.is_test_mode)
    statement = select(*shown).where(configurations.c.id == binding.configuration_id)
    with database.tenant(binding.workspace_id, role=Role.CREDENTIALS) as connection:
        row = connection.execute(statement).one()
        credentials = _open(keyring, row.configuration, binding)
        if not credentials.uses_platform_key:
            return credentials
        livemode = not row.is_test_mode
        check_allowed(connection, binding.workspace_id, binding.provider, row.connected_account_id, livemode=livemode)
    return credentials.model_copy(update={"api_key": platform_key(binding.provider, load_settings())})


def _open(keyring: Keyring, envelope: str, binding: Binding) -> Credentials:
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


def remove_configuration(database: Database, configuration: Configuration, *, keep: int = MOST_REMOVED) -> None:
    """Mark the configuration as deleted. Its synced rows stay; a new configuration may take its place.

    Of the workspace's removed configurations the newest are kept, the others forgotten.
    """
    statement = (
        update(configurations)
        .where(configurations.c.id == configuration.id)
        .values(is_active=False, deleted_at=func.now(), updated_at=func.now())
    )
    with database.tenant(configuration.workspace_id, role=Role.CREDENTIALS) as connection:
        if connection.execute(statement.where(configurations.c.deleted_at.is_(None))).rowcount == 1:
            details = {"provider": configuration.provider_name}
            record_action(
                connection, configuration.workspace_id, Action.CONFIGURATION_REMOVED, configuration.id, details
            )
        kept = (
            select(configurations.c.id)
            .where(configurations.c.deleted_at.is_not(None))
            .order_by(configurations.c.deleted_at.desc())
            .limit(keep)
        )
        connection.execute(
            delete(configurations).where(configurations.c.deleted_at.is_not(None), configurations.c.id.not_in(kept))
        )


def record_sync(database: Database, workspace_id: UUID, configuration_id: UUID) -> None:
    """Note that a sync of the configuration has just completed."""
    statement = update(configurations).where(configurations.c.id == configuration_id).values(last_sync_at=func.now())
    with database.tenant(workspace_id) as connection:
        connection.execute(statement)


def _existing(configuration_id: UUID) -> Select[Any]:
    return select(*_PUBLIC_COLUMNS).where(
        configurations.c.id == configuration_id, configurations.c.deleted_at.is_(None)
    )


def _no_such(configuration_id: UUID) -> NotFoundError:
    return NotFoundError(f"There is no configuration {configuration_id} in this workspace.")


def _to_plaintext(credentials: Credentials) -> bytes:
    values = credentials.model_dump(exclude_defaults=True)
    if credentials.uses_platform_key:
        # It may have been filled in to call the provider.
        values.pop("api_key", None)
    for name, value in values.items():
        values[name] = value.get_secret_value() if isinstance(value, SecretStr) else value
    return orjson.dumps(values)


def _to_configuration(row: Row[Any]) -> Configuration:
    return Configuration(**row._mapping)
