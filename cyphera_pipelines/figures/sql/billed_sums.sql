-- What was billed of each price for each product, and whom: of each customer a hash of 64 bits, so that two would have to
-- share one and be billed for the same to be taken for one. A group of each customer's own would be nearly every line.
CREATE TEMPORARY TABLE built_billed_sums ON COMMIT DROP AS
SELECT
    currency, month, product_id, price_id, count(*) AS lines, sum(quantity) AS quantity, sum(net) AS revenue,
    sum(net) FILTER (WHERE status = 'uncollectible') AS uncollectible,
    array_agg(hashtextextended(customer_id, 0)) AS customers
FROM built_revenue_lines
WHERE status <> 'void' AND {in_slice}
GROUP BY 1, 2, 3, 4
