-- What was billed by each price, in the same way.
CREATE TEMPORARY TABLE built_billed_prices ON COMMIT DROP AS
SELECT
    currency, month, price_id, product_id, count(customer_id) AS customers, sum(quantity) AS quantity,
    sum(revenue) AS revenue
FROM (
    SELECT currency, month, price_id, product_id, customer_id, sum(quantity) AS quantity, sum(net) AS revenue
    FROM built_revenue_lines
    WHERE status <> 'void' AND price_id IS NOT NULL
    GROUP BY 1, 2, 3, 4, 5
) AS of_customers
GROUP BY 1, 2, 3, 4
