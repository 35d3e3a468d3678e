-- mrr_summary in other currencies, by the rates that the workspace has given (cyphera figures rates).
-- Grain: one row per provider, currency, month (UTC) and currency that rates lead to, that currency itself included.
-- Key: workspace_id, provider, currency, into_currency, month.
-- Rules: one mode only; every amount in whole units of into_currency, rounded to its smallest unit, and NULL where no rate counted yet; the rate is that of the month's last day, of the present month the newest; fx is what the opening MRR gained by the rate alone, so that opening, new, reactivation, expansion, contraction, churned and fx add up to closing. Amounts of one into_currency may be summed over currencies, as long as none is NULL.
-- Columns:
-- workspace_id, provider
-- currency text: Lower-case ISO code of the currency that was converted
-- into_currency text: Lower-case ISO code of the currency of every amount in the row
-- month
-- rate numeric: What one whole unit of currency is in whole units of into_currency; 1 where they are the same
-- rate_day date: From which day on that rate counted; NULL where they are the same
-- opening_mrr numeric: closing_mrr of the month before
-- new_mrr numeric: As in mrr_summary
-- reactivation_mrr numeric: As in mrr_summary
-- expansion_mrr numeric: As in mrr_summary
-- contraction_mrr numeric: As in mrr_summary, negative
-- churned_mrr numeric: As in mrr_summary, negative
-- fx_mrr numeric: What the change of the rate, and roundings, brought or took
-- closing_mrr numeric: As in mrr_summary
SELECT
    workspace_id,
    provider,
    currency,
    into_currency,
    month,
    rate,
    rate_day,
    opening_mrr,
    new_mrr,
    reactivation_mrr,
    expansion_mrr,
    contraction_mrr,
    churned_mrr,
    closing_mrr - opening_mrr - new_mrr - reactivation_mrr - expansion_mrr - contraction_mrr - churned_mrr AS fx_mrr,
    closing_mrr
FROM (
    SELECT
        workspace_id,
        provider,
        currency,
        into_currency,
        month,
        rate,
        rate_day,
        CASE
            WHEN opening_mrr = 0 THEN 0
            ELSE lag(round(closing_mrr * rate / unit) * unit) OVER (
                PARTITION BY workspace_id, provider, currency, into_currency ORDER BY month
            )
        END AS opening_mrr,
        round(new_mrr * rate / unit) * unit AS new_mrr,
        round(reactivation_mrr * rate / unit) * unit AS reactivation_mrr,
        round(expansion_mrr * rate / unit) * unit AS expansion_mrr,
        round(contraction_mrr * rate / unit) * unit AS contraction_mrr,
        round(churned_mrr * rate / unit) * unit AS churned_mrr,
        round(closing_mrr * rate / unit) * unit AS closing_mrr
    FROM :schema.mrr_summary
    JOIN (
        SELECT DISTINCT workspace_id, into_currency FROM figures.exchange_rates
    ) AS targets USING (workspace_id)
    CROSS JOIN LATERAL (SELECT analytics.unit(provider, into_currency) AS unit) AS target
    LEFT JOIN LATERAL (
        SELECT 1 AS rate, CAST(NULL AS date) AS rate_day
        WHERE into_currency = currency
        UNION ALL
        (
            SELECT given.rate, given.day
            FROM figures.exchange_rates AS given
            WHERE given.workspace_id = mrr_summary.workspace_id
                AND given.currency = mrr_summary.currency
                AND given.into_currency = targets.into_currency
                AND given.currency <> given.into_currency
                AND given.day < mrr_summary.month + interval '1 month'
                AND given.day <= CAST(now() AT TIME ZONE 'UTC' AS date)
            ORDER BY given.day DESC
            LIMIT 1
        )
    ) AS rates ON true
) AS converted
