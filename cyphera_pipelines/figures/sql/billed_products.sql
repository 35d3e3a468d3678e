-- What was billed for each product, of customers one by one first: who is counted twice by a month's lines counts once.
CREATE TEMPORARY TABLE built_billed_products ON COMMIT DROP AS
SELECT
    currency, month, product_id, count(customer_id) AS customers, CAST(sum(lines) AS bigint) AS lines,
    sum(quantity) AS quantity, sum(revenue) AS revenue, coalesce(sum(uncollectible), 0 * sum(revenue)) AS uncollectible
FROM (
    SELECT
        currency, month, product_id, customer_id, count(*) AS lines, sum(quantity) AS quantity, sum(net) AS revenue,
        sum(net) FILTER (WHERE status = 'uncollectible') AS uncollectible
    FROM built_revenue_lines
    WHERE status <> 'void'
    GROUP BY 1, 2, 3, 4
) AS of_customers
GROUP BY 1, 2, 3
