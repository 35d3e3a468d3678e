-- What subscriptions were: every state that a sync or a webhook brought, from the first sync on.
-- Grain: one row per state of each subscription, those that are gone or ended included.
-- Key: workspace_id, provider, subscription_id, held_at.
-- Rules: one mode only; the newest state is what analytics.subscriptions tells; items, discounts and tax_rates are JSON as
-- in payments.subscription_history: amounts in minor units as text, times in seconds since 1970.
-- Columns:
-- workspace_id, provider, subscription_id
-- held_at timestamptz: The provider held this state from this moment, or from a little before
-- held_until timestamptz: Until when, exclusive: the next state's held_at; NULL for the newest
-- customer_id
-- status text: As in analytics.subscriptions
-- currency text: Lower-case ISO code of the subscription's currency
-- created timestamptz: When the subscription was created
-- start_date timestamptz: When the subscription began, possibly before it was created here
-- trial_start timestamptz: When the trial began
-- trial_end timestamptz: When the trial ends
-- canceled_at timestamptz: When cancellation was asked for
-- cancel_at timestamptz: When the subscription will be canceled
-- cancel_at_period_end boolean: Whether the subscription ends with the current period
-- ended_at timestamptz: When the subscription ended
-- pause_collection_behavior text: What happens to invoices while collection is paused; NULL if it is not
-- pause_collection_resumes_at timestamptz: When collection resumes
-- is_gone boolean: Whether it was gone at the provider by then
-- items jsonb: Its items with what they cost, and each one's price as it was then
-- discounts jsonb: The discounts on it and its items, in their order
-- tax_rates jsonb: The tax rates of it and its items, in their order
-- recorded_at timestamptz: When the state was written down
SELECT
    workspace_id,
    provider,
    subscription_id,
    held_at,
    lead(held_at) OVER (
        PARTITION BY workspace_id, provider, subscription_id ORDER BY held_at
    ) AS held_until,
    customer_id,
    status,
    currency,
    created,
    start_date,
    trial_start,
    trial_end,
    canceled_at,
    cancel_at,
    cancel_at_period_end,
    ended_at,
    pause_collection_behavior,
    pause_collection_resumes_at,
    is_gone,
    items,
    discounts,
    tax_rates,
    recorded_at
FROM payments.subscription_history
WHERE livemode = :livemode
