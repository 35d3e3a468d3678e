-- Subscriptions of every status, canceled ones included.
-- Grain: one row per subscription that the provider has.
-- Key: workspace_id, provider, id.
-- Rules: one mode only; nothing that is gone at the provider.
SELECT
    workspace_id,
    provider,
    id,
    created,
    customer_id,
    status,
    currency,
    collection_method,
    start_date,
    ended_at,
    cancel_at,
    cancel_at_period_end,
    canceled_at,
    cancellation_reason,
    cancellation_feedback,
    cancellation_comment,
    trial_start,
    trial_end,
    billing_cycle_anchor,
    days_until_due,
    latest_invoice_id,
    default_payment_method_id,
    schedule_id,
    pause_collection_behavior,
    pause_collection_resumes_at,
    description,
    test_clock_id,
    metadata,
    synced_at,
    provider_status
FROM payments.subscriptions
WHERE livemode = :livemode AND deleted_at IS NULL
