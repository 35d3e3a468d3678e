"""Resources: what assets, checks and sensors work with. Opened when first used, closed with the run or the tick."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

from dagster import ConfigurableResource, InitResourceContext
from pydantic import Field, PrivateAttr

from cyphera_pipelines.connection_budget import SYNC
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.providers.base import ClientOptions, ProviderClient
from cyphera_pipelines.providers.registry import find_provider
from cyphera_pipelines.security.encryption import Binding, Keyring
from cyphera_pipelines.security.keys import load_keyring
from cyphera_pipelines.settings import load_settings
from cyphera_pipelines.store.configurations import read_credentials
from cyphera_pipelines.store.connection_waits import COMMAND_PATIENCE, RUN_PATIENCE
from cyphera_pipelines.store.database import Database, open_database

_of_this_process: Database | None = None


@contextmanager
def runs_use(database: Database) -> Iterator[None]:
    """The runs that this process carries out share the connections of its database."""
    global _of_this_process
    _of_this_process = database
    try:
        yield
    finally:
        _of_this_process = None


class DatabaseResource(ConfigurableResource[Any]):
    """The product's database, found through the `CYPHERA_*` settings."""

    pool_size: int = Field(default=SYNC, ge=SYNC, description="Connections that a run or a sensor's tick has at most.")
    _database: Database | None = PrivateAttr(default=None)
    _is_for_run: bool = PrivateAttr(default=False)

    def setup_for_execution(self, context: InitResourceContext) -> None:
        """A run is patient with a server that has no free connection; a tick leaves it to the next one."""
        self._is_for_run = context.run is not None

    def open(self) -> Database:
        """The database, opened on the first call. Raises CypheraError with one plain line."""
        if _of_this_process is not None:
            return _of_this_process
        if self._database is None:
            self._database = open_database(
                load_settings(),
                application_name="cyphera run" if self._is_for_run else "cyphera sensor",
                pool_size=self.pool_size,
                patience=RUN_PATIENCE if self._is_for_run else COMMAND_PATIENCE,
            )
            if self._is_for_run:
                self._database.take_connections_of_sync()
        return self._database

    def teardown_after_execution(self, context: InitResourceContext) -> None:
        """Close the connections."""
        del context
        if self._database is not None:
            self._database.close()
            self._database = None


class KeyringResource(ConfigurableResource[Any]):
    """The keys that open the configurations' credentials, found through the `PAYMENT_SYNC_ENCRYPTION_*` settings."""

    _keyring: Keyring | None = PrivateAttr(default=None)

    def load(self) -> Keyring:
        """The keys, loaded on the first call. Raises InvalidInputError that names the setting to set right."""
        if self._keyring is None:
            self._keyring = load_keyring(load_settings())
        return self._keyring


class PaymentProvidersResource(ConfigurableResource[Any]):
    """Connections to the sources' accounts at their payment providers, for assets beside the synced ones."""

    database: DatabaseResource
    keyring: KeyringResource

    @contextmanager
    def connect(self, source: Source) -> Generator[ProviderClient, None, None]:
        """A client for the source's account. Makes no request; the credentials never leave it."""
        binding = Binding(source.workspace_id, source.configuration_id, source.provider)
        credentials = read_credentials(self.database.open(), self.keyring.load(), binding)
        client = find_provider(source.provider).connect(credentials, ClientOptions())
        try:
            yield client
        finally:
            client.close()
