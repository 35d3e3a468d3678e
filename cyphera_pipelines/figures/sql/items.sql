-- Each item of each slice with what a bill has for it, before discounts.
CREATE TEMPORARY TABLE built_items ON COMMIT DROP AS
SELECT
    part.slice, part.subscription_id, told.id AS item_id, coalesce(told.occurrence, 0) AS occurrence,
    CASE WHEN part.is_before THEN greatest(part.valid_from, to_timestamp(told.created)) ELSE part.valid_from END
        AS valid_from,
    part.valid_to, part.first_at, part.is_before, part.customer_id, billed.currency,
    CASE WHEN NOT part.is_before THEN part.status END AS status,
    told.price_id, coalesce(told.product_id, own.product_id) AS product_id, told.quantity, terms.recurring_interval,
    terms.recurring_interval_count, terms.tax_behavior, part.tax_rates,
    -- Of what is over nobody asks when it would have ended; and it would be another answer every day.
    CASE
        WHEN part.ends_at > :as_of AND coalesce(part.valid_to, 'infinity') > :as_of THEN part.ends_at
    END AS ends_at,
    CASE
        WHEN part.left_out_by IS NOT NULL THEN part.left_out_by
        WHEN terms.type = 'one_time' THEN 'one_time'
        WHEN coalesce(terms.recurring_usage_type, own.usage_type) = 'metered' THEN 'metered'
        WHEN billed.currency IS NULL THEN 'no_currency'
    END AS left_out_by,
    gross.amount AS gross, gross.amount AS remaining, gross.steps AS steps, CAST('[]' AS jsonb) AS discounts,
    factor.numerator, factor.denominator,
    part.is_estimated OR gross.amount IS NULL OR factor.is_estimated AS is_estimated
FROM built_slices AS part
CROSS JOIN LATERAL jsonb_to_recordset(part.items) AS told (
    id text, occurrence bigint, price_id text, product_id text, currency text, unit_amount_decimal numeric,
    quantity numeric, created double precision, current_period_start double precision,
    current_period_end double precision, price jsonb
)
CROSS JOIN LATERAL (SELECT coalesce(told.currency, part.currency) AS currency) AS billed
LEFT JOIN built_prices AS own ON own.price_id = told.price_id AND own.is_own
LEFT JOIN built_prices AS other
    ON other.price_id = told.price_id AND other.currency = billed.currency AND NOT other.is_own
CROSS JOIN LATERAL jsonb_to_record(
    coalesce(CASE jsonb_typeof(told.price) WHEN 'object' THEN told.price END, other.terms, own.terms, '{}')
) AS terms (
    currency text, unit_amount_decimal numeric, billing_scheme text, tiers_mode text, type text,
    recurring_interval text, recurring_interval_count numeric, recurring_usage_type text,
    transform_quantity_divide_by numeric, transform_quantity_round text, tax_behavior text, tiers jsonb
)
CROSS JOIN LATERAL (
    SELECT
        coalesce(
            told.unit_amount_decimal, CASE WHEN terms.currency = billed.currency THEN terms.unit_amount_decimal END
        ) AS unit_amount,
        terms.billing_scheme, terms.tiers_mode, CASE jsonb_typeof(terms.tiers) WHEN 'array' THEN terms.tiers END AS tiers,
        coalesce(told.quantity, 1) AS quantity,
        CASE WHEN terms.transform_quantity_divide_by > 0 THEN terms.transform_quantity_divide_by END AS divided_by,
        terms.transform_quantity_round AS rounded
) AS priced
CROSS JOIN LATERAL ({gross}) AS gross
CROSS JOIN LATERAL (
    SELECT terms.recurring_interval, terms.recurring_interval_count,
        to_timestamp(told.current_period_start) AS period_start, to_timestamp(told.current_period_end) AS period_end
) AS term
CROSS JOIN LATERAL ({factor}) AS factor
WHERE NOT part.is_before OR to_timestamp(told.created) IS NULL OR to_timestamp(told.created) < part.valid_to
