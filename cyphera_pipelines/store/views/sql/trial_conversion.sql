-- How many trials became subscriptions that count.
-- Grain: one row per provider, currency and month (UTC) in which trials ended.
-- Key: workspace_id, provider, currency, month.
-- Rules: one mode only; a trial ends with its last day or with its subscription, whichever is first; it is converted when the subscription counted at any time after, by the workspace's rules for MRR, be it with 0; of a subscription that had several trials, the last; no rows until figures were built.
-- Columns:
-- workspace_id, provider, currency, month
-- trials_ended bigint: Trials that ended in the month
-- trials_converted bigint: Those of them that were converted, be it later
-- conversion_rate numeric: trials_converted / trials_ended, to six decimals
SELECT
    workspace_id,
    provider,
    currency,
    CAST(date_trunc('month', ended_at AT TIME ZONE 'UTC') AS date) AS month,
    count(*) AS trials_ended,
    count(*) FILTER (WHERE is_converted) AS trials_converted,
    round(CAST(count(*) FILTER (WHERE is_converted) AS numeric) / count(*), 6) AS conversion_rate
FROM (
    SELECT
        trial.workspace_id,
        trial.provider,
        trial.currency,
        least(trial.trial_end, trial.ended_at) AS ended_at,
        EXISTS (
            SELECT FROM figures.subscription_mrr AS counted
            WHERE counted.workspace_id = trial.workspace_id AND counted.provider = trial.provider
                AND counted.livemode = trial.livemode AND counted.subscription_id = trial.id
                AND counted.left_out_by IS NULL
                AND coalesce(counted.valid_to, 'infinity') > trial.trial_end
                AND counted.valid_from <= now()
        ) AS is_converted
    FROM payments.subscriptions AS trial
    JOIN figures.figure_builds AS built
        ON built.workspace_id = trial.workspace_id AND built.provider = trial.provider AND built.livemode = trial.livemode
    WHERE trial.livemode = :livemode AND trial.deleted_at IS NULL AND trial.trial_end IS NOT NULL
        AND least(trial.trial_end, trial.ended_at) <= now()
) AS trials
GROUP BY workspace_id, provider, currency, date_trunc('month', ended_at AT TIME ZONE 'UTC')
