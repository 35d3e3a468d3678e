-- What was billed for each product. Who is billed by several of a month's lines is one customer.
INSERT INTO built_billed_products (currency, month, product_id, customers, lines, quantity, revenue, uncollectible)
SELECT
    currency, month, product_id, (SELECT count(DISTINCT each) FROM unnest(whom.customers) AS each), lines, quantity,
    revenue, uncollectible
FROM (
    SELECT
        currency, month, product_id, CAST(sum(lines) AS bigint) AS lines, sum(quantity) AS quantity,
        sum(revenue) AS revenue, coalesce(sum(uncollectible), 0 * sum(revenue)) AS uncollectible
    FROM built_billed_sums
    GROUP BY 1, 2, 3
) AS sums
JOIN (
    SELECT currency, month, product_id, array_agg(each) AS customers
    FROM built_billed_sums CROSS JOIN LATERAL unnest(customers) AS each
    GROUP BY 1, 2, 3
) AS whom USING (currency, month, product_id)
