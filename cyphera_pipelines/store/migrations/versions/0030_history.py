"""What fills the tables of history: the database itself, with every statement that writes subscriptions or customers.

Triggers, since rows are written in many ways (pages, webhooks, repairs, tombstones), of which none may be forgotten.
They come after the statement, and so see the children that it has written too. What a row was confirmed to be at a
later moment is no new state, nor is one in which nothing that is recorded differs.

The newest state of a subscription is always what its row tells: it is only rows that are written whose states come
here, and what makes way for an older version was of a clock that nobody believes, or is repaired.
"""

from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

OF_PARENT = "{0}.workspace_id = {1}.workspace_id AND {0}.provider = {1}.provider AND {0}.livemode = {1}.livemode"

# Said so that no index but the keys' fits: with all of a source's rows, and those of one object, few are to be expected
# of tables that have just been made, and whichever index the plan began with is read again for every row.
IS_THERE = "coalesce({0}.deleted_at, 'infinity') = 'infinity'"
# As everywhere, what lies in the future says nothing; see `store/versions.py`.
VERSION = "CASE WHEN {0}.source_version > now() + interval '10 minutes' THEN now() ELSE {0}.source_version END"
# What is dated to 1970 or before is there only to bear a tombstone: nobody has seen it alive.
WAS_SEEN = "({0}.source_version > to_timestamp(0) OR {0}.deleted_at IS NOT NULL)"


def decimal(value: str) -> str:
    return f"CAST(trim_scale({value}) AS text)"


def seconds(value: str) -> str:
    return f"CAST(extract(epoch FROM {value}) AS bigint)"


def found(table: str, name: str, parent: str, key: str) -> str:
    """The row that a key leads to, in a query of its own (which `OFFSET 0` keeps it).

    Joined to the others, whoever sees only a workspace's rows would read all of those and compare their keys: of tables
    that are new nobody knows that they are many.
    """
    return f"SELECT * FROM payments.{table} AS {name} WHERE {OF_PARENT.format(name, parent)} AND {name}.id = {key} OFFSET 0"


# The rows are found one by one, by their keys: of tables that have just been filled the planner would expect that
# reading all of them takes less, and it keeps to what it found at first.
ONE_BY_ONE = """
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
    SET plan_cache_mode = force_generic_plan SET jit = off
"""

