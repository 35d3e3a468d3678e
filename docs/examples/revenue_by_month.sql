-- What was paid in each month (UTC), in each currency.
SELECT month, currency, invoices, paid
FROM analytics.revenue_collected
ORDER BY month DESC, paid DESC
