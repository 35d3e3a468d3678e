-- Discounts on customers: they apply to the subscriptions that have none of their own.
-- Grain: one row per customer discount of each customer that the provider has.
-- Key: workspace_id, provider, customer_id, id, occurrence.
-- Rules: one mode only; nothing that is gone at the provider; amounts in whole units of currency, NULL where that is none.
SELECT
    workspace_id,
    provider,
    id,
    customer_id,
    position,
    coupon_id,
    coupon_name,
    promotion_code_id,
    kind,
    percent_off,
    amount_off * analytics.unit(provider, currency) AS amount_off,
    currency,
    duration,
    duration_in_months,
    starts_at,
    ends_at,
    synced_at,
    occurrence
FROM payments.customer_discounts
WHERE livemode = :livemode AND deleted_at IS NULL
