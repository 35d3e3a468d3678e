-- What each customer brings, was billed and owes.
-- Grain: one row per customer and currency: the customer's own, and every other in which it was subscribed or billed.
-- Key: workspace_id, provider, customer_id, currency.
-- Rules: one mode only; MRR by the workspace's rules, NULL until figures were built; billed without drafts and void invoices; nothing that is gone at the provider, but for what such customers still have in MRR or invoices; customers with neither a currency nor a bill are not in it; amounts of bills are NULL where there is none.
-- Columns:
-- workspace_id, provider, customer_id, currency
-- name text personal: Full name or business name
-- email text personal: Email address
-- created timestamptz: When the customer was created
-- mrr numeric: Monthly recurring revenue now
-- at_risk_mrr numeric: The part of it whose subscriptions are past due
-- scheduled_churn_mrr numeric: The part of it that is known to end
-- subscriptions bigint: Subscriptions that count now, be it with 0
-- first_mrr_on date: The day (UTC) on which the customer first had MRR; NULL where it never had
-- last_changed_on date: The day (UTC) on which its MRR last changed
-- last_movement text: What that was, as in expansion
-- invoices bigint: Invoices that were finalized and are not void
-- total numeric: Their totals, with taxes
-- paid numeric: What was paid of them
-- outstanding numeric: What remains of those that are open
-- overdue numeric: The part of it whose due date has passed
-- uncollectible numeric: What remained of those that were given up
-- first_invoice_at timestamptz: When the first was finalized
-- last_invoice_at timestamptz: When the last was finalized
SELECT
    told.workspace_id,
    told.provider,
    told.customer_id,
    told.currency,
    customer.name,
    customer.email,
    customer.created,
    CASE WHEN built.built_at IS NOT NULL THEN coalesce(mrr, 0) * unit END AS mrr,
    CASE WHEN built.built_at IS NOT NULL THEN coalesce(at_risk, 0) * unit END AS at_risk_mrr,
    CASE WHEN built.built_at IS NOT NULL THEN coalesce(ending, 0) * unit END AS scheduled_churn_mrr,
    CASE WHEN built.built_at IS NOT NULL THEN coalesce(subscriptions, 0) END AS subscriptions,
    first_mrr_on,
    last_changed_on,
    last_movement,
    coalesce(invoices, 0) AS invoices,
    total * unit AS total,
    paid * unit AS paid,
    outstanding * unit AS outstanding,
    overdue * unit AS overdue,
    uncollectible * unit AS uncollectible,
    first_invoice_at,
    last_invoice_at
FROM (
    SELECT
        workspace_id,
        provider,
        customer_id,
        currency,
        analytics.unit(provider, currency) AS unit,
        max(mrr) AS mrr,
        max(at_risk) AS at_risk,
        max(ending) AS ending,
        max(subscriptions) AS subscriptions,
        max(first_mrr_on) AS first_mrr_on,
        max(last_changed_on) AS last_changed_on,
        max(last_movement) AS last_movement,
        max(invoices) AS invoices,
        max(total) AS total,
        max(paid) AS paid,
        max(outstanding) AS outstanding,
        max(overdue) AS overdue,
        max(uncollectible) AS uncollectible,
        max(first_invoice_at) AS first_invoice_at,
        max(last_invoice_at) AS last_invoice_at
    FROM (
        SELECT
            workspace_id,
            provider,
            customer_id,
            currency,
            sum(mrr) AS mrr,
            coalesce(sum(mrr) FILTER (WHERE status = 'past_due'), 0) AS at_risk,
            coalesce(sum(mrr) FILTER (WHERE ends_at IS NOT NULL), 0) AS ending,
            count(DISTINCT subscription_id) AS subscriptions,
            CAST(NULL AS date) AS first_mrr_on,
            CAST(NULL AS date) AS last_changed_on,
            CAST(NULL AS text) AS last_movement,
            CAST(NULL AS bigint) AS invoices,
            CAST(NULL AS numeric) AS total,
            CAST(NULL AS numeric) AS paid,
            CAST(NULL AS numeric) AS outstanding,
            CAST(NULL AS numeric) AS overdue,
            CAST(NULL AS numeric) AS uncollectible,
            CAST(NULL AS timestamptz) AS first_invoice_at,
            CAST(NULL AS timestamptz) AS last_invoice_at
        FROM figures.subscription_mrr
        WHERE livemode = :livemode AND left_out_by IS NULL AND customer_id IS NOT NULL
            AND valid_from <= now() AND (valid_to IS NULL OR valid_to > now())
        GROUP BY workspace_id, provider, customer_id, currency
        UNION ALL
        SELECT
            workspace_id, provider, customer_id, currency, NULL, NULL, NULL, NULL,
            min(day), max(day), (array_agg(movement ORDER BY day DESC))[1],
            NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
        FROM figures.mrr_movements
        WHERE livemode = :livemode
        GROUP BY workspace_id, provider, customer_id, currency
        UNION ALL
        SELECT
            workspace_id, provider, customer_id, currency, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
            count(*),
            sum(total),
            sum(amount_paid),
            coalesce(sum(amount_remaining) FILTER (WHERE status = 'open'), 0),
            coalesce(
                sum(amount_remaining) FILTER (
                    WHERE status = 'open' AND coalesce(due_date, finalized_at, effective_at, created) < now()
                ),
                0
            ),
            coalesce(sum(amount_remaining) FILTER (WHERE status = 'uncollectible'), 0),
            min(coalesce(finalized_at, effective_at, created)),
            max(coalesce(finalized_at, effective_at, created))
        FROM payments.invoices
        WHERE livemode = :livemode AND deleted_at IS NULL AND customer_id IS NOT NULL
            AND status IN ('open', 'paid', 'uncollectible')
        GROUP BY workspace_id, provider, customer_id, currency
        UNION ALL
        SELECT
            workspace_id, provider, id, currency, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
            NULL, NULL, NULL, NULL
        FROM payments.customers
        WHERE livemode = :livemode AND deleted_at IS NULL AND currency IS NOT NULL
    ) AS parts
    GROUP BY workspace_id, provider, customer_id, currency
) AS told
-- One look by the key for each row: nothing is known of how sums are spread, and a join of them was once tried pair by pair.
LEFT JOIN LATERAL (
    SELECT named.name, named.email, named.created
    FROM payments.customers AS named
    WHERE named.workspace_id = told.workspace_id AND named.provider = told.provider
        AND named.livemode = :livemode AND named.id = told.customer_id AND named.deleted_at IS NULL
    LIMIT 1
) AS customer ON true
LEFT JOIN figures.figure_builds AS built
    ON built.workspace_id = told.workspace_id AND built.provider = told.provider AND built.livemode = :livemode
