-- MRR, month by month: what it opened with, what came and went, what it closed with, and the usual ratios of these.
-- Grain: one row per provider, currency and month (UTC), from the first with MRR to the present one.
-- Key: workspace_id, provider, currency, month.
-- Rules: one mode only; movements are those of mrr_movements_monthly, the net of each customer's month; what is lost is negative, so that opening, new, reactivation, expansion, contraction and churned add up to closing; every ratio's window is the calendar month, the present one's so far; amounts that are divided are rounded to the currency's smallest unit, ratios to six decimals, and NULL where they would divide by nothing.
-- Columns:
-- workspace_id, provider, currency, month
-- opening_mrr numeric: MRR when the month began
-- new_mrr numeric: Of customers who never had MRR before
-- reactivation_mrr numeric: Of customers who had MRR before, and none when the month began
-- expansion_mrr numeric: What customers pay more than when the month began
-- contraction_mrr numeric: What customers pay less, as a negative amount; of those who pause, or whose discount takes all, the whole
-- churned_mrr numeric: What customers paid who left, as a negative amount
-- net_new_mrr numeric: closing_mrr - opening_mrr
-- closing_mrr numeric: MRR when the month ended: the sum over subscription_mrr at that moment; of the present month, by now
-- arr numeric: 12 times closing_mrr
-- at_risk_mrr numeric: The part of closing_mrr whose subscriptions were past due
-- reconstructed_mrr numeric: The part of closing_mrr that is not observed but reconstructed from invoice lines
-- estimated_mrr numeric: The part of closing_mrr of which something, as its tax, had to be estimated
-- active_subscriptions bigint: Subscriptions with MRR when the month ended
-- active_customers bigint: Customers with MRR when the month ended
-- opening_customers bigint: Customers with MRR when the month began
-- new_customers bigint: Customers who had MRR for the first time
-- reactivated_customers bigint: Customers who had MRR again
-- churned_customers bigint: Customers who left; not those who pause, or whose discount takes all
-- growth_rate numeric: net_new_mrr / opening_mrr
-- subscriber_churn_rate numeric: churned_customers / (opening_customers + new_customers), of one month
-- revenue_churn_rate numeric: What contraction and churn took / opening_mrr
-- net_revenue_retention numeric: (opening + expansion - contraction - churned) / opening, of one month
-- gross_revenue_retention numeric: (opening - contraction - churned) / opening, of one month
-- arpu numeric: closing_mrr / active_customers
-- ltv numeric: arpu / subscriber_churn_rate; NULL where nobody left
-- quick_ratio numeric: (new + expansion) / (contraction + churned), as Baremetrics has it: without reactivation
-- figures_built_at timestamptz: When these figures were last brought in step with the tables
SELECT
    workspace_id,
    provider,
    currency,
    month,
    closing - net AS opening_mrr,
    new AS new_mrr,
    reactivation AS reactivation_mrr,
    expansion AS expansion_mrr,
    contraction AS contraction_mrr,
    churn AS churned_mrr,
    net AS net_new_mrr,
    closing AS closing_mrr,
    12 * closing AS arr,
    at_risk * unit AS at_risk_mrr,
    reconstructed * unit AS reconstructed_mrr,
    estimated * unit AS estimated_mrr,
    subscriptions AS active_subscriptions,
    customers AS active_customers,
    customers - gained_customers AS opening_customers,
    new_customers,
    reactivated_customers,
    churned_customers,
    round(net / nullif(closing - net, 0), 6) AS growth_rate,
    round(churned_customers / nullif(CAST(customers - gained_customers + new_customers AS numeric), 0), 6) AS subscriber_churn_rate,
    round(-(contraction + churn) / nullif(closing - net, 0), 6) AS revenue_churn_rate,
    round((closing - net + expansion + contraction + churn) / nullif(closing - net, 0), 6) AS net_revenue_retention,
    round((closing - net + contraction + churn) / nullif(closing - net, 0), 6) AS gross_revenue_retention,
    round(closing / nullif(customers, 0) / unit) * unit AS arpu,
    round(
        closing * (customers - gained_customers + new_customers) / nullif(CAST(customers AS numeric) * churned_customers, 0)
        / unit
    ) * unit AS ltv,
    round((new + expansion) / nullif(-(contraction + churn), 0), 6) AS quick_ratio,
    figures_built_at
