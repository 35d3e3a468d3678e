-- Coupons that discounts were met of, with their terms.
-- Grain: one row per coupon; one that takes amounts off has a row per currency in which it was met.
-- Key: workspace_id, provider, coupon_id, currency.
-- Rules: one mode only; coupons that nothing has a discount of are not in it; terms are NULL where the provider told none of any discount of it; counts are of what is not gone.
-- Columns:
-- workspace_id, provider
-- coupon_id text: Id of the coupon
-- coupon_name text: Name of the coupon, as customers see it
-- kind text: percent or amount; NULL where the provider does not tell
-- percent_off numeric: How much is taken off, in percent; NULL where it is an amount
-- amount_off numeric: How much is taken off, in whole units of currency; NULL where it is a percentage
-- currency
-- duration text: once, repeating or forever
-- duration_in_months bigint: For how many months it applies, where it is repeating
-- customers bigint: Customers that have a discount of it
-- subscriptions bigint: Subscriptions that have one, on the whole or on an item
-- invoices bigint: Invoices that were made cheaper by one
WITH met AS (
    SELECT workspace_id, provider, coupon_id, coupon_name, kind, percent_off, amount_off, currency, duration,
        duration_in_months, synced_at, customer_id, NULL AS subscription_id, NULL AS invoice_id
    FROM :schema.customer_discounts
    UNION ALL
    SELECT workspace_id, provider, coupon_id, coupon_name, kind, percent_off, amount_off, currency, duration,
        duration_in_months, synced_at, NULL, subscription_id, NULL
    FROM :schema.subscription_discounts
    UNION ALL
    SELECT workspace_id, provider, coupon_id, coupon_name, kind, percent_off, amount_off, currency, duration,
        duration_in_months, synced_at, NULL, NULL, invoice_id
    FROM :schema.invoice_discounts
), told AS (
    SELECT DISTINCT ON (workspace_id, provider, coupon_id, amount_in) *
    FROM (
        SELECT *,
            CASE WHEN kind = 'amount' THEN currency END AS amount_in,
            bool_or(kind IS NOT NULL) OVER (PARTITION BY workspace_id, provider, coupon_id) AS is_told
        FROM met
        WHERE coupon_id IS NOT NULL
    ) AS each_of_them
    WHERE kind IS NOT NULL OR NOT is_told
    ORDER BY workspace_id, provider, coupon_id, amount_in, synced_at DESC
), counted AS (
    SELECT workspace_id, provider, coupon_id,
        count(DISTINCT customer_id) AS customers,
        count(DISTINCT subscription_id) AS subscriptions,
        count(DISTINCT invoice_id) AS invoices
    FROM met
    GROUP BY workspace_id, provider, coupon_id
)
SELECT
    told.workspace_id,
    told.provider,
    told.coupon_id,
    told.coupon_name,
    told.kind,
    told.percent_off,
    told.amount_off,
    told.amount_in AS currency,
    told.duration,
    told.duration_in_months,
    counted.customers,
    counted.subscriptions,
    counted.invoices
FROM told
JOIN counted USING (workspace_id, provider, coupon_id)
