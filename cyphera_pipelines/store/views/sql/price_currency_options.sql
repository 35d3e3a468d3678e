-- What prices cost in each currency that they name; id is '<price id>:<currency>'.
-- Grain: one row per price currency option of each price that the provider has.
-- Key: workspace_id, provider, price_id, id, occurrence.
-- Rules: one mode only; nothing that is gone at the provider; amounts in whole units of currency, NULL where that is none.
SELECT
    workspace_id,
    provider,
    id,
    price_id,
    currency,
    unit_amount * analytics.unit(provider, currency) AS unit_amount,
    unit_amount_decimal * analytics.unit(provider, currency) AS unit_amount_decimal,
    tax_behavior,
    synced_at,
    occurrence
FROM payments.price_currency_options
WHERE livemode = :livemode AND deleted_at IS NULL
