-- Customers: the people and companies that are billed.
-- Grain: one row per customer that the provider has.
-- Key: workspace_id, provider, id.
-- Rules: one mode only; nothing that is gone at the provider; amounts in whole units of currency, NULL where that is none.
SELECT
    workspace_id,
    provider,
    id,
    created,
    email,
    name,
    phone,
    description,
    currency,
    balance * analytics.unit(provider, currency) AS balance,
    delinquent,
    tax_exempt,
    invoice_prefix,
    default_source_id,
    default_payment_method_id,
    address_line1,
    address_line2,
    address_city,
    address_state,
    address_postal_code,
    address_country,
    test_clock_id,
    metadata,
    synced_at
FROM payments.customers
WHERE livemode = :livemode AND deleted_at IS NULL
