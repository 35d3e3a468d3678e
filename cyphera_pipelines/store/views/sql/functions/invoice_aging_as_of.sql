-- What was owed when a day (UTC) had ended, by how long it had been due; of the present day, as of now.
-- Grain: one row per provider, currency and bucket: all six of each currency in which there were invoices.
-- Key: workspace_id, provider, currency, bucket_number.
-- Rules: as invoice_aging, of the invoices of that time: one that is finalized later does not change it. What remained then is told from when invoices were finalized, paid, voided and given up, and from when each payment was made: of one that is open still, what remains now and what was paid since; of one that was paid since, what was not paid before; of one that was voided since, what was due then. Where no payment is known the invoice's own moments tell. Credit notes in between are not dated in these tables.
-- Columns:
-- workspace_id, provider, currency
-- bucket_number integer: 1 to 6, the oldest last
-- bucket text: not yet due, 1-30 days, 31-60 days, 61-90 days, 91-120 days or more than 120 days
-- invoices bigint: Invoices that were open then
-- remaining numeric: What remained to be paid of them
-- uncertain numeric: The part of `remaining` of invoices with credit notes, or with payments that are not dated
-- uncollectible_invoices bigint: Invoices that had been given up by then
-- uncollectible numeric: What remained of them
-- undated_invoices bigint: Invoices that are paid, void or given up, and nothing tells since when: not in `remaining`
CREATE OR REPLACE FUNCTION :schema.invoice_aging_as_of(as_of date)
RETURNS TABLE (
    workspace_id uuid,
    provider text,
    currency text,
    bucket_number integer,
    bucket text,
    invoices bigint,
    remaining numeric,
    uncertain numeric,
    uncollectible_invoices bigint,
    uncollectible numeric,
    undated_invoices bigint
)
LANGUAGE sql STABLE PARALLEL SAFE
AS $body$
SELECT
    aged.workspace_id,
    aged.provider,
    aged.currency,
    buckets.number,
    buckets.bucket,
    CAST(coalesce(sum(aged.invoices) FILTER (WHERE aged.state = 'open' AND aged.due = buckets.number), 0) AS bigint),
    coalesce(sum(aged.remaining) FILTER (WHERE aged.state = 'open' AND aged.due = buckets.number), 0)
        * analytics.unit(aged.provider, aged.currency),
    coalesce(sum(aged.uncertain) FILTER (WHERE aged.state = 'open' AND aged.due = buckets.number), 0)
        * analytics.unit(aged.provider, aged.currency),
    CAST(coalesce(sum(aged.invoices) FILTER (WHERE aged.state = 'uncollectible' AND aged.due = buckets.number), 0) AS bigint),
    coalesce(sum(aged.remaining) FILTER (WHERE aged.state = 'uncollectible' AND aged.due = buckets.number), 0)
        * analytics.unit(aged.provider, aged.currency),
    CAST(coalesce(sum(aged.invoices) FILTER (WHERE aged.state = 'undated' AND aged.due = buckets.number), 0) AS bigint)
FROM (
    SELECT
        invoice.workspace_id,
        invoice.provider,
        invoice.currency,
        placed.state,
        placed.due,
        count(*) AS invoices,
        sum(placed.remaining) AS remaining,
        sum(placed.remaining) FILTER (WHERE placed.is_uncertain) AS uncertain
    FROM payments.invoices AS invoice
    CROSS JOIN LATERAL (
        SELECT least((as_of + 1) AT TIME ZONE 'UTC', now()) AS until
    ) AS moment
    CROSS JOIN LATERAL (
        SELECT
            coalesce(invoice.finalized_at, invoice.effective_at, invoice.created) AS booked_at,
            ceil(
                extract(
                    epoch FROM moment.until
                    - coalesce(invoice.due_date, invoice.finalized_at, invoice.effective_at, invoice.created)
                ) / 86400
            ) AS days,
            CASE
                WHEN invoice.status = 'open' THEN 'open'
                -- Where it is not told when its present state began.
                WHEN CASE invoice.status
                    WHEN 'paid' THEN invoice.paid_at
                    WHEN 'void' THEN invoice.voided_at
                    ELSE invoice.marked_uncollectible_at
                END IS NULL THEN 'undated'
                WHEN invoice.status = 'paid' AND invoice.paid_at < moment.until THEN 'settled'
                WHEN invoice.status = 'void' AND invoice.voided_at < moment.until THEN 'settled'
                WHEN invoice.marked_uncollectible_at < moment.until THEN 'uncollectible'
                ELSE 'open'
            END AS state
    ) AS of_invoice
    CROSS JOIN LATERAL (
        -- Of most invoices, which were settled by then, nobody needs them.
        SELECT
            coalesce(sum(payment.amount_paid) FILTER (WHERE at < moment.until), 0) AS paid_before,
            coalesce(sum(payment.amount_paid) FILTER (WHERE at >= moment.until), 0) AS paid_since,
            max(at) AS last_at,
            count(*) > 0 AS are_told,
            coalesce(sum(payment.amount_paid) FILTER (WHERE at IS NOT NULL), 0) = coalesce(invoice.amount_paid, 0)
                AS are_whole
        FROM payments.invoice_payments AS payment
        CROSS JOIN LATERAL (SELECT coalesce(payment.paid_at, payment.created) AS at) AS dated
        WHERE of_invoice.state <> 'settled' AND payment.workspace_id = invoice.workspace_id
            AND payment.provider = invoice.provider AND payment.livemode = :livemode
            AND payment.invoice_id = invoice.id AND payment.status = 'paid' AND payment.deleted_at IS NULL
    ) AS payments
    CROSS JOIN LATERAL (
        SELECT
            of_invoice.booked_at,
            of_invoice.days,
            CASE
                WHEN of_invoice.state <> 'undated' OR invoice.status <> 'paid' OR NOT payments.are_whole
                    OR payments.last_at IS NULL THEN of_invoice.state
                WHEN payments.last_at < moment.until THEN 'settled'
                ELSE 'open'
            END AS state,
            CASE invoice.status
                WHEN 'paid' THEN greatest(invoice.amount_paid - payments.paid_before, 0)
                WHEN 'void' THEN invoice.amount_due - coalesce(invoice.amount_paid, 0) + payments.paid_since
                ELSE invoice.amount_remaining + payments.paid_since
            END AS remaining
    ) AS told
    CROSS JOIN LATERAL (
        SELECT
            told.state,
            told.remaining,
            moment.until < now() AND (
                (invoice.status <> 'paid' AND invoice.amount_paid > 0 AND NOT payments.are_whole)
                OR (invoice.status = 'paid' AND invoice.amount_paid IS DISTINCT FROM invoice.amount_due)
                OR (payments.are_told AND NOT payments.are_whole)
                OR invoice.pre_payment_credit_notes_amount > 0
                OR invoice.post_payment_credit_notes_amount > 0
            ) AS is_uncertain,
            CASE
                WHEN told.state = 'settled' THEN NULL
                WHEN told.days <= 0 THEN 1
                WHEN told.days <= 30 THEN 2
                WHEN told.days <= 60 THEN 3
                WHEN told.days <= 90 THEN 4
                WHEN told.days <= 120 THEN 5
                ELSE 6
            END AS due
    ) AS placed
    WHERE invoice.livemode = :livemode AND invoice.deleted_at IS NULL AND invoice.status <> 'draft'
        AND told.booked_at < moment.until
    GROUP BY invoice.workspace_id, invoice.provider, invoice.currency, placed.state, placed.due
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
GROUP BY aged.workspace_id, aged.provider, aged.currency, buckets.number, buckets.bucket
$body$
