-- Subscriptions that ended in each month (UTC), by why, and how long they had lasted.
SELECT date_trunc('month', ended_at AT TIME ZONE 'UTC')::date AS month, coalesce(cancellation_reason, '(not told)') AS reason,
       count(*) AS subscriptions, round(avg(extract(epoch FROM ended_at - start_date) / 86400)) AS average_days
FROM analytics.subscriptions
WHERE ended_at IS NOT NULL
GROUP BY month, reason
ORDER BY month DESC, subscriptions DESC