TIERS = f"""
    SELECT jsonb_agg(
        jsonb_build_object(
            'up_to', tier.up_to,
            'unit_amount_decimal', {decimal("coalesce(tier.unit_amount_decimal, tier.unit_amount)")},
            'flat_amount_decimal', {decimal("coalesce(tier.flat_amount_decimal, tier.flat_amount)")}
        ) ORDER BY tier.tier_index
    )
    FROM payments.price_tiers AS tier
    WHERE {OF_PARENT.format("tier", "price")} AND tier.price_id = price.id
    AND (tier.deleted_at IS NULL OR tier.deleted_at = price.deleted_at)
"""
# An option keeps them as the provider sent them.
TIERS_OF_OPTION = """
    SELECT jsonb_agg(
        jsonb_build_object(
            'up_to', tier -> 'up_to',
            'unit_amount_decimal', coalesce(tier ->> 'unit_amount_decimal', tier ->> 'unit_amount'),
            'flat_amount_decimal', coalesce(tier ->> 'flat_amount_decimal', tier ->> 'flat_amount')
        ) ORDER BY place
    )
    FROM jsonb_array_elements(CASE jsonb_typeof(option.tiers) WHEN 'array' THEN option.tiers ELSE '[]' END)
        WITH ORDINALITY AS listed (tier, place)
"""
# What a price costs in the currency that an item is billed in is settled after the item was written, if it is another
# one than the price's own: so it is looked up here too, lest each writing be two states.
ITEMS = f"""
    SELECT coalesce(jsonb_agg(
        jsonb_build_object(
            'id', item.id,
            'occurrence', item.occurrence,
            'price_id', item.price_id,
            'product_id', item.product_id,
            'currency', item.currency,
            'unit_amount_decimal', {
    decimal('''CASE
                WHEN option.currency IS NOT NULL THEN coalesce(option.unit_amount_decimal, option.unit_amount)
                ELSE coalesce(item.unit_amount_decimal, item.unit_amount)
            END''')
},
            'quantity', item.quantity,
            'created', {seconds("item.created")},
            'current_period_start', {seconds("item.current_period_start")},
            'current_period_end', {seconds("item.current_period_end")},
            'price', CASE WHEN price.id IS NOT NULL THEN jsonb_build_object(
                'currency', coalesce(option.currency, price.currency),
                'unit_amount_decimal', {
    decimal('''CASE
                    WHEN option.currency IS NOT NULL THEN coalesce(option.unit_amount_decimal, option.unit_amount)
                    ELSE coalesce(price.unit_amount_decimal, price.unit_amount)
                END''')
},
                'billing_scheme', price.billing_scheme,
                'tiers_mode', price.tiers_mode,
                'type', price.type,
                'recurring_interval', price.recurring_interval,
                'recurring_interval_count', price.recurring_interval_count,
                'recurring_usage_type', price.recurring_usage_type,
                'transform_quantity_divide_by', price.transform_quantity_divide_by,
                'transform_quantity_round', price.transform_quantity_round,
                'tax_behavior', coalesce(option.tax_behavior, price.tax_behavior),
                'tiers', coalesce(CASE WHEN price.tiers_mode IS NULL THEN NULL
                    WHEN option.currency IS NOT NULL THEN ({TIERS_OF_OPTION}) ELSE ({TIERS}) END, '[]')
            ) END
        ) ORDER BY item.id COLLATE "C", item.occurrence
    ), '[]') AS items
    FROM payments.subscription_items AS item
    LEFT JOIN LATERAL ({found("prices", "price", "item", "item.price_id")}) AS price ON true
    LEFT JOIN LATERAL (
        SELECT * FROM payments.price_currency_options AS option
        WHERE {OF_PARENT.format("option", "item")} AND option.price_id = item.price_id
        AND option.currency = item.currency AND option.currency <> price.currency AND option.deleted_at IS NULL
        ORDER BY option.id, option.occurrence LIMIT 1
    ) AS option ON true
    WHERE {OF_PARENT.format("item", "subscription")} AND item.subscription_id = subscription.id
    AND {IS_THERE.format("item")}
"""


def discounts_of(table: str, parent: str, own: str, order: str) -> str:
    """The discounts of a row of `parent`, with the columns `own` beside those that every discount has."""
    return f"""
        SELECT coalesce(jsonb_agg(
            jsonb_build_object(
                'id', discount.id,
                {own}
                'position', discount.position,
                'coupon_id', discount.coupon_id,
                'kind', discount.kind,
                'percent_off', {decimal("discount.percent_off")},
                'amount_off', discount.amount_off,
                'currency', discount.currency,
                'duration', discount.duration,
                'duration_in_months', discount.duration_in_months,
                'starts_at', {seconds("discount.starts_at")},
                'ends_at', {seconds("discount.ends_at")},
                'product_ids', discount.product_ids
            ) ORDER BY {order}discount.position, discount.id COLLATE "C", discount.occurrence
        ), '[]') AS discounts
        FROM payments.{table} AS discount
        WHERE {OF_PARENT.format("discount", parent)} AND discount.{parent}_id = {parent}.id
        AND {IS_THERE.format("discount")}
    """


DISCOUNTS = discounts_of(
    "subscription_discounts",
    "subscription",
    "'subscription_item_id', discount.subscription_item_id,",
    'discount.subscription_item_id COLLATE "C" NULLS LAST, ',
)
CUSTOMER_S_DISCOUNTS = discounts_of("customer_discounts", "customer", "", "")
TAX_RATES = f"""
    SELECT coalesce(jsonb_agg(
        jsonb_build_object(
            'subscription_item_id', rate.subscription_item_id,
            'position', rate.position,
            'percentage', {decimal("rate.percentage")},
            'inclusive', rate.inclusive
        ) ORDER BY rate.subscription_item_id COLLATE "C" NULLS LAST, rate.position, rate.id COLLATE "C", rate.occurrence
    ), '[]') AS tax_rates
    FROM payments.subscription_tax_rates AS rate
    WHERE {OF_PARENT.format("rate", "subscription")} AND rate.subscription_id = subscription.id
    AND {IS_THERE.format("rate")}
"""