FROM (
    SELECT
        workspace_id,
        provider,
        currency,
        month,
        analytics.unit(provider, currency) AS unit,
        coalesce(new, 0) AS new,
        coalesce(reactivation, 0) AS reactivation,
        coalesce(expansion, 0) AS expansion,
        coalesce(contraction, 0) AS contraction,
        coalesce(churn, 0) AS churn,
        coalesce(net, 0) AS net,
        coalesce(new_customers, 0) AS new_customers,
        coalesce(reactivated_customers, 0) AS reactivated_customers,
        coalesce(churned_customers, 0) AS churned_customers,
        coalesce(gained_customers, 0) AS gained_customers,
        sum(coalesce(net, 0)) OVER months AS closing,
        CAST(sum(coalesce(gained_customers, 0)) OVER months AS bigint) AS customers,
        CAST(sum(coalesce(gained_subscriptions, 0)) OVER months AS bigint) AS subscriptions,
        sum(coalesce(at_risk, 0)) OVER months AS at_risk,
        sum(coalesce(reconstructed, 0)) OVER months AS reconstructed,
        sum(coalesce(estimated, 0)) OVER months AS estimated,
        built.built_at AS figures_built_at
    FROM (
        SELECT workspace_id, provider, currency, CAST(month AS date) AS month
        FROM (
            SELECT workspace_id, provider, currency, min(day) AS first_day
            FROM figures.mrr_movements
            WHERE livemode = :livemode
            GROUP BY workspace_id, provider, currency
        ) AS begun
        CROSS JOIN LATERAL generate_series(
            date_trunc('month', CAST(first_day AS timestamp)),
            date_trunc('month', now() AT TIME ZONE 'UTC'),
            interval '1 month'
        ) AS month
    ) AS spine
    LEFT JOIN (
        SELECT
            workspace_id,
            provider,
            currency,
            month,
            sum(change_mrr) FILTER (WHERE movement = 'new') AS new,
            sum(change_mrr) FILTER (WHERE movement = 'reactivation') AS reactivation,
            sum(change_mrr) FILTER (WHERE movement = 'expansion') AS expansion,
            sum(change_mrr) FILTER (WHERE movement = 'contraction') AS contraction,
            sum(change_mrr) FILTER (WHERE movement = 'churn') AS churn,
            sum(change_mrr) AS net,
            count(*) FILTER (WHERE movement = 'new') AS new_customers,
            count(*) FILTER (WHERE movement = 'reactivation') AS reactivated_customers,
            count(*) FILTER (WHERE movement = 'churn') AS churned_customers,
            count(*) FILTER (WHERE opening_mrr = 0) - count(*) FILTER (WHERE closing_mrr = 0) AS gained_customers
        FROM :schema.mrr_movements_monthly
        GROUP BY workspace_id, provider, currency, month
    ) AS moved USING (workspace_id, provider, currency, month)
    LEFT JOIN (
        -- A subscription counts once, however many of its items do: +1 where one begins to, -1 where the last has ended.
        SELECT workspace_id, provider, currency, month, sum(gained) AS gained_subscriptions
        FROM (
            SELECT
                workspace_id,
                provider,
                currency,
                unnest(range_agg(tstzrange(valid_from, CASE WHEN valid_to <= now() THEN valid_to END))) AS during
            FROM figures.subscription_mrr
            WHERE livemode = :livemode AND mrr > 0 AND valid_from <= now()
            GROUP BY workspace_id, provider, currency, subscription_id
        ) AS counted
        CROSS JOIN LATERAL (VALUES (lower(during), 1), (upper(during), -1)) AS change (at, gained)
        CROSS JOIN LATERAL (SELECT CAST(date_trunc('month', at AT TIME ZONE 'UTC') AS date) AS month) AS of_change
        WHERE at IS NOT NULL
        GROUP BY workspace_id, provider, currency, month
    ) AS subscribed USING (workspace_id, provider, currency, month)
    LEFT JOIN (
        SELECT
            workspace_id,
            provider,
            currency,
            month,
            sum(sign * mrr) FILTER (WHERE status = 'past_due') AS at_risk,
            sum(sign * mrr) FILTER (WHERE provenance = 'reconstructed') AS reconstructed,
            sum(sign * mrr) FILTER (WHERE is_estimated) AS estimated
        FROM figures.subscription_mrr
        CROSS JOIN LATERAL (VALUES (valid_from, 1), (valid_to, -1)) AS change (at, sign)
        CROSS JOIN LATERAL (SELECT CAST(date_trunc('month', at AT TIME ZONE 'UTC') AS date) AS month) AS of_change
        WHERE livemode = :livemode AND mrr > 0 AND at <= now()
            AND (status = 'past_due' OR provenance = 'reconstructed' OR is_estimated)
        GROUP BY workspace_id, provider, currency, month
    ) AS marked USING (workspace_id, provider, currency, month)
    LEFT JOIN (
        SELECT workspace_id, provider, built_at FROM figures.figure_builds WHERE livemode = :livemode
    ) AS built USING (workspace_id, provider)
    WINDOW months AS (PARTITION BY workspace_id, provider, currency ORDER BY month)
) AS summed
