from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect, text
from sqlalchemy.exc import OperationalError

from cyphera_pipelines.model.synced_tables import SYNCED_TABLES, all_columns
from cyphera_pipelines.store import migrations
from cyphera_pipelines.store.api_keys import create_api_key, find_caller
from cyphera_pipelines.store.database import Database
from cyphera_pipelines.store.migrations import SchemaMismatchError
from cyphera_pipelines.store.tables import metadata
from cyphera_pipelines.store.workspaces import find_workspace


def test_models_and_migrations_agree(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "include_schemas": True,
                "include_name": lambda name, kind, _parents: (
                    kind != "schema" or name in ("sync", "payments", "figures")
                ),
                "version_table": migrations.VERSION_TABLE,
                "version_table_schema": "sync",
                "compare_server_default": True,
            },
        )
        assert compare_metadata(context, metadata) == []


def test_the_files_tell_the_newest_revision_as_alembic_does() -> None:
    scripts = ScriptDirectory.from_config(migrations.alembic_config())
    assert migrations.head_revision() == scripts.get_current_head()
    files = {script.revision: script.path for script in scripts.walk_revisions()}
    assert [path for revision, path in files.items() if not path.rpartition("/")[2].startswith(f"{revision}_")] == []


def test_many_processes_may_upgrade_at_once(empty: Engine) -> None:
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(migrations.upgrade, [empty] * 4))
    assert {now for _before, now in results} == {migrations.head_revision()}
    assert migrations.upgrade(empty) == (migrations.head_revision(), migrations.head_revision())


def test_a_database_of_the_first_release_is_upgraded_with_its_rows(empty: Engine) -> None:
    with empty.begin() as connection:
        connection.execute(text("CREATE SCHEMA sync"))
        config = migrations.alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.execute(text("INSERT INTO sync.workspaces (slug, name) VALUES ('acme', 'Acme')"))
    with pytest.raises(SchemaMismatchError, match=r"older \(revision 0001\).* Run: cyphera db upgrade"):
        migrations.check(empty)
    assert migrations.upgrade(empty) == ("0001", migrations.head_revision())
    database = Database(empty, "", empty.url)
    workspace = find_workspace(database, "acme")
    _row, key = create_api_key(database, workspace, "after the upgrade")
    caller = find_caller(database, workspace.id, key)
    assert caller is not None
    assert caller.workspace == workspace


def test_models_and_migrations_agree_on_keys(database: Database) -> None:
    """What Alembic's comparison leaves out."""
    inspector = inspect(database.engine)
    for table in metadata.tables.values():
        key = inspector.get_pk_constraint(table.name, schema=table.schema)
        assert key == {**key, "constrained_columns": [column.name for column in table.primary_key], "name": key["name"]}
        assert key["name"] == f"{table.name}_pkey"


def test_children_of_before_they_had_their_parent_in_their_key_are_kept(empty: Engine) -> None:
    with empty.begin() as connection:
        connection.execute(text("CREATE SCHEMA sync"))
        config = migrations.alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0005")
        connection.execute(
            text(
                "INSERT INTO payments.invoice_line_items (workspace_id, provider, livemode, id, invoice_id, "
                "line_index, content_hash, source_version, deleted_at) "
                "SELECT gen_random_uuid(), 'stripe', false, 'il_' || at, 'in_' || at / 3, "
                "at % 3, decode(md5(at::text), 'hex'), now(), CASE WHEN at % 10 = 0 THEN now() END "
                "FROM generate_series(1, 300) AS at"
            )
        )
        rows = connection.execute(text("SELECT * FROM payments.invoice_line_items ORDER BY id")).mappings().all()
    migrations.upgrade(empty)
    with empty.connect() as connection:
        after = connection.execute(text("SELECT * FROM payments.invoice_line_items ORDER BY id")).mappings().all()
    assert [dict(row) for row in after] == [{**row, "occurrence": 0} for row in rows]


