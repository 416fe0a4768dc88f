-- Facts of the stream. Rules that hold for every table here:
--   * The projector alone writes. One insert has one deduplication token and forms one block, so no table is partitioned
--     by anything that an insert could span, and every table behind a view has a deduplication window of its own.
--   * '' in a text column means that the source did not say.
--   * Money is in minor units of the programme's currency. Days are days of the programme's time zone.

-- Sort key: a client's history is read for one client at a time, so client_id leads; client and key together are the
-- identity, so a row that slipped in twice merges away. Reports by day read daily_sales, not this table.
CREATE TABLE IF NOT EXISTS transactions
(
    client_id String COMMENT 'External id of the client',
    transaction_key UInt64 COMMENT '64-bit hash of transaction_id; with client_id the identity of the transaction',
    transaction_id String COMMENT 'Id of the transaction',
    kind Enum8('sale' = 1, 'refund' = 2, 'void' = 3),
    occurred_at DateTime64(3, 'UTC') COMMENT 'Business time',
    day Date32 COMMENT 'Business day',
    partition UInt16 COMMENT 'Partition of the transactions topic',
    log_offset UInt64 COMMENT 'Offset in it',
    amount_minor Int64 COMMENT 'Magnitude, never negative; 0 for void',
    source LowCardinality(String) COMMENT 'pos:<system> or upload:<id>',
    batch_id LowCardinality(String) COMMENT 'Upload batch',
    store_id LowCardinality(String),
    terminal_id LowCardinality(String),
    receipt_number String,
    original_transaction_id String COMMENT 'What a refund or void refers to',
    payment_method LowCardinality(String),
    items_count Int32,
    categories Array(LowCardinality(String)),
    discount_minor Int64,
    bonus_earned_minor Int64,
    bonus_spent_minor Int64,
    purchase_number Nullable(Int32) COMMENT 'Which purchase of the client, as known on arrival; for display',
    days_since_previous Nullable(Int32) COMMENT 'Days since the purchase before, as known on arrival; for display',
    segment_before LowCardinality(String) COMMENT 'Segment before it; for display'
)
ENGINE = ReplacingMergeTree
ORDER BY (client_id, transaction_key)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'Grain: one accepted transaction (sale, refund or void). Read with FINAL.';

-- An effect says by how much count, gross and net of one transaction changed when something arrived: the transaction
-- itself, or later a refund, a void, or the original it waited for. Their sums do not depend on the order of arrival.
-- Sort key: client first, as above; the arrival's offset makes the identity of an effect.
CREATE TABLE IF NOT EXISTS transaction_effects
(
    client_id String,
    transaction_key UInt64 COMMENT 'Transaction whose effect changed',
    log_offset UInt64 COMMENT 'Offset of the arrival that changed it',
    day Date32 COMMENT 'Business day of the transaction whose effect changed',
    store_id LowCardinality(String) COMMENT 'Its store',
    sales_change Int32 COMMENT 'Change of the number of counted sales',
    gross_change_minor Int64 COMMENT 'Change of gross',
    net_change_minor Int64 COMMENT 'Change of net'
)
ENGINE = ReplacingMergeTree
ORDER BY (client_id, transaction_key, log_offset)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'Grain: one change of one transaction by one arrival. Read with FINAL.';

-- Sort key: reports ask for ranges of days, then perhaps one store.
CREATE TABLE IF NOT EXISTS daily_sales
(
    day Date32,
    store_id LowCardinality(String),
    sales SimpleAggregateFunction(sum, Int64) COMMENT 'Counted sales: not voided, not fully refunded',
    gross_minor SimpleAggregateFunction(sum, Int64) COMMENT 'Sales not voided',
    net_minor SimpleAggregateFunction(sum, Int64) COMMENT 'Gross of the day less refunds of the day',
    clients AggregateFunction(uniqIf, String, UInt8) COMMENT 'Distinct clients with a sale; uniqIfMerge, exact up to some 65,000, never retracted'
)
ENGINE = AggregatingMergeTree
ORDER BY (day, store_id)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'Grain: day and store, as partial sums: group by and sum. Filled by daily_sales_mv.';

CREATE MATERIALIZED VIEW IF NOT EXISTS daily_sales_mv TO daily_sales AS
SELECT
    day,
    store_id,
    sum(sales_change) AS sales,
    sum(gross_change_minor) AS gross_minor,
    sum(net_change_minor) AS net_minor,
    uniqIfState(client_id, sales_change > 0) AS clients
FROM transaction_effects
GROUP BY day, store_id;
