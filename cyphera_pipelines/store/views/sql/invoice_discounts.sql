-- Discounts that were taken off invoices.
-- Grain: one row per discount of each invoice that the provider has.
-- Key: workspace_id, provider, invoice_id, id, occurrence.
-- Rules: one mode only; nothing that is gone at the provider; amounts in whole units of currency, NULL where that is none.
SELECT
    workspace_id,
    provider,
    id,
    invoice_id,
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
    discounted * analytics.unit(provider, currency) AS discounted,
    synced_at,
    occurrence
FROM payments.invoice_discounts
WHERE livemode = :livemode AND deleted_at IS NULL
