from collections.abc import Callable

import pytest

from cyphera_pipelines.model.errors import InvalidInputError
from cyphera_pipelines.model.sessions import SessionStatus
from cyphera_pipelines.model.source import Source
from cyphera_pipelines.security.encryption import Keyring
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.sessions import list_sessions
from cyphera_pipelines.sync.connection import ProblemCode, check_connection
from cyphera_pipelines_tests.sync.conftest import RunSync


def test_an_address_that_was_allowed_once_is_not_asked_any_more(
    add_source: Callable[..., Source], database: Database, keyring: Keyring, sync_now: RunSync
) -> None:
    source = add_source("sk_test_old_address", "https://provider.example")
    (problem,) = check_connection(database, keyring, source).problems
    assert problem.code is ProblemCode.ADDRESS_NOT_ALLOWED
    with pytest.raises(InvalidInputError, match=r"may not point to 'provider\.example'"):
        sync_now(source)
    (session,) = list_sessions(database, source.workspace_id)
    assert session.status is SessionStatus.FAILED
