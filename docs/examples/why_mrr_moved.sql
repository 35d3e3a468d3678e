-- Why MRR moved, month by month (UTC): each movement with its reason, in each currency.
SELECT month, currency, movement, reason, count(*) AS customers, sum(change_mrr) AS change_mrr
FROM analytics.mrr_movements_monthly
GROUP BY month, currency, movement, reason
ORDER BY currency, month, movement, change_mrr DESC
