from collections.abc import Callable
from uuid import UUID

import pytest
from pydantic import SecretStr
from sqlalchemy import select, text, update

from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.model.errors import ConflictError, NotFoundError
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.model.workspace import Workspace
from cyphera_pipelines.security.encryption import Binding, DecryptionError, Keyring
from cyphera_pipelines.store.configurations import (
    create_configuration,
    find_active_configuration,
    read_credentials,
    remove_configuration,
)
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.sources import find_source
from cyphera_pipelines.store.tables import workspace_payment_configurations as configurations

SECRET = "sk_test_planted_configuration_secret"


def credentials() -> Credentials:
    return Credentials(
        api_key=SecretStr(SECRET), webhook_secret=SecretStr("whsec_planted_too"), base_url="http://127.0.0.1:1"
    )


def test_credentials_come_back_whole_and_rest_encrypted(
    database: Database, keyring: Keyring, workspace: Workspace
) -> None:
    made = create_configuration(database, keyring, workspace, "stripe", credentials(), is_test_mode=True)
    binding = Binding(workspace.id, made.id, "stripe")
    assert read_credentials(database, keyring, binding) == credentials()
    with database.control() as connection:
        stored = connection.execute(text("SELECT c::text FROM sync.workspace_payment_configurations c")).scalars().all()
    assert not any("planted" in line for line in stored)
    assert SECRET not in repr(made)


def test_there_is_one_active_configuration_and_a_removed_one_blocks_nothing(
    database: Database, keyring: Keyring, workspace: Workspace
) -> None:
    create_configuration(database, keyring, workspace, "stripe", credentials(), is_test_mode=True)
    with pytest.raises(ConflictError, match=f"cyphera source remove {workspace.slug} stripe"):
        create_configuration(database, keyring, workspace, "stripe", credentials(), is_test_mode=True)
    for _ in range(3):
        remove_configuration(database, find_active_configuration(database, workspace, "stripe"))
        with pytest.raises(NotFoundError, match=f"{workspace.slug}:stripe"):
            find_source(database, f"{workspace.slug}:stripe")
        create_configuration(database, keyring, workspace, "stripe", credentials(), is_test_mode=True)


def test_a_ciphertext_copied_to_another_workspace_does_not_open(
    database: Database, keyring: Keyring, add_source: Callable[..., Source]
) -> None:
    one, other = add_source(SECRET), add_source("sk_test_the_other_one")
    with database.control() as connection:
        envelope = connection.execute(
            select(configurations.c.configuration).where(configurations.c.id == one.configuration_id)
        ).scalar_one()
        connection.execute(
            update(configurations).where(configurations.c.id == other.configuration_id).values(configuration=envelope)
        )
    binding = Binding(other.workspace_id, other.configuration_id, "stripe")
    with pytest.raises(DecryptionError, match=str(other.configuration_id)):
        read_credentials(database, keyring, binding)


def test_one_workspace_cannot_read_another_s_credentials(database: Database, add_source: Callable[..., Source]) -> None:
    one, other = add_source(SECRET), add_source("sk_test_the_reader")
    statement = select(configurations.c.id).where(configurations.c.id == one.configuration_id)
    with database.tenant(other.workspace_id) as connection:
        assert connection.execute(statement).first() is None
    assert isinstance(one.configuration_id, UUID)
