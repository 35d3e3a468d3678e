-- What was billed for use, which is no part of MRR.
-- Grain: one row per provider, currency, month (UTC) in which invoices were finalized, and metered price.
-- Key: workspace_id, provider, currency, month, price_id.
-- Rules: one mode only; lines whose price is metered, as in revenue_lines: after discounts, without tax; no void invoices; by the month of the bill, which for use is mostly the one after it.
-- Columns:
-- workspace_id, provider, currency, month, product_id, price_id
-- customers bigint: Customers who were billed
-- quantity numeric: How many units they were billed for
-- usage_revenue numeric: What they were billed
SELECT
    line.workspace_id,
    line.provider,
    line.currency,
    CAST(date_trunc('month', CAST(booked_on AS timestamp)) AS date) AS month,
    line.product_id,
    line.price_id,
    count(DISTINCT line.customer_id) AS customers,
    sum(line.quantity) AS quantity,
    sum(line.net) AS usage_revenue
FROM :schema.revenue_lines AS line
JOIN payments.prices AS price
    ON price.workspace_id = line.workspace_id AND price.provider = line.provider AND price.id = line.price_id
WHERE price.livemode = :livemode AND price.recurring_usage_type = 'metered' AND line.status <> 'void'
GROUP BY line.workspace_id, line.provider, line.currency, date_trunc('month', CAST(booked_on AS timestamp)), line.product_id, line.price_id
