-- What was billed for each product in each month.
-- Grain: one row per provider, currency, month (UTC) in which invoices were finalized, and product.
-- Key: workspace_id, provider, currency, month, product_id.
-- Rules: one mode only; as of the last build of figures (revenue_built_at of completeness); lines as in revenue_lines: after discounts, without tax; no void invoices; product_id is NULL for lines of none, as of amounts that were entered by hand.
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
    nullif(currency, '') AS currency,
    month,
    nullif(product_id, '') AS product_id,
    product.name AS product_name,
    customers,
    lines,
    quantity,
    revenue,
    uncollectible
FROM figures.billed_products AS billed
LEFT JOIN (
    SELECT workspace_id, provider, id AS product_id, name FROM payments.products WHERE livemode = :livemode
) AS product USING (workspace_id, provider, product_id)
WHERE billed.livemode = :livemode
