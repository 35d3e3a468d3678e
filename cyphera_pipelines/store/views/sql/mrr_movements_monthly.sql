-- How each customer's MRR moved, month by month.
-- Grain: one row per customer, currency and month (UTC) which its MRR ended otherwise than it began.
-- Key: workspace_id, provider, customer_id, currency, month.
-- Rules: one mode only; the net of the month's days, classified anew: from nothing it is new where the customer never had MRR before the month, and to nothing it is what the last day was, since a customer who pauses does not churn; who comes and leaves within a month is in mrr_movements only.
-- Columns:
-- workspace_id, provider, customer_id, currency, month
-- movement text: new, expansion, contraction, churn or reactivation
-- reason text: What brought it about: of expansions and contractions the reason of the day that weighed most
-- opening_mrr numeric: The customer's MRR when the month began
-- change_mrr numeric: closing_mrr - opening_mrr
-- closing_mrr numeric: The customer's MRR when the month ended; of the present one, by now
-- gap_days integer: Of a reactivation, days since the customer's MRR had ended; otherwise NULL
-- provenance text: reconstructed where a part of it was, from invoice lines; otherwise observed
SELECT
    workspace_id,
    provider,
    customer_id,
    currency,
    month,
    CASE
        WHEN opening = 0 THEN CASE WHEN is_new THEN 'new' ELSE rise END
        WHEN closing = 0 THEN fall
        WHEN closing > opening THEN 'expansion'
        ELSE 'contraction'
    END AS movement,
    CASE
        WHEN opening = 0 THEN CASE WHEN is_new THEN reason_of_new ELSE reason_of_rise END
        WHEN closing = 0 THEN reason_of_fall
        WHEN closing > opening THEN reason_of_most
        ELSE reason_of_least
    END AS reason,
    opening * analytics.unit(provider, currency) AS opening_mrr,
    (closing - opening) * analytics.unit(provider, currency) AS change_mrr,
    closing * analytics.unit(provider, currency) AS closing_mrr,
    CASE WHEN opening = 0 AND NOT is_new AND rise = 'reactivation' THEN gap_of_rise END AS gap_days,
    provenance
FROM (
    SELECT
        workspace_id,
        provider,
        customer_id,
        currency,
        CAST(date_trunc('month', CAST(day AS timestamp)) AS date) AS month,
        (array_agg(opening ORDER BY day))[1] AS opening,
        (array_agg(closing ORDER BY day DESC))[1] AS closing,
        bool_or(movement = 'new') AS is_new,
        min(reason) FILTER (WHERE movement = 'new') AS reason_of_new,
        (array_agg(movement ORDER BY day DESC) FILTER (WHERE opening = 0))[1] AS rise,
        (array_agg(reason ORDER BY day DESC) FILTER (WHERE opening = 0))[1] AS reason_of_rise,
        (array_agg(gap_days ORDER BY day DESC) FILTER (WHERE opening = 0))[1] AS gap_of_rise,
        (array_agg(movement ORDER BY day DESC) FILTER (WHERE closing = 0))[1] AS fall,
        (array_agg(reason ORDER BY day DESC) FILTER (WHERE closing = 0))[1] AS reason_of_fall,
        (array_agg(reason ORDER BY change DESC, day DESC))[1] AS reason_of_most,
        (array_agg(reason ORDER BY change, day DESC))[1] AS reason_of_least,
        max(provenance) AS provenance
    FROM figures.mrr_movements
    WHERE livemode = :livemode
    GROUP BY workspace_id, provider, customer_id, currency, date_trunc('month', CAST(day AS timestamp))
) AS months
WHERE opening <> closing
