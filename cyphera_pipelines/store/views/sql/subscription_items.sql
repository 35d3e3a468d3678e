-- Items of subscriptions: a price and a quantity each.
-- Grain: one row per subscription item of each subscription that the provider has.
-- Key: workspace_id, provider, subscription_id, id, occurrence.
-- Rules: one mode only; nothing that is gone at the provider; amounts in whole units of currency, NULL where that is none.
SELECT
    workspace_id,
    provider,
    id,
    subscription_id,
    created,
    price_id,
    product_id,
    currency,
    unit_amount * analytics.unit(provider, currency) AS unit_amount,
    quantity,
    current_period_start,
    current_period_end,
    metadata,
    synced_at,
    occurrence,
    unit_amount_decimal * analytics.unit(provider, currency) AS unit_amount_decimal
FROM payments.subscription_items
WHERE livemode = :livemode AND deleted_at IS NULL
