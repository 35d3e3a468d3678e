"""What subscriptions are at this moment becomes the first state of their history.

In a migration of its own, after the one of the triggers is over: that holds the tables for a moment, and this, which
goes on for as long as there are subscriptions (a minute for a million), holds nobody up. What is written meanwhile is
recorded by the triggers.
"""

from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

AT_ONCE = 5_000


def upgrade() -> None:
    op.execute(
        f"""
        DO $$
        DECLARE
            last record;
            piece record;
        BEGIN
            SELECT NULL::uuid AS workspace_id, NULL::text AS provider, NULL::boolean AS livemode, NULL::text AS id
                INTO last;
            LOOP
                SELECT array_agg(workspace_id) AS workspace_ids, array_agg(provider) AS providers,
                    array_agg(livemode) AS livemodes, array_agg(id) AS ids
                INTO piece FROM (
                    SELECT workspace_id, provider, livemode, id FROM payments.subscriptions
                    WHERE last.id IS NULL
                        OR (workspace_id, provider, livemode, id)
                            > (last.workspace_id, last.provider, last.livemode, last.id)
                    ORDER BY workspace_id, provider, livemode, id LIMIT {AT_ONCE}
                ) AS next;
                EXIT WHEN piece.ids IS NULL;
                PERFORM payments.record_subscriptions(
                    piece.workspace_ids, piece.providers, piece.livemodes, piece.ids, 'found'
                );
                SELECT piece.workspace_ids[cardinality(piece.ids)] AS workspace_id,
                    piece.providers[cardinality(piece.ids)] AS provider,
                    piece.livemodes[cardinality(piece.ids)] AS livemode,
                    piece.ids[cardinality(piece.ids)] AS id
                INTO last;
            END LOOP;
        END $$
        """
    )
