-- Subscriptions by status and currency, and since when the oldest of each goes on.
SELECT status, currency, count(*) AS subscriptions, count(*) FILTER (WHERE cancel_at_period_end) AS ending, min(start_date) AS since
FROM analytics.subscriptions
GROUP BY status, currency
ORDER BY subscriptions DESC
