-- Payments towards invoices, with what they were made by.
-- Grain: one row per payment of each invoice that the provider has.
-- Key: workspace_id, provider, invoice_id, id, occurrence.
-- Rules: one mode only; nothing that is gone at the provider; amounts in whole units of currency, NULL where that is none.
SELECT
    workspace_id,
    provider,
    id,
    invoice_id,
    status,
    amount_requested * analytics.unit(provider, currency) AS amount_requested,
    amount_paid * analytics.unit(provider, currency) AS amount_paid,
    currency,
    type,
    payment_intent_id,
    charge_id,
    transaction_id,
    is_default,
    paid_out_of_band,
    created,
    paid_at,
    synced_at,
    occurrence
FROM payments.invoice_payments
WHERE livemode = :livemode AND deleted_at IS NULL
