-- What was billed for each product in each month.
-- Grain: one row per provider, currency, month (UTC) in which invoices were finalized, and product.
-- Key: workspace_id, provider, currency, month, product_id.
-- Rules: one mode only; lines as in revenue_lines: after discounts, without tax; no void invoices; product_id is NULL for lines of none, as of amounts that were entered by hand.
-- Columns:
-- workspace_id, provider, currency, month, product_id
-- product_name text: Name of the product, as it is now
-- customers bigint: Customers who were billed
-- lines bigint: Lines of invoices
-- quantity numeric: How many units the lines are for
-- revenue numeric: What was billed
-- uncollectible numeric: The part of it whose invoices were given up
SELECT
    workspace_id,
    provider,
    currency,
    month,
    product_id,
    product.name AS product_name,
    customers,
    lines,
    quantity,
    revenue,
    uncollectible
FROM (
    SELECT
        workspace_id,
        provider,
        currency,
        CAST(date_trunc('month', CAST(booked_on AS timestamp)) AS date) AS month,
        product_id,
        count(DISTINCT customer_id) AS customers,
        count(*) AS lines,
        sum(quantity) AS quantity,
        sum(net) AS revenue,
        coalesce(sum(net) FILTER (WHERE status = 'uncollectible'), 0 * sum(net)) AS uncollectible
    -- OFFSET 0: what a line is worth is worked out before the lines are sorted.
    FROM (
        SELECT workspace_id, provider, currency, booked_on, product_id, customer_id, status, quantity, net
        FROM :schema.revenue_lines
        WHERE status <> 'void' OFFSET 0
    ) AS lines
    GROUP BY workspace_id, provider, currency, date_trunc('month', CAST(booked_on AS timestamp)), product_id
) AS billed
LEFT JOIN (
    SELECT workspace_id, provider, id AS product_id, name FROM payments.products WHERE livemode = :livemode
) AS product USING (workspace_id, provider, product_id)