COLUMNS = (
    "customer_id",
    "status",
    "currency",
    "created",
    "start_date",
    "trial_start",
    "trial_end",
    "canceled_at",
    "cancel_at",
    "cancel_at_period_end",
    "ended_at",
    "pause_collection_behavior",
    "pause_collection_resumes_at",
)
OWN = ", ".join(COLUMNS)
OF_ROW = ", ".join(f"subscription.{column}" for column in COLUMNS)
OF_NEWEST = ", ".join(f"newest.{column}" for column in COLUMNS)
AGAIN = ", ".join(
    f"{column} = excluded.{column}"
    for column in (*COLUMNS, "is_gone", "items", "discounts", "tax_rates", "recorded_at")
)

# `how` the rows are come by: `written` by a statement; `settled`, if only their items' amounts were; `found`, if they were
# there before there was a history.
RECORD_SUBSCRIPTIONS = f"""
    CREATE OR REPLACE FUNCTION payments.record_subscriptions(
        workspace_ids uuid[], providers text[], livemodes boolean[], ids text[], how text
    ) RETURNS void LANGUAGE plpgsql {ONE_BY_ONE} AS $$
    BEGIN
        INSERT INTO payments.subscription_history AS history (
            workspace_id, provider, livemode, subscription_id, held_at, {OWN}, is_gone,
            items, discounts, tax_rates, recorded_at
        )
        SELECT found.*, CASE WHEN how = 'found' THEN found.held_at ELSE now() END FROM (
            SELECT subscription.workspace_id, subscription.provider, subscription.livemode, subscription.id,
                CASE
                    WHEN newest.held_at IS NULL THEN {VERSION.format("subscription")}
                    -- What was not known yet when the newest state was recorded was so all the time.
                    WHEN how = 'settled' AND newest.items @@ '$[*].unit_amount_decimal == null' THEN newest.held_at
                    -- Found by the upgrade, before there were discounts and tax rates.
                    WHEN newest.recorded_at = newest.held_at
                        AND ({OF_ROW}, subscription.deleted_at IS NOT NULL)
                            IS NOT DISTINCT FROM ({OF_NEWEST}, newest.is_gone)
                        THEN newest.held_at
                    ELSE greatest(
                        newest.held_at, CASE WHEN how = 'settled' THEN now() ELSE {VERSION.format("subscription")} END
                    )
                END AS held_at,
                {OF_ROW}, subscription.deleted_at IS NOT NULL AS is_gone,
                item.items, discount.discounts, rate.tax_rates
            FROM unnest(workspace_ids, providers, livemodes, ids) AS written (workspace_id, provider, livemode, id)
            CROSS JOIN LATERAL ({found("subscriptions", "subscription", "written", "written.id")}) AS subscription
            CROSS JOIN LATERAL ({ITEMS}) AS item
            CROSS JOIN LATERAL ({DISCOUNTS}) AS discount
            CROSS JOIN LATERAL ({TAX_RATES}) AS rate
            LEFT JOIN LATERAL (
                SELECT * FROM payments.subscription_history AS state
                WHERE {OF_PARENT.format("state", "subscription")} AND state.subscription_id = subscription.id
                ORDER BY state.held_at DESC LIMIT 1
            ) AS newest ON true
            WHERE {WAS_SEEN.format("subscription")} AND (
                newest.held_at IS NULL OR how <> 'found' AND (
                    {OF_ROW}, subscription.deleted_at IS NOT NULL, item.items, discount.discounts, rate.tax_rates
                ) IS DISTINCT FROM ({OF_NEWEST}, newest.is_gone, newest.items, newest.discounts, newest.tax_rates)
            )
        ) AS found
        ON CONFLICT (workspace_id, provider, livemode, subscription_id, held_at) DO UPDATE SET {AGAIN};
    END $$
"""

