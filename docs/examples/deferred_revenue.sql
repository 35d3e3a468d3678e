-- What is earned in each month (UTC), and what is deferred when it has ended, in each currency.
SELECT recognized_month, currency, sum(recognized) AS recognized, sum(written_off) AS written_off,
       sum(sum(booked) FILTER (WHERE is_first)) OVER months - sum(sum(recognized + written_off)) OVER months AS deferred
FROM (
    SELECT workspace_id, provider, currency, recognized_month, recognized, written_off, booked,
           recognized_month = min(recognized_month) OVER (PARTITION BY workspace_id, provider, currency, booked_month) AS is_first
    FROM analytics.revenue_recognized
) AS parts
GROUP BY workspace_id, provider, currency, recognized_month
WINDOW months AS (PARTITION BY workspace_id, provider, currency ORDER BY recognized_month)
ORDER BY currency, recognized_month
