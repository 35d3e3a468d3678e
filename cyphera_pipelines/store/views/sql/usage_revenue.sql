-- What was billed for use, which is no part of MRR.
-- Grain: one row per provider, currency, month (UTC) in which invoices were finalized, and metered price.
-- Key: workspace_id, provider, currency, month, price_id.
-- Rules: one mode only; as of the last build of figures (revenue_built_at of completeness); lines whose price is metered, as in revenue_lines: after discounts, without tax; no void invoices; by the month of the bill, which for use is mostly the one after it.
-- Columns:
-- workspace_id, provider, currency, month, product_id, price_id
-- customers bigint: Customers who were billed
-- quantity numeric: How many units they were billed for
-- usage_revenue numeric: What they were billed
SELECT
    billed.workspace_id,
    billed.provider,
    nullif(billed.currency, '') AS currency,
    month,
    nullif(billed.product_id, '') AS product_id,
    price_id,
    customers,
    quantity,
    revenue AS usage_revenue
FROM figures.billed_prices AS billed
JOIN payments.prices AS price
    ON price.workspace_id = billed.workspace_id AND price.provider = billed.provider
    AND price.livemode = billed.livemode AND price.id = billed.price_id
WHERE billed.livemode = :livemode AND price.recurring_usage_type = 'metered'
