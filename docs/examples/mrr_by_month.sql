-- What MRR did in each month, in each currency: opening, what came, what went, closing.
SELECT month, currency, opening_mrr, new_mrr, reactivation_mrr, expansion_mrr, contraction_mrr, churned_mrr, closing_mrr,
       active_customers, subscriber_churn_rate, net_revenue_retention
FROM analytics.mrr_summary
ORDER BY currency, month