def test_items_of_before_are_billed_in_their_subscription_s_currency_or_not_at_all(empty: Engine) -> None:
    with empty.begin() as connection:
        connection.execute(text("CREATE SCHEMA sync"))
        config = migrations.alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0005")
        connection.execute(
            text(
                "INSERT INTO payments.subscriptions (workspace_id, provider, livemode, id, created, currency, "
                "content_hash, source_version) SELECT '00000000-0000-4000-8000-000000000000', 'stripe', false, "
                "'sub_' || currency, now(), currency, '', now() FROM unnest(ARRAY['usd', 'eur']) AS currency"
            )
        )
        connection.execute(
            text(
                "INSERT INTO payments.subscription_items (workspace_id, provider, livemode, id, subscription_id, "
                "currency, unit_amount, raw, content_hash, source_version) "
                "SELECT '00000000-0000-4000-8000-000000000000', 'stripe', false, item.id, 'sub_' || item.of, 'usd', "
                "item.amount, item.raw, '', now() FROM (VALUES ('si_1', 'usd', 500, CAST(NULL AS jsonb)), "
                """('si_2', 'usd', NULL, '{"price": {"unit_amount_decimal": "12.345"}}'), """
                """('si_3', 'usd', NULL, '{"price": {"unit_amount_decimal": "12;345"}}'), """
                """('si_4', 'eur', 500, '{"price": {"unit_amount_decimal": "500"}}'), ('si_5', 'gone', 500, NULL)) """
                "AS item (id, of, amount, raw)"
            )
        )
    migrations.upgrade(empty)
    with empty.connect() as connection:
        select = "SELECT id, currency, unit_amount, unit_amount_decimal FROM payments.subscription_items ORDER BY id"
        items = [tuple(row) for row in connection.execute(text(select))]
    assert items == [
        ("si_1", "usd", 500, 500),
        ("si_2", "usd", None, Decimal("12.345")),
        ("si_3", "usd", None, None),
        ("si_4", "eur", None, None),
        ("si_5", "usd", 500, None),
    ]


def test_what_subscriptions_are_before_there_is_a_history_is_its_first_state(empty: Engine) -> None:
    subscriptions = (
        "INSERT INTO payments.subscriptions (workspace_id, provider, livemode, id, created, status, content_hash, "
        "source_version, deleted_at) SELECT CASE at % 2 WHEN 0 THEN {0} ELSE gen_random_uuid() END, 'stripe', "
        "at % 3 = 0, 'sub_' || at, now(), 'active', '', to_timestamp(at), CASE at % 5 WHEN 0 THEN now() END "
        "FROM generate_series(1, {1}) AS at"
    )
    workspace = "CAST('00000000-0000-4000-8000-000000000000' AS uuid)"
    keys = "workspace_id, provider, livemode"
    with empty.begin() as connection:
        connection.execute(text("CREATE SCHEMA sync"))
        config = migrations.alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0028")
        connection.execute(text(subscriptions.format(workspace, 12_000)))
        connection.execute(
            text(
                f"INSERT INTO payments.subscription_items ({keys}, id, subscription_id, quantity, content_hash, "
                f"source_version) SELECT {keys}, 'si', id, 7, '', now() FROM payments.subscriptions"
            )
        )
    migrations.upgrade(empty)
    as_the_row = (
        "SELECT count(*), min(jsonb_array_length(items)) FROM payments.subscriptions AS subscription "
        f"JOIN payments.subscription_history AS state USING ({keys}) WHERE state.subscription_id = subscription.id "
        "AND state.status = subscription.status AND held_at = source_version AND items @? '$[*] ? (@.quantity == 7)' "
        "AND is_gone = (deleted_at IS NOT NULL)"
    )
    discounted = (
        f"INSERT INTO payments.subscription_discounts ({keys}, id, subscription_id, content_hash, source_version) "
        f"SELECT {keys}, 'di', id, '', now() FROM payments.subscriptions WHERE id IN ('sub_1', 'sub_2'); "
        "UPDATE payments.subscriptions SET synced_at = now(), source_version = now(), "
        "status = CASE id WHEN 'sub_2' THEN 'paused' ELSE status END WHERE id IN ('sub_1', 'sub_2')"
    )
    with empty.begin() as connection:
        assert tuple(connection.execute(text(as_the_row)).one()) == (12_000, 1)
        assert connection.execute(text("SELECT count(*) FROM payments.subscription_history")).scalar_one() == 12_000
        # Discounts came into the tables with the same release: the first listing after it finds what was there before.
        connection.execute(text(discounted))
        states = (
            "SELECT subscription_id, status, jsonb_array_length(discounts) FROM payments.subscription_history "
            "WHERE subscription_id IN ('sub_1', 'sub_2') ORDER BY subscription_id, held_at"
        )
        found = [tuple(row) for row in connection.execute(text(states))]
    assert found == [("sub_1", "active", 1), ("sub_2", "active", 0), ("sub_2", "paused", 1)]


