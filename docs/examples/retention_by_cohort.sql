-- How many customers of each month's beginners are left after 1, 3, 6 and 12 months, and what they pay of what they paid.
SELECT cohort_month, currency, max(cohort_customers) AS customers,
       max(customer_retention) FILTER (WHERE months_since = 1) AS after_1,
       max(customer_retention) FILTER (WHERE months_since = 3) AS after_3,
       max(customer_retention) FILTER (WHERE months_since = 6) AS after_6,
       max(customer_retention) FILTER (WHERE months_since = 12) AS after_12,
       max(mrr_retention) FILTER (WHERE months_since = 12) AS mrr_after_12
FROM analytics.subscriber_cohorts
GROUP BY workspace_id, provider, cohort_month, currency
ORDER BY currency, cohort_month
