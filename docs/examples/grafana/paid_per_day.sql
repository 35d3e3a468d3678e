-- A time series of Grafana (format: Time series): one line per currency.
SELECT $__timeGroup(paid_at, '1d') AS time, currency AS metric, sum(amount_paid) AS paid
FROM analytics.invoices
WHERE status = 'paid' AND $__timeFilter(paid_at)
GROUP BY 1, 2
ORDER BY 1