def test_an_index_of_an_interrupted_upgrade_is_made_anew(empty: Engine) -> None:
    """Building it waits for transactions that are older: here it is given up while it does, and left behind invalid."""
    names = ("prices_product_id_idx", "invoices_customer_id_idx")
    with empty.begin() as connection:
        connection.execute(text("CREATE SCHEMA sync"))
        config = migrations.alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0033")
    autocommit = empty.execution_options(isolation_level="AUTOCOMMIT")
    with empty.connect() as older, autocommit.connect() as connection:
        older.execution_options(isolation_level="REPEATABLE READ").execute(text("SELECT count(*) FROM payments.prices"))
        connection.execute(text("SET statement_timeout = '300ms'"))
        with pytest.raises(OperationalError, match="statement timeout"):
            connection.execute(
                text(
                    "CREATE INDEX CONCURRENTLY prices_product_id_idx ON payments.prices (workspace_id, product_id) "
                    "WHERE deleted_at IS NULL"
                )
            )
    is_valid = text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('payments.' || :name)")
    with empty.connect() as connection:
        assert [connection.execute(is_valid, {"name": name}).scalar() for name in names] == [False, None]
    assert migrations.upgrade(empty) == ("0033", migrations.head_revision())
    with empty.connect() as connection:
        assert [connection.execute(is_valid, {"name": name}).scalar() for name in names] == [True, True]


def test_an_empty_database_is_told_apart(empty: Engine) -> None:
    with pytest.raises(SchemaMismatchError, match=r"no Cyphera schema yet\. Run: cyphera db upgrade"):
        migrations.check(empty)


def test_a_newer_schema_is_refused_and_left_alone(empty: Engine) -> None:
    migrations.upgrade(empty)
    with empty.begin() as connection:
        connection.execute(text("UPDATE sync.schema_version SET version_num = '9999'"))
    for attempt in (migrations.check, migrations.upgrade):
        with pytest.raises(SchemaMismatchError, match=r"revision 9999\) is newer than this program"):
            attempt(empty)
    assert migrations.current_revision(empty) == "9999"


def test_every_table_and_column_is_commented_and_typed_as_the_model_says(database: Database) -> None:
    statement = text(
        """
        SELECT c.relname AS "table", a.attname AS "column", format_type(a.atttypid, a.atttypmod) AS type,
               col_description(c.oid, a.attnum) AS comment, obj_description(c.oid) AS table_comment
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE c.relnamespace IN ('payments'::regnamespace, 'sync'::regnamespace) AND c.relkind = 'r'
          AND c.relname <> 'schema_version'
        ORDER BY c.relname, a.attnum
        """
    )
    with database.control() as connection:
        rows = connection.execute(statement).all()
    assert [f"{row.table}.{row.column}" for row in rows if not row.comment or not row.table_comment] == []
    names = {"timestamp with time zone": "timestamptz"}
    for table in SYNCED_TABLES.values():
        found = [(row.column, names.get(row.type, row.type), row.comment) for row in rows if row.table == table.name]
        assert found == list(all_columns(table))


