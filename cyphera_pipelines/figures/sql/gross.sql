-- What a bill has for `priced`: unit_amount, billing_scheme, tiers_mode, tiers, quantity, divided_by, rounded. Tiers may be
-- as the provider sent them: where one cannot be read, the amount is not known. Nor is one larger than any bill, of which
-- sums would not fit into their columns.
SELECT
    CASE WHEN abs(counted.amount) < 1e15 THEN counted.amount END AS amount,
    CASE WHEN tiered.amount IS NOT NULL OR priced.divided_by IS NOT NULL THEN
        jsonb_build_object(
            'price', jsonb_strip_nulls(jsonb_build_object(
                'unit_amount', CAST(trim_scale(priced.unit_amount) AS text),
                'billing_scheme', priced.billing_scheme,
                'tiers_mode', priced.tiers_mode,
                'divided_by', priced.divided_by,
                'rounded', priced.rounded,
                'units', CAST(trim_scale(billable.units) AS text)
            ))
        ) || CASE WHEN tiered.amount IS NOT NULL THEN jsonb_build_object('tiers', tiered.steps) ELSE '{}' END
    END AS steps
FROM (
    SELECT CASE
        WHEN priced.divided_by IS NULL THEN priced.quantity
        WHEN priced.rounded = 'down' THEN div(priced.quantity, priced.divided_by)
        ELSE div(priced.quantity, priced.divided_by)
            + CASE WHEN mod(priced.quantity, priced.divided_by) > 0 THEN 1 ELSE 0 END
    END AS units
) AS billable
LEFT JOIN LATERAL (
    SELECT
        sum(within * coalesce(unit_amount, 0) + coalesce(flat_amount, 0)) AS amount,
        jsonb_agg(
            jsonb_build_object(
                'from', CAST(trim_scale(after + 1) AS text),
                'up_to', CAST(trim_scale(up_to) AS text),
                'quantity', CAST(trim_scale(within) AS text),
                'unit_amount', CAST(trim_scale(coalesce(unit_amount, 0)) AS text),
                'flat_amount', CAST(trim_scale(coalesce(flat_amount, 0)) AS text),
                'amount', CAST(trim_scale(within * coalesce(unit_amount, 0) + coalesce(flat_amount, 0)) AS text)
            ) ORDER BY after
        ) AS steps,
        bool_or(is_odd) AS is_odd
    FROM (
        SELECT *,
            CASE priced.tiers_mode
                WHEN 'volume' THEN billable.units
                ELSE least(billable.units, coalesce(up_to, billable.units)) - after
            END AS within
        FROM (
            SELECT
                up_to, coalesce(lag(up_to) OVER (ORDER BY number), 0) AS after, unit_amount, flat_amount,
                bool_or(is_odd) OVER () AS is_odd
            FROM (
                SELECT
                    number,
                    CASE WHEN told.up_to ~ form THEN CAST(told.up_to AS numeric) END AS up_to,
                    CASE WHEN told.unit_amount ~ form THEN CAST(told.unit_amount AS numeric) END AS unit_amount,
                    CASE WHEN told.flat_amount ~ form THEN CAST(told.flat_amount AS numeric) END AS flat_amount,
                    jsonb_typeof(tier) <> 'object'
                        OR (told.up_to ~ form AND told.unit_amount ~ form AND told.flat_amount ~ form) IS FALSE AS is_odd
                FROM jsonb_array_elements(priced.tiers) WITH ORDINALITY AS listed (tier, number)
                CROSS JOIN LATERAL (
                    SELECT
                        '^-?[0-9]{1,19}([.][0-9]+)?$' AS form,
                        tier ->> 'up_to' AS up_to,
                        coalesce(tier ->> 'unit_amount_decimal', tier ->> 'unit_amount') AS unit_amount,
                        coalesce(tier ->> 'flat_amount_decimal', tier ->> 'flat_amount') AS flat_amount
                ) AS told
            ) AS read
        ) AS bounded
        -- The first tier is entered even with nothing; of volume, the quantity is in one tier only.
        WHERE (after < billable.units OR after = 0)
        AND (priced.tiers_mode IS DISTINCT FROM 'volume' OR billable.units <= coalesce(up_to, billable.units))
    ) AS entered
) AS tiered ON priced.billing_scheme = 'tiered' AND priced.tiers IS NOT NULL
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN tiered.is_odd THEN NULL
        WHEN tiered.amount IS NOT NULL THEN tiered.amount
        ELSE priced.unit_amount * billable.units
    END AS amount
) AS counted
