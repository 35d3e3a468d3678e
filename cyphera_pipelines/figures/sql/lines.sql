-- What invoice lines tell of the time before the first state that is known: what was billed for an item, from the start
-- of the period on until its end, the item's next bill, or that first state. Bills that are void or drafts tell nothing.
CREATE TEMPORARY TABLE built_lines ON COMMIT DROP AS
WITH item_ids AS (
    -- Which item a line is of that names its price alone: of several the first.
    SELECT subscription_id, jsonb_object_agg(price_id, item_id ORDER BY item_id DESC) AS of_prices
    FROM built_items WHERE is_before AND price_id IS NOT NULL GROUP BY subscription_id
), known_from AS MATERIALIZED (
    SELECT subscription_id, first_at, of_prices
    FROM built_states LEFT JOIN item_ids USING (subscription_id)
    WHERE is_before AND first_at - starts_at > interval '1 day'
), told AS (
    -- What workers can read and sift: a temporary table is for the leader alone.
    SELECT
        subscription_id, subscription_item_id, invoice_id, period_start, period_end, price_id, currency, amount,
        coalesce(proration, false) AS proration, coalesce(quantity_decimal, quantity) AS quantity,
        CASE WHEN jsonb_typeof(discount_amounts) = 'array' THEN discount_amounts END AS discount_amounts,
        CASE WHEN :inclusive_tax = 'remove' AND jsonb_typeof(taxes) = 'array' THEN taxes END AS taxes
    FROM payments.invoice_line_items AS line
    WHERE workspace_id = :workspace_id AND provider = :provider AND livemode = :livemode AND deleted_at IS NULL
    AND price_id IS NOT NULL AND period_end > period_start
    AND (amount > 0 OR (amount < 0 AND proration))
    AND (parent_type IS DISTINCT FROM 'invoice_item_details' OR proration)
    AND period_start < (SELECT max(first_at) FROM known_from)
    AND NOT EXISTS (
        SELECT FROM payments.invoices AS invoice
        WHERE invoice.workspace_id = :workspace_id AND invoice.provider = :provider AND invoice.livemode = :livemode
        AND invoice.id = line.invoice_id AND (invoice.status IN ('void', 'draft') OR invoice.deleted_at IS NOT NULL)
    )
), billed AS (
    SELECT
        line.subscription_id,
        coalesce(line.subscription_item_id, known_from.of_prices ->> line.price_id, line.price_id) AS item_id,
        line.invoice_id, line.period_start, line.period_end, line.amount < 0 AS is_credit, line.proration,
        line.price_id, line.currency,
        -- There may be a line for each tier.
        sum(line.amount) AS amount, sum(line.quantity) AS quantity,
        sum(parts.off) AS off, sum(parts.off_counted) AS off_counted, sum(parts.tax) AS tax
    FROM known_from
    JOIN told AS line USING (subscription_id)
    CROSS JOIN LATERAL (
        SELECT
            CASE WHEN line.discount_amounts IS NOT NULL THEN (
                SELECT sum(CAST(each ->> 'amount' AS numeric)) FILTER (WHERE jsonb_typeof(each -> 'amount') = 'number')
                FROM jsonb_array_elements(line.discount_amounts) AS each
            ) END AS off,
            CASE WHEN line.discount_amounts IS NOT NULL THEN (
                SELECT sum(CAST(each ->> 'amount' AS numeric)) FILTER (WHERE jsonb_typeof(each -> 'amount') = 'number')
                FROM jsonb_array_elements(line.discount_amounts) AS each
                WHERE NOT EXISTS (
                    SELECT FROM payments.invoice_discounts AS discount
                    WHERE discount.workspace_id = :workspace_id AND discount.provider = :provider
                    AND discount.livemode = :livemode AND discount.invoice_id = line.invoice_id
                    AND discount.id = each ->> 'discount'
                    AND ((discount.duration = 'once' AND :once_coupons = 'ignore')
                        OR (discount.duration = 'repeating' AND :repeating_coupons = 'ignore'))
                )
            ) END AS off_counted,
            CASE WHEN line.taxes IS NOT NULL THEN (
                SELECT sum(CAST(each ->> 'amount' AS numeric)) FILTER (WHERE jsonb_typeof(each -> 'amount') = 'number')
                FROM jsonb_array_elements(line.taxes) AS each
                WHERE each ->> 'tax_behavior' = 'inclusive'
            ) END AS tax
    ) AS parts
    WHERE line.period_start < known_from.first_at
    -- Not by NOT IN: that would be asked of each line where it is read, by the leader alone.
    AND NOT EXISTS (
        SELECT FROM built_prices AS other
        WHERE other.price_id = line.price_id AND is_own AND (type = 'one_time' OR usage_type = 'metered')
    )
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
    ORDER BY subscription_id, item_id, period_start, is_credit, period_end DESC, invoice_id DESC, proration, price_id,
        currency
), hashed AS (
    -- Of a bill and a correction from the same moment on, what was charged last counts. Of what one bill says twice it
    -- is one and the same, whatever way the rows were read.
    SELECT DISTINCT ON (subscription_id, item_id, period_start) *, hash_record_extended(
        ROW(is_credit, proration, price_id, currency, amount, quantity, off, off_counted, tax), 0
    ) AS said
    FROM billed
    ORDER BY subscription_id, item_id, period_start, is_credit, period_end DESC, invoice_id DESC, proration, price_id,
        currency
), followed AS (
    SELECT *,
        lead(period_start) OVER item AS next_start,
        lead(said) OVER item IS NOT DISTINCT FROM said AND NOT proration
            AND lead(period_start) OVER item <= period_end + interval '1 day' AS is_said_again,
        lag(said) OVER item IS NOT DISTINCT FROM said AND NOT proration
            AND period_start <= lag(period_end) OVER item + interval '1 day' AS is_repeated
    FROM hashed WINDOW item AS (PARTITION BY subscription_id, item_id ORDER BY period_start)
), bounds AS (
    -- Bills in a row that say the same are one: its first and its last are left.
    SELECT *,
        CASE WHEN is_said_again THEN lead(period_end) OVER item ELSE period_end END AS last_end,
        CASE WHEN is_said_again THEN lead(next_start) OVER item ELSE next_start END AS last_next,
        period_end - period_start AS period
    FROM followed WHERE NOT coalesce(is_repeated, false) OR NOT coalesce(is_said_again, false)
    WINDOW item AS (PARTITION BY subscription_id, item_id ORDER BY period_start)
), lasting AS (
    SELECT bounds.*, first_state.customer_id, own.product_id, own.recurring_interval, own.recurring_interval_count,
        own.terms,
        least(first_at, CASE
            WHEN last_next <= last_end + interval '1 day' THEN last_next
            WHEN last_next IS NULL AND first_at - last_end < period
                AND first_state.items @> jsonb_build_array(jsonb_build_object('id', item_id)) THEN first_at
            ELSE last_end
        END) AS valid_to
    FROM bounds
    JOIN built_states AS first_state ON first_state.subscription_id = bounds.subscription_id AND first_state.is_before
    LEFT JOIN built_prices AS own ON own.price_id = bounds.price_id AND own.is_own
    WHERE NOT coalesce(is_repeated, false)
), priced_whole AS MATERIALIZED (
    -- MATERIALIZED: what is worked out here would be worked out anew wherever it is used.
    SELECT line.*, factor.numerator, factor.denominator, factor.is_estimated, whole.amount AS whole, whole.steps
    FROM (
        SELECT *, (proration OR CASE WHEN recurring_interval IN ('day', 'week', 'month', 'year') THEN
            period_start + 0.9 * least(greatest(recurring_interval_count, 1), 1200)
                * CAST('1 ' || recurring_interval AS interval) > period_end ELSE false END) AS is_part
        FROM lasting WHERE NOT is_credit
    ) AS line
    CROSS JOIN LATERAL jsonb_to_record(coalesce(CASE WHEN is_part THEN line.terms END, '{}')) AS terms (
        currency text, unit_amount_decimal numeric, billing_scheme text, tiers_mode text,
        transform_quantity_divide_by numeric, transform_quantity_round text, tiers jsonb
    )
    CROSS JOIN LATERAL (
        SELECT
            CASE WHEN terms.currency = line.currency THEN terms.unit_amount_decimal END AS unit_amount,
            terms.billing_scheme, terms.tiers_mode,
            CASE WHEN terms.currency = line.currency AND jsonb_typeof(terms.tiers) = 'array' THEN terms.tiers END
                AS tiers,
            coalesce(line.quantity, 1) AS quantity,
            CASE WHEN terms.transform_quantity_divide_by > 0 THEN terms.transform_quantity_divide_by END AS divided_by,
            terms.transform_quantity_round AS rounded
    ) AS priced
    CROSS JOIN LATERAL ({gross}) AS whole
    CROSS JOIN LATERAL (
        -- Of a part of a period whose whole is not known, its own length tells.
        SELECT CASE WHEN NOT is_part OR whole.amount IS NOT NULL THEN line.recurring_interval END AS recurring_interval,
            line.recurring_interval_count, line.period_start, line.period_end
    ) AS term
    CROSS JOIN LATERAL ({factor}) AS factor
), exact AS (
    SELECT line.*, untaxed_numerator, untaxed_denominator,
        (amount - coalesce(off_counted, 0)) * coalesce(whole, amount) * untaxed_numerator * numerator
            AS exact_numerator,
        amount * untaxed_denominator * denominator AS exact_denominator
    FROM priced_whole AS line
    CROSS JOIN LATERAL (
        SELECT
            CASE WHEN amount - coalesce(off, 0) > coalesce(tax, 0) THEN amount - coalesce(off, 0) - coalesce(tax, 0)
                ELSE 1 END AS untaxed_numerator,
            CASE WHEN amount - coalesce(off, 0) > coalesce(tax, 0) THEN amount - coalesce(off, 0) ELSE 1 END
                AS untaxed_denominator
    ) AS untaxed
), rounded AS MATERIALIZED (
    -- What is larger than any bill does not fit, and tells nothing.
    SELECT *, CAST(CASE WHEN whole_part < 1e16 THEN greatest(whole_part + CASE
        WHEN 2 * (exact_numerator - whole_part * exact_denominator) > exact_denominator
            OR (2 * (exact_numerator - whole_part * exact_denominator) = exact_denominator AND mod(whole_part, 2) = 1)
            THEN 1
        ELSE 0
    END, 0) END AS bigint) AS mrr
    FROM exact CROSS JOIN LATERAL (SELECT div(exact_numerator, exact_denominator) AS whole_part) AS floored
), observed AS (
    SELECT DISTINCT ON (subscription_id, item_id) *
    FROM built_rows WHERE is_before AND left_out_by IS NULL AND provenance = 'reconstructed'
    ORDER BY subscription_id, item_id, valid_from DESC, occurrence
)
SELECT
    line.subscription_id, line.item_id, CAST(0 AS bigint) AS occurrence, line.period_start AS valid_from, line.valid_to,
    line.customer_id, line.currency, CAST(NULL AS text) AS status, line.price_id, line.product_id, line.quantity,
    line.recurring_interval, CAST(line.recurring_interval_count AS bigint) AS recurring_interval_count,
    CASE WHEN same.mrr IS NULL THEN trim_scale(coalesce(line.whole, line.amount)) ELSE same.gross END AS gross,
    CASE WHEN same.mrr IS NULL THEN
        trim_scale(round(coalesce(off_counted, 0) * coalesce(line.whole, amount) / amount, 12))
        ELSE same.discounted END AS discounted,
    CASE WHEN same.mrr IS NULL THEN trim_scale(round(
        (amount - coalesce(off_counted, 0)) * coalesce(line.whole, amount) / amount
        * (untaxed_denominator - untaxed_numerator) / untaxed_denominator, 12))
        ELSE same.taxed END AS taxed,
    coalesce(same.mrr, line.mrr) AS mrr,
    CAST(NULL AS text) AS left_out_by, CAST(NULL AS timestamptz) AS ends_at,
    CASE WHEN same.mrr IS NULL THEN line.steps ELSE same.steps END AS steps, 'reconstructed' AS provenance,
    CASE WHEN same.mrr IS NULL THEN line.is_estimated ELSE same.is_estimated END AS is_estimated
FROM rounded AS line
-- Bills are rounded line by line: where nothing but that differs from the first state, it does not count.
LEFT JOIN observed AS same
    ON same.subscription_id = line.subscription_id AND same.item_id = line.item_id AND same.price_id = line.price_id
    AND same.quantity = line.quantity AND same.currency = line.currency AND abs(same.mrr - line.mrr) <= 1
WHERE line.period_start < line.valid_to AND line.mrr IS NOT NULL
