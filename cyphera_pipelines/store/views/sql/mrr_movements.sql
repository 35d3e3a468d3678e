-- How each customer's MRR moved, day by day.
-- Grain: one row per customer, currency and day (UTC) on which its MRR ended otherwise than it began.
-- Key: workspace_id, provider, customer_id, currency, day.
-- Rules: one mode only; the net of all of a customer's subscriptions in a currency; each day opens with what the one before it closed with; changes that lie ahead are not in it, see scheduled_churn.
-- Columns:
-- workspace_id, provider, customer_id, currency, day
-- movement text: new, expansion, contraction, churn or reactivation
-- reason text: What brought it about, as in quantity, price or discount_ended; of several causes the biggest
-- opening_mrr numeric: The customer's MRR when the day began
-- change_mrr numeric: closing_mrr - opening_mrr
-- closing_mrr numeric: The customer's MRR when the day ended
-- gap_days integer: Of a reactivation, days since the customer's MRR had ended; otherwise NULL
-- provenance text: observed, or reconstructed from invoice lines
SELECT
    workspace_id,
    provider,
    customer_id,
    currency,
    day,
    movement,
    reason,
    opening * analytics.unit(provider, currency) AS opening_mrr,
    change * analytics.unit(provider, currency) AS change_mrr,
    closing * analytics.unit(provider, currency) AS closing_mrr,
    gap_days,
    provenance
FROM figures.mrr_movements
WHERE livemode = :livemode
