-- The rows as they are kept: adjoining ones that say the same are one, and the last has no end that is still to come.
-- Where invoice lines tell of the time before the first state, that state does not reach back.
CREATE TEMPORARY TABLE built_result ON COMMIT DROP AS
WITH counted AS (
    SELECT * FROM (
        SELECT {columns} FROM built_rows AS item
        WHERE NOT (is_before AND provenance = 'reconstructed') OR NOT EXISTS (
            SELECT FROM built_lines AS line WHERE line.subscription_id = item.subscription_id
        )
        UNION ALL
        SELECT {columns} FROM built_lines
    ) AS either
    WHERE valid_from <= :as_of
), hashed AS (
    SELECT *, hash_record_extended(ROW({contents}), 0) AS contents FROM counted
    ORDER BY subscription_id, item_id, occurrence, valid_from
), compared AS (
    SELECT *,
        contents IS DISTINCT FROM lag(contents) OVER item
            OR lag(valid_to) OVER item IS DISTINCT FROM valid_from AS is_first
    FROM hashed WINDOW item AS (PARTITION BY subscription_id, item_id, occurrence ORDER BY valid_from)
), bounded AS (
    SELECT *, coalesce(lead(is_first) OVER item, true) AS is_last
    FROM compared WINDOW item AS (PARTITION BY subscription_id, item_id, occurrence ORDER BY valid_from)
), joined AS (
    SELECT *, CASE WHEN is_last THEN valid_to ELSE lead(valid_to) OVER item END AS ends
    FROM bounded WHERE is_first OR is_last
    WINDOW item AS (PARTITION BY subscription_id, item_id, occurrence ORDER BY valid_from)
)
SELECT {columns_but_end}, CASE WHEN ends <= :as_of THEN ends END AS valid_to FROM joined WHERE is_first