def test_raw_is_compressed_with_lz4_or_not_at_all(database: Database) -> None:
    """Also that of tables which come later: their migration has to say so."""
    kept = text(
        "SELECT attrelid::regclass::text, attstorage, attcompression FROM pg_attribute "
        "WHERE attname = 'raw' AND attrelid = ANY (CAST(:tables AS regclass[]))"
    )
    with database.engine.connect() as connection:
        rows = connection.execute(kept, {"tables": [f"payments.{name}" for name in SYNCED_TABLES]}).all()
    assert len(rows) == len(SYNCED_TABLES)
    assert {name for name, storage, compression in rows if storage != "e" and compression != "l"} == set()


def test_of_several_workspaces_with_one_account_the_first_that_reached_it_keeps_it(empty: Engine) -> None:
    with empty.begin() as connection:
        connection.execute(text("CREATE SCHEMA sync"))
        config = migrations.alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0016")
        connection.execute(
            text("INSERT INTO sync.workspaces (slug, name) SELECT s, s FROM unnest(array['a','b','c']) s")
        )
        connection.execute(
            text(
                "INSERT INTO sync.workspace_provider_accounts "
                "(workspace_id, provider_name, account_id, livemode, account_name, first_seen_at, last_seen_at) "
                "SELECT id, 'stripe', 'acct_1', true, CASE WHEN slug <> 'a' THEN 'Acme' END, "
                "day, day FROM (SELECT id, slug, now() - (ascii('d') - ascii(slug)) * interval '1 day' AS day "
                "FROM sync.workspaces) w"
            )
        )
    migrations.upgrade(empty)
    statement = text(
        "SELECT slug, is_active FROM sync.workspace_provider_accounts a JOIN sync.workspaces w ON w.id = a.workspace_id"
    )
    with empty.connect() as connection:
        assert {row.slug: row.is_active for row in connection.execute(statement)} == {"a": False, "b": True, "c": False}


def test_sources_of_before_there_were_schedules_get_one_and_keep_their_pause(empty: Engine) -> None:
    with empty.begin() as connection:
        connection.execute(text("CREATE SCHEMA sync"))
        config = migrations.alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0019")
        connection.execute(
            text("INSERT INTO sync.workspaces (slug, name) SELECT s, s FROM unnest(array['a','b','c','d']) s")
        )
        connection.execute(
            text(
                "INSERT INTO sync.workspace_payment_configurations "
                "(workspace_id, provider_name, is_test_mode, configuration, is_active, deleted_at) "
                "SELECT id, 'stripe', true, '', slug <> 'd', CASE WHEN slug = 'd' THEN now() END FROM sync.workspaces"
            )
        )
        connection.execute(
            text(
                "INSERT INTO sync.source_schedules (workspace_id, provider_name, paused_at, paused_reason) "
                "SELECT id, 'stripe', now(), 'Moving.' FROM sync.workspaces WHERE slug = 'b'"
            )
        )
        connection.execute(
            text(
                "INSERT INTO sync.sync_cursors (workspace_id, provider_name, livemode, entity_type, watermark) "
                "SELECT id, 'stripe', false, entity, now() - interval '1 hour' * at FROM sync.workspaces, unnest(ARRAY"
                "['customers', 'products', 'prices', 'subscriptions', 'invoices']) WITH ORDINALITY AS e (entity, at) "
                "WHERE slug = 'a' OR (slug = 'b' AND at < 5)"
            )
        )
    migrations.upgrade(empty)
    statement = text(
        "SELECT slug, paused_kind, due_at BETWEEN now() AND now() + interval '1 hour' AS is_due_soon, "
        "listing_due_at BETWEEN now() AND now() + interval '7 days' AS is_listed_soon, "
        "round(extract(epoch FROM now() - fresh_at) / 3600) AS hours "
        "FROM sync.source_schedules JOIN sync.workspaces ON id = workspace_id"
    )
    with empty.connect() as connection:
        found = {row.slug: tuple(row)[1:] for row in connection.execute(statement)}
    assert found == {
        "a": (None, True, True, 5),
        "b": ("person", True, True, None),
        "c": (None, True, True, None),
    }
