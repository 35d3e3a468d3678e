-- What each subscription item brings, or brought, in a month.
-- Grain: one row per item and time without a change.
-- Key: workspace_id, provider, subscription_id, item_id, occurrence, valid_from.
-- Rules: one mode only; of each moment, the row with valid_from <= moment and (valid_to IS NULL or moment < valid_to); the rules of the workspace decide what counts, and left_out_by names the one by which a row does not.
-- Columns:
-- workspace_id, provider, subscription_id
-- item_id text: Id of the subscription item
-- occurrence bigint: 0; 1, 2, ... for further items of one subscription that the provider gave the same id
-- valid_from timestamptz: From when the item brought this much
-- valid_to timestamptz: Until when, exclusive; NULL while it does
-- is_present boolean: Whether it does at this moment
-- customer_id, currency
-- status text: The subscription's status; NULL before the first sync
-- price_id, product_id
-- quantity numeric: How many units
-- recurring_interval text: day, week, month or year
-- recurring_interval_count bigint: Number of intervals between two bills
-- gross numeric: What a bill has for the item before discounts, in whole units of `currency`, with all its decimals
-- discounted numeric: What discounts that count take off a bill, in whole units of `currency`, with all its decimals
-- taxed numeric: Tax that is contained in what is left, in whole units of `currency`, with all its decimals
-- mrr numeric: Monthly recurring revenue, in whole units of `currency`
-- at_risk_mrr numeric: The part of `mrr` whose subscription is past due: all of it, or 0
-- left_out_by text: The rule by which it counts nothing, as in trialing; NULL where it counts, be it with 0
-- ends_at timestamptz: When it is known to end; NULL where nothing is
-- provenance text: observed, or reconstructed from invoice lines
-- is_estimated boolean: Whether a part of it, as its tax, had to be estimated
SELECT
    workspace_id,
    provider,
    subscription_id,
    item_id,
    occurrence,
    valid_from,
    valid_to,
    valid_from <= now() AND (valid_to IS NULL OR valid_to > now()) AS is_present,
    customer_id,
    currency,
    status,
    price_id,
    product_id,
    quantity,
    recurring_interval,
    recurring_interval_count,
    gross * analytics.unit(provider, currency) AS gross,
    discounted * analytics.unit(provider, currency) AS discounted,
    taxed * analytics.unit(provider, currency) AS taxed,
    mrr * analytics.unit(provider, currency) AS mrr,
    CASE status WHEN 'past_due' THEN mrr ELSE 0 END * analytics.unit(provider, currency) AS at_risk_mrr,
    left_out_by,
    ends_at,
    provenance,
    is_estimated
FROM figures.subscription_mrr
WHERE livemode = :livemode
