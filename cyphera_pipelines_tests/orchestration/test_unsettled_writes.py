"""The sensor that finds out what became of writes of which no answer came."""

from dagster import DagsterInstance
from pydantic import SecretStr
from sqlalchemy import text

from cyphera_pipelines.model.configuration import Credentials
from cyphera_pipelines.model.workspace import Workspace
from cyphera_pipelines.model.writes import WriteState
from cyphera_pipelines.operations.asked import Asked
from cyphera_pipelines.operations.carrying_out import carry_out
from cyphera_pipelines.providers.base import CustomerRequest, ObjectKind, Operation
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.store.configurations import create_configuration
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.provider_writes import get_write
from cyphera_pipelines.store.sources import find_source
from cyphera_pipelines_tests.operations.ledger import NAME, ledger_provider
from cyphera_pipelines_tests.operations.ledger_server import Misbehaviour, serving_ledger
from cyphera_pipelines_tests.orchestration.conftest import evaluate


def test_a_write_that_is_unknown_for_a_minute_is_settled_by_itself(
    database: Database, keyring: Keyring, instance: DagsterInstance, workspace: Workspace
) -> None:
    asked = Asked(ObjectKind.CUSTOMERS, Operation.CREATE, None, CustomerRequest(name="Acme"))
    with serving_ledger() as ledger, ledger_provider():
        credentials = Credentials(api_key=SecretStr("sk_test_ledger_key"), base_url=ledger.url)
        create_configuration(database, keyring, workspace, NAME, credentials, is_test_mode=True)
        source = find_source(database, f"{workspace.slug}:{NAME}")
        ledger.misbehaves = Misbehaviour(cut_after=1.0)
        lost = carry_out(database, keyring, source, asked, "first").write
        ledger.misbehaves = Misbehaviour()
        evaluate(instance, "unsettled_writes")
        assert get_write(database, workspace.id, lost.id).state is WriteState.UNKNOWN, "it was just now"
        with database.control() as connection:
            past = text("UPDATE sync.provider_writes SET looked_at = now() - interval '61 seconds' WHERE id = :id")
            connection.execute(past, {"id": lost.id})
        told = evaluate(instance, "unsettled_writes").skip_message
    assert get_write(database, workspace.id, lost.id).state is WriteState.DONE
    assert told is not None
    assert "1 writes settled" in told
