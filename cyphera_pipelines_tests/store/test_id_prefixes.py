"""Ids that people shorten."""

from uuid import UUID

import pytest
from sqlalchemy import insert

from cyphera_pipelines.model.errors import InvalidInputError, NotFoundError
from cyphera_pipelines.model.workspace import Workspace
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.id_prefixes import FoundKey, find_key_id
from cyphera_pipelines.store.tables import workspace_api_keys

ONE, OTHER = UUID("c0ffee00-1111-4222-8333-444444444444"), UUID("c0ffee00-1111-4999-8333-444444444444")


def test_an_id_is_found_by_as_much_of_it_as_is_unique(database: Database, workspace: Workspace) -> None:
    rows = [{"id": each, "workspace_id": workspace.id, "name": "n", "key_hash": b"x"} for each in (ONE, OTHER)]
    with database.control() as connection:
        connection.execute(insert(workspace_api_keys), rows)
    for text in (str(ONE), "c0ffee00-1111-42", "C0FFEE00111142", " c0ffee00-1111-4222-8333-44444444444 "):
        assert find_key_id(database, text) == FoundKey(ONE, is_operator_s=False)
    with pytest.raises(InvalidInputError, match=f"Several keys' ids begin with 'c0ffee', as {ONE}, {OTHER}"):
        find_key_id(database, "c0ffee")
    with pytest.raises(NotFoundError, match="There is no key c0ffee01"):
        find_key_id(database, "c0ffee01")
    for text in ("", "c0f", "c0ffee%", "xyzt", str(ONE) + "0"):
        with pytest.raises(InvalidInputError, match="is not a key's id, nor its first 4 characters"):
            find_key_id(database, text)
