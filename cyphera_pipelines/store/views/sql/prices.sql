-- Prices: how much and how often a product costs, active or not.
-- Grain: one row per price that the provider has.
-- Key: workspace_id, provider, id.
-- Rules: one mode only; nothing that is gone at the provider; amounts in whole units of currency, NULL where that is none.
SELECT
    workspace_id,
    provider,
    id,
    created,
    product_id,
    active,
    type,
    currency,
    unit_amount * analytics.unit(provider, currency) AS unit_amount,
    unit_amount_decimal * analytics.unit(provider, currency) AS unit_amount_decimal,
    billing_scheme,
    tiers_mode,
    nickname,
    lookup_key,
    recurring_interval,
    recurring_interval_count,
    recurring_usage_type,
    recurring_meter_id,
    recurring_trial_period_days,
    tax_behavior,
    transform_quantity_divide_by,
    transform_quantity_round,
    metadata,
    synced_at
FROM payments.prices
WHERE livemode = :livemode AND deleted_at IS NULL
