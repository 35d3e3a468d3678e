-- What was paid in each month (UTC), in each currency.
SELECT date_trunc('month', paid_at AT TIME ZONE 'UTC')::date AS month, currency, count(*) AS invoices, sum(amount_paid) AS paid
FROM analytics.invoices
WHERE status = 'paid'
GROUP BY month, currency
ORDER BY month DESC, paid DESC
