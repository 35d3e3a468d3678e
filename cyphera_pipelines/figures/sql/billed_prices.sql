-- What was billed by each price, in the same way.
INSERT INTO built_billed_prices (currency, month, price_id, product_id, customers, quantity, revenue)
SELECT
    currency, month, price_id, product_id, (SELECT count(DISTINCT each) FROM unnest(customers) AS each), quantity,
    revenue
FROM built_billed_sums
WHERE price_id IS NOT NULL
