-- How complete each source's data is: as of when, what is missing, and what the last verification left.
-- Grain: one row per entity of each source that is connected, or once was and began to be listed.
-- Key: workspace_id, provider, entity.
-- Rules: one mode only; an entity that was never listed to its end is not available, whatever its rows add up to.
-- Columns:
-- workspace_id, provider
-- entity text: customers, products, prices, subscriptions or invoices; child tables belong to theirs
-- state text: complete; incomplete: something is missing, or differed when it was last verified; disconnected: it is
--   no longer synced, and holds what was there at `as_of`; never_synced: it was never listed to its end, and no
--   figure can be had of it
-- is_available boolean: Whether it was ever listed to its end, so that figures can be had of it
-- as_of timestamptz: Everything that changed at the provider before this moment is there; NULL if never synced
-- last_synced_at timestamptz: When a sync last wrote where it stands; one that finds nothing new need not
-- fully_listed_at timestamptz: When the whole entity was last listed to its end; NULL if it never was
-- missing_objects bigint: How many objects are known to be missing from the tables
-- is_absence_unproven boolean: Whether rows may be there whose objects are gone
-- verified_at timestamptz: When it was last compared with the provider row by row (cyphera verify); NULL if it never was
-- open_differences bigint: How many rows differed then and were not mended; NULL if it was never verified
-- figures_built_at timestamptz: When the source's figures were last brought in step; NULL if they never were
-- revenue_built_at timestamptz: When what is kept of the source's revenue was last brought in step; NULL if it never was
-- figures_preset text: The rules that are set for figures: the name of a set, as in cyphera
-- note text: What there is to know, and to do, in a sentence; NULL where there is nothing
WITH sources AS (
    SELECT workspace_id, provider_name
    FROM sync.workspace_payment_configurations
    WHERE is_active AND deleted_at IS NULL AND is_test_mode <> :livemode
),
listed AS (
    SELECT workspace_id, provider_name, entity_type
    FROM (
        SELECT workspace_id, provider_name FROM sources
        UNION
        SELECT workspace_id, provider_name FROM sync.sync_cursors WHERE livemode = :livemode
    ) AS connected_ever
    CROSS JOIN unnest(ARRAY['customers', 'products', 'prices', 'subscriptions', 'invoices']) AS entity_type
),
missing AS (
    SELECT workspace_id, provider_name, entity_type, sum(objects) AS objects,
        bool_or(kind = 'absence_unproven') AS is_absence_unproven
    FROM sync.missing_objects
    WHERE livemode = :livemode
    GROUP BY workspace_id, provider_name, entity_type
),
told AS (
    SELECT
        listed.workspace_id,
        listed.provider_name,
        listed.entity_type,
        workspaces.slug,
        sources.workspace_id IS NOT NULL AS is_connected,
        cursors.full_listing_at,
        cursors.updated_at,
        -- A check that finds nothing new moves no position: it says so of the whole source.
        CASE WHEN cursors.full_listing_at IS NOT NULL THEN coalesce(
            greatest(cursors.watermark, CASE WHEN sources.workspace_id IS NOT NULL THEN schedules.fresh_at END),
            cursors.full_listing_at
        ) END AS as_of,
        coalesce(missing.objects, 0) AS missing_objects,
        coalesce(missing.is_absence_unproven, false) AS is_absence_unproven,
        verifications.verified_at,
        verifications.open_differences,
        builds.built_at,
        revenue.built_at AS revenue_built_at,
        coalesce(rules.preset, 'cyphera') AS preset
    FROM listed
    LEFT JOIN sync.workspaces ON workspaces.id = listed.workspace_id
    LEFT JOIN sources USING (workspace_id, provider_name)
    LEFT JOIN sync.sync_cursors AS cursors ON cursors.workspace_id = listed.workspace_id
        AND cursors.provider_name = listed.provider_name AND cursors.livemode = :livemode
        AND cursors.entity_type = listed.entity_type
    LEFT JOIN sync.source_schedules AS schedules ON schedules.workspace_id = listed.workspace_id
        AND schedules.provider_name = listed.provider_name
    LEFT JOIN missing ON missing.workspace_id = listed.workspace_id
        AND missing.provider_name = listed.provider_name AND missing.entity_type = listed.entity_type
    LEFT JOIN sync.verifications ON verifications.workspace_id = listed.workspace_id
        AND verifications.provider_name = listed.provider_name AND verifications.livemode = :livemode
        AND verifications.entity_type = listed.entity_type
    LEFT JOIN figures.figure_builds AS builds ON builds.workspace_id = listed.workspace_id
        AND builds.provider = listed.provider_name AND builds.livemode = :livemode
    LEFT JOIN figures.revenue_builds AS revenue ON revenue.workspace_id = listed.workspace_id
        AND revenue.provider = listed.provider_name AND revenue.livemode = :livemode
    LEFT JOIN figures.figure_rules AS rules ON rules.workspace_id = listed.workspace_id
)
SELECT
    workspace_id,
    provider_name AS provider,
    entity_type AS entity,
    CASE
        WHEN full_listing_at IS NULL THEN 'never_synced'
        WHEN NOT is_connected THEN 'disconnected'
        WHEN missing_objects > 0 OR is_absence_unproven OR open_differences > 0 THEN 'incomplete'
        ELSE 'complete'
    END AS state,
    full_listing_at IS NOT NULL AS is_available,
    as_of,
    updated_at AS last_synced_at,
    full_listing_at AS fully_listed_at,
    missing_objects,
    is_absence_unproven,
    verified_at,
    open_differences,
    built_at AS figures_built_at,
    revenue_built_at,
    preset AS figures_preset,
    CASE
        WHEN full_listing_at IS NULL THEN format(
            'Not available: %s of %s were never listed to their end. Sync them: cyphera sync %s %s',
            entity_type, provider_name, slug, provider_name
        )
        WHEN NOT is_connected THEN format(
            '%s is not connected any more: nothing newer than %s comes.',
            provider_name, to_char(as_of AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI "UTC"')
        )
        WHEN missing_objects > 0 THEN format(
            'Known to be missing: %s of %s. See which and why: cyphera verify %s %s',
            missing_objects, entity_type, slug, provider_name
        )
        WHEN is_absence_unproven THEN format(
            'Some %s may be there that the provider has no more. Mend them: cyphera verify %s %s --repair',
            entity_type, slug, provider_name
        )
        WHEN open_differences > 0 THEN format(
            '%s rows of %s differed when last verified. Mend them: cyphera verify %s %s --repair',
            open_differences, entity_type, slug, provider_name
        )
    END AS note
FROM told
