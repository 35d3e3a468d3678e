-- A native question of Metabase: make `currency` a text filter and `since` a date filter; without them all is shown.
SELECT date_trunc('month', paid_at AT TIME ZONE 'UTC')::date AS month, currency, sum(amount_paid) AS paid
FROM analytics.invoices
WHERE status = 'paid'
[[AND currency = {{currency}}]]
[[AND paid_at >= {{since}}]]
GROUP BY month, currency
ORDER BY month, currency