RECORD_CUSTOMERS = f"""
    CREATE OR REPLACE FUNCTION payments.record_customers(
        workspace_ids uuid[], providers text[], livemodes boolean[], ids text[]
    ) RETURNS void LANGUAGE plpgsql {ONE_BY_ONE} AS $$
    BEGIN
        INSERT INTO payments.customer_discount_history AS history (
            workspace_id, provider, livemode, customer_id, held_at, discounts, recorded_at
        )
        SELECT customer.workspace_id, customer.provider, customer.livemode, customer.id,
            greatest(newest.held_at, {VERSION.format("customer")}), discount.discounts, now()
        FROM unnest(workspace_ids, providers, livemodes, ids) AS written (workspace_id, provider, livemode, id)
        CROSS JOIN LATERAL ({found("customers", "customer", "written", "written.id")}) AS customer
        CROSS JOIN LATERAL ({CUSTOMER_S_DISCOUNTS}) AS discount
        LEFT JOIN LATERAL (
            SELECT * FROM payments.customer_discount_history AS state
            WHERE {OF_PARENT.format("state", "customer")} AND state.customer_id = customer.id
            ORDER BY state.held_at DESC LIMIT 1
        ) AS newest ON true
        WHERE {WAS_SEEN.format("customer")} AND discount.discounts IS DISTINCT FROM coalesce(newest.discounts, '[]')
        ON CONFLICT (workspace_id, provider, livemode, customer_id, held_at)
            DO UPDATE SET discounts = excluded.discounts, recorded_at = excluded.recorded_at;
    END $$
"""


def trigger_function(name: str, records: str) -> str:
    """Hands the keys of the rows that a statement made, or that it changed, to the function that records them.

    Rows that were only confirmed keep all that is looked at here. The two tables of a statement's rows have no index:
    they are not to be joined row by row.
    """
    keys = ", ".join(f"array_agg(written.{column})" for column in ("workspace_id", "provider", "livemode", "id"))
    into = "workspace_ids, providers, livemodes, ids"
    return f"""
        CREATE OR REPLACE FUNCTION payments.{name}() RETURNS trigger LANGUAGE plpgsql
        SET search_path = pg_catalog, pg_temp SET enable_nestloop = off AS $$
        DECLARE workspace_ids uuid[]; providers text[]; livemodes boolean[]; ids text[];
        BEGIN
            IF TG_OP = 'INSERT' THEN
                SELECT {keys} INTO {into} FROM written;
            ELSE
                SELECT {keys} INTO {into} FROM written JOIN before
                    ON {OF_PARENT.format("written", "before")} AND written.id = before.id
                WHERE (written.content_hash, written.deleted_at, written.synced_at)
                    IS DISTINCT FROM (before.content_hash, before.deleted_at, before.synced_at);
            END IF;
            IF ids IS NOT NULL THEN
                PERFORM payments.{records};
            END IF;
            RETURN NULL;
        END $$
    """


def upgrade() -> None:
    op.execute(RECORD_SUBSCRIPTIONS)
    op.execute(RECORD_CUSTOMERS)
    for table, records in (
        ("subscriptions", "record_subscriptions(workspace_ids, providers, livemodes, ids, 'written')"),
        ("customers", "record_customers(workspace_ids, providers, livemodes, ids)"),
    ):
        function = f"keep_history_of_{table}"
        op.execute(trigger_function(function, records))
        op.execute(
            f"CREATE TRIGGER keep_history_of_new AFTER INSERT ON payments.{table} "
            f"REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION payments.{function}()"
        )
        op.execute(
            f"CREATE TRIGGER keep_history_of_changed AFTER UPDATE ON payments.{table} "
            "REFERENCING OLD TABLE AS before NEW TABLE AS written "
            f"FOR EACH STATEMENT EXECUTE FUNCTION payments.{function}()"
        )
