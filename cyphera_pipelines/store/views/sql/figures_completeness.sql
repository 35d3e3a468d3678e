-- How much of the present monthly recurring revenue is estimated or reconstructed, and by which rules it was counted.
-- Grain: one row per source and currency that has any at present.
-- Key: workspace_id, provider, currency.
-- Rules: one mode only; amounts in whole units of currency, NULL where that is none; nothing summed across currencies.
-- Columns:
-- workspace_id, provider, currency
-- mrr numeric: Monthly recurring revenue at present, in whole units of `currency`
-- estimated_mrr numeric: The part of it of items of which something, as their tax, had to be estimated
-- reconstructed_mrr numeric: The part of it that no sync has observed: it follows from invoice lines
-- estimated_share numeric: estimated_mrr in proportion to mrr, from 0 to 1
-- reconstructed_share numeric: reconstructed_mrr in proportion to mrr, from 0 to 1
-- figures_built_at timestamptz: When the source's figures were last brought in step
-- figures_preset text: The rules that are set for figures: the name of a set, as in cyphera
WITH present AS (
    SELECT
        workspace_id,
        provider,
        currency,
        sum(mrr) AS mrr,
        coalesce(sum(mrr) FILTER (WHERE is_estimated), 0) AS estimated,
        coalesce(sum(mrr) FILTER (WHERE provenance = 'reconstructed'), 0) AS reconstructed
    FROM figures.subscription_mrr
    WHERE livemode = :livemode AND mrr > 0 AND valid_from <= now() AND (valid_to IS NULL OR valid_to > now())
    GROUP BY workspace_id, provider, currency
)
SELECT
    present.workspace_id,
    present.provider,
    present.currency,
    mrr * analytics.unit(present.provider, present.currency) AS mrr,
    estimated * analytics.unit(present.provider, present.currency) AS estimated_mrr,
    reconstructed * analytics.unit(present.provider, present.currency) AS reconstructed_mrr,
    round(estimated / mrr, 6) AS estimated_share,
    round(reconstructed / mrr, 6) AS reconstructed_share,
    builds.built_at AS figures_built_at,
    coalesce(rules.preset, 'cyphera') AS figures_preset
FROM present
LEFT JOIN figures.figure_builds AS builds ON builds.workspace_id = present.workspace_id
    AND builds.provider = present.provider AND builds.livemode = :livemode
LEFT JOIN figures.figure_rules AS rules ON rules.workspace_id = present.workspace_id
