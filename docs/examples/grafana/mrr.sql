-- A time series of Grafana (format: Time series): MRR when each month had ended, one line per currency.
SELECT $__timeGroup(at, '1d') AS time, currency AS metric, sum(closing_mrr) AS mrr
FROM (SELECT CAST(month AS timestamptz) AS at, currency, closing_mrr FROM analytics.mrr_summary) AS months
WHERE $__timeFilter(at)
GROUP BY 1, 2
ORDER BY 1
