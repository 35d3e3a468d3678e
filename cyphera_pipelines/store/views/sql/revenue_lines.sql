-- What each line of a finalized invoice is worth as revenue: after discounts, without tax, with the days that it is for.
-- Grain: one row per line of each invoice that was finalized.
-- Key: workspace_id, provider, invoice_id, id, occurrence.
-- Rules: one mode only; no drafts, and nothing that is gone at the provider; void and uncollectible invoices are in it, and say so; days are UTC; an invoice is booked when it was finalized, or by its date where the provider does not tell; credit notes and refunds are not lines, and lower nothing here.
-- Columns:
-- workspace_id, provider
-- invoice_id text: Id of the invoice
-- id text: Id of the line
-- occurrence bigint: 0; 1, 2, ... for further lines of one invoice that the provider gave the same id
-- customer_id, subscription_id, price_id, product_id, currency
-- quantity numeric: How many units; NULL where there is no quantity
-- net numeric: The line's amount less its discounts and the taxes that are in it
-- status text: The invoice's status: open, paid, uncollectible or void
-- booked_on date: The day on which the invoice was finalized
-- service_from date: The first day of the line's period; NULL where it is for no days: then all is recognized when booked
-- service_until date: The day after its last; NULL as service_from
-- ended_on date: When a void invoice was voided, or an uncollectible one given up: booked_on where the provider does not tell; NULL of others
SELECT
    line.workspace_id,
    line.provider,
    line.invoice_id,
    line.id,
    line.occurrence,
    invoice.customer_id,
    line.subscription_id,
    line.price_id,
    coalesce(line.product_id, price.product_id) AS product_id,
    line.currency,
    coalesce(line.quantity_decimal, line.quantity) AS quantity,
    (
        line.amount
        - CASE
            WHEN jsonb_typeof(line.discount_amounts) = 'array' THEN (
                SELECT coalesce(sum(CAST(discount ->> 'amount' AS numeric)) FILTER (WHERE jsonb_typeof(discount -> 'amount') = 'number'), 0)
                FROM jsonb_array_elements(line.discount_amounts) AS discount
            )
            ELSE 0
        END
        - CASE
            WHEN line.taxes @> '[{"tax_behavior": "inclusive"}]' OR line.taxes @> '[{"inclusive": true}]' THEN (
                SELECT coalesce(sum(CAST(tax ->> 'amount' AS numeric)) FILTER (WHERE jsonb_typeof(tax -> 'amount') = 'number'), 0)
                FROM jsonb_array_elements(line.taxes) AS tax
                WHERE tax ->> 'tax_behavior' = 'inclusive' OR tax ->> 'inclusive' = 'true'
            )
            ELSE 0
        END
    ) * analytics.unit(line.provider, line.currency) AS net,
    invoice.status,
    booked_on,
    CASE WHEN first_day < day_after THEN first_day END AS service_from,
    CASE WHEN first_day < day_after THEN day_after END AS service_until,
    CASE invoice.status
        WHEN 'void' THEN coalesce(CAST(invoice.voided_at AT TIME ZONE 'UTC' AS date), booked_on)
        WHEN 'uncollectible' THEN coalesce(CAST(invoice.marked_uncollectible_at AT TIME ZONE 'UTC' AS date), booked_on)
    END AS ended_on
FROM payments.invoice_line_items AS line
JOIN payments.invoices AS invoice
    ON invoice.workspace_id = line.workspace_id AND invoice.provider = line.provider
    AND invoice.livemode = line.livemode AND invoice.id = line.invoice_id
LEFT JOIN payments.prices AS price
    ON price.workspace_id = line.workspace_id AND price.provider = line.provider
    AND price.livemode = line.livemode AND price.id = line.price_id
CROSS JOIN LATERAL (
    SELECT
        CAST(
            coalesce(invoice.finalized_at, invoice.effective_at, invoice.created) AT TIME ZONE 'UTC' AS date
        ) AS booked_on,
        CAST(line.period_start AT TIME ZONE 'UTC' AS date) AS first_day,
        CAST(line.period_end AT TIME ZONE 'UTC' AS date) AS day_after
) AS days
WHERE line.livemode = :livemode AND line.deleted_at IS NULL
    AND invoice.deleted_at IS NULL AND invoice.status IN ('open', 'paid', 'uncollectible', 'void')
