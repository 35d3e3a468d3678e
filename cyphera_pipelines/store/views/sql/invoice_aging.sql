-- What is owed now, by how long it has been due.
-- Grain: one row per provider, currency and bucket: all six of each currency in which anything is owed, or was billed by the last build of figures.
-- Key: workspace_id, provider, currency, bucket_number.
-- Rules: one mode only; nothing that is gone at the provider; open invoices with what remains of them, and in columns of their own those that were given up; no drafts, paid or void ones; by the due date, or where there is none since finalization; each day that has begun counts whole, so that 30.5 days are 31; the buckets of a currency add up to what remains of its open invoices.
-- Columns:
-- workspace_id, provider, currency
-- bucket_number integer: 1 to 6, the oldest last
-- bucket text: not yet due, 1-30 days, 31-60 days, 61-90 days, 91-120 days or more than 120 days
-- invoices bigint: Open invoices
-- remaining numeric: What remains to be paid of them
-- uncollectible_invoices bigint: Invoices that were given up
-- uncollectible numeric: What remained of them
SELECT
    workspace_id,
    provider,
    currency,
    number AS bucket_number,
    bucket,
    CAST(coalesce(sum(invoices) FILTER (WHERE status = 'open' AND due = number), 0) AS bigint) AS invoices,
    coalesce(sum(remaining) FILTER (WHERE status = 'open' AND due = number), 0) * analytics.unit(provider, currency) AS remaining,
    CAST(coalesce(sum(invoices) FILTER (WHERE status = 'uncollectible' AND due = number), 0) AS bigint) AS uncollectible_invoices,
    coalesce(sum(remaining) FILTER (WHERE status = 'uncollectible' AND due = number), 0) * analytics.unit(provider, currency)
        AS uncollectible
FROM (
    SELECT workspace_id, provider, currency, status, due, count(*) AS invoices, sum(amount_remaining) AS remaining
    FROM payments.invoices
    CROSS JOIN LATERAL (
        SELECT ceil(extract(epoch FROM now() - coalesce(due_date, finalized_at, effective_at, created)) / 86400) AS days
    ) AS age
    CROSS JOIN LATERAL (
        SELECT
            CASE
                WHEN days <= 0 THEN 1
                WHEN days <= 30 THEN 2
                WHEN days <= 60 THEN 3
                WHEN days <= 90 THEN 4
                WHEN days <= 120 THEN 5
                ELSE 6
            END AS due
    ) AS placed
    WHERE livemode = :livemode AND deleted_at IS NULL AND status IN ('open', 'uncollectible')
    GROUP BY workspace_id, provider, currency, status, due
    UNION ALL
    -- Every currency that there is, from what is kept: of what is owed an index tells, and nothing has to be read of the rest.
    SELECT workspace_id, provider, nullif(currency, ''), NULL, NULL, NULL, NULL
    FROM figures.billed_months
    WHERE livemode = :livemode
    GROUP BY workspace_id, provider, currency
) AS aged
CROSS JOIN (
    VALUES
    (1, 'not yet due'),
    (2, '1-30 days'),
    (3, '31-60 days'),
    (4, '61-90 days'),
    (5, '91-120 days'),
    (6, 'more than 120 days')
) AS buckets (number, bucket)
GROUP BY workspace_id, provider, currency, number, bucket
