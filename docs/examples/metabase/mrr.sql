-- A native question of Metabase (a bar chart of month by movement): make `currency` a text filter; without it each has its own.
SELECT month, currency, movement, sum(change_mrr) AS change_mrr
FROM analytics.mrr_movements_monthly
WHERE true [[AND currency = {{currency}}]]
GROUP BY month, currency, movement
ORDER BY month, currency, movement
