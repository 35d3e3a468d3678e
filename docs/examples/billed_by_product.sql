-- What was billed for each product in each month (UTC), after discounts, without tax.
SELECT month, coalesce(product_name, product_id, '(none)') AS product, currency, sum(lines) AS lines, sum(revenue) AS billed
FROM analytics.product_revenue
GROUP BY month, product, currency
ORDER BY month DESC, billed DESC
