-- Every line of every invoice.
-- Grain: one row per invoice line item of each invoice that the provider has.
-- Key: workspace_id, provider, invoice_id, id, occurrence.
-- Rules: one mode only; nothing that is gone at the provider; amounts in whole units of currency, NULL where that is none.
SELECT
    workspace_id,
    provider,
    id,
    invoice_id,
    line_index,
    amount * analytics.unit(provider, currency) AS amount,
    subtotal * analytics.unit(provider, currency) AS subtotal,
    currency,
    description,
    quantity,
    quantity_decimal,
    unit_amount_decimal * analytics.unit(provider, currency) AS unit_amount_decimal,
    price_id,
    product_id,
    parent_type,
    subscription_id,
    subscription_item_id,
    invoice_item_id,
    proration,
    discountable,
    period_start,
    period_end,
    metadata,
    synced_at,
    occurrence
FROM payments.invoice_line_items
WHERE livemode = :livemode AND deleted_at IS NULL
