-- The subscriptions of which something was written since `seen_until`, or of which something that is known begins or
-- ends by itself between the last build and this one.
CREATE TEMPORARY TABLE built_scope ON COMMIT DROP AS
WITH customers_changed AS (
    SELECT customer_id FROM payments.customer_discount_history
    WHERE workspace_id = :workspace_id AND provider = :provider AND livemode = :livemode
    AND recorded_at >= :seen_until
    UNION
    SELECT customer_id FROM payments.customer_discount_history
    CROSS JOIN LATERAL jsonb_to_recordset(discounts) AS told (
        starts_at double precision, ends_at double precision, duration_in_months double precision
    )
    CROSS JOIN LATERAL unnest(ARRAY[
        to_timestamp(told.starts_at), to_timestamp(told.ends_at),
        to_timestamp(told.starts_at) + greatest(least(told.duration_in_months, 12000), 0) * interval '1 month'
    ]) AS moment
    WHERE workspace_id = :workspace_id AND provider = :provider AND livemode = :livemode
    AND moment > :built_at AND moment <= :as_of
), prices_changed AS (
    SELECT id FROM payments.prices
    WHERE workspace_id = :workspace_id AND provider = :provider AND livemode = :livemode
    AND synced_at >= :seen_until
)
SELECT subscription_id FROM payments.subscription_history
WHERE workspace_id = :workspace_id AND provider = :provider AND livemode = :livemode AND recorded_at >= :seen_until
UNION
SELECT line.subscription_id FROM payments.invoice_line_items AS line
WHERE line.workspace_id = :workspace_id AND line.provider = :provider AND line.livemode = :livemode
AND line.synced_at >= :seen_until AND line.subscription_id IS NOT NULL
UNION
SELECT line.subscription_id FROM payments.invoices AS invoice
JOIN payments.invoice_line_items AS line
    ON line.workspace_id = :workspace_id AND line.provider = :provider AND line.livemode = :livemode
    AND line.invoice_id = invoice.id
WHERE invoice.workspace_id = :workspace_id AND invoice.provider = :provider AND invoice.livemode = :livemode
AND invoice.synced_at >= :seen_until AND line.subscription_id IS NOT NULL
UNION
SELECT subscription_id FROM payments.subscription_items
WHERE workspace_id = :workspace_id AND provider = :provider AND livemode = :livemode
AND price_id IN (SELECT id FROM prices_changed)
UNION
SELECT id FROM payments.subscriptions
WHERE workspace_id = :workspace_id AND provider = :provider AND livemode = :livemode
AND customer_id IN (SELECT customer_id FROM customers_changed)
UNION
SELECT id FROM payments.subscriptions
WHERE workspace_id = :workspace_id AND provider = :provider AND livemode = :livemode
AND ((start_date > :built_at AND start_date <= :as_of)
    OR (trial_end > :built_at AND trial_end <= :as_of)
    OR (pause_collection_resumes_at > :built_at AND pause_collection_resumes_at <= :as_of))
UNION
SELECT subscription_id FROM figures.subscription_mrr
WHERE workspace_id = :workspace_id AND provider = :provider AND livemode = :livemode AND valid_to IS NULL
AND ends_at <= :as_of
UNION
SELECT subscription_id FROM payments.subscription_discounts
CROSS JOIN LATERAL unnest(ARRAY[
    starts_at, ends_at, starts_at + greatest(least(duration_in_months, 12000), 0) * interval '1 month'
]) AS moment
WHERE workspace_id = :workspace_id AND provider = :provider AND livemode = :livemode
AND moment > :built_at AND moment <= :as_of
