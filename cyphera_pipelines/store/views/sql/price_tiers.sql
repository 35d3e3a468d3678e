-- Tiers of tiered prices, lowest first; id is '<price id>:<tier index>'.
-- Grain: one row per price tier of each price that the provider has.
-- Key: workspace_id, provider, price_id, id, occurrence.
-- Rules: one mode only; nothing that is gone at the provider; amounts in whole units of currency, NULL where that is none.
SELECT
    workspace_id,
    provider,
    id,
    price_id,
    tier_index,
    currency,
    up_to,
    unit_amount * analytics.unit(provider, currency) AS unit_amount,
    unit_amount_decimal * analytics.unit(provider, currency) AS unit_amount_decimal,
    flat_amount * analytics.unit(provider, currency) AS flat_amount,
    flat_amount_decimal * analytics.unit(provider, currency) AS flat_amount_decimal,
    synced_at,
    occurrence
FROM payments.price_tiers
WHERE livemode = :livemode AND deleted_at IS NULL
