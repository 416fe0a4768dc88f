-- What the report on data quality counts (docs/data-quality.md). The rules of 0001 hold.

ALTER TABLE transactions
    ADD COLUMN IF NOT EXISTS arrived_day Nullable(Date32) COMMENT 'Day on which the log got it; NULL for what older versions took in';

-- Sort key: reports ask for ranges of days; with the step of its task a count has an identity.
CREATE TABLE IF NOT EXISTS transaction_repeats
(
    day Date32 COMMENT 'Business day of the transactions',
    store_id LowCardinality(String),
    batch_id LowCardinality(String) COMMENT 'Upload that delivered them again',
    partition UInt16,
    step UInt64 COMMENT 'Step of the task of that partition which found them known',
    repeats Int32
)
ENGINE = ReplacingMergeTree
ORDER BY (day, store_id, batch_id, partition, step)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'Grain: transactions that came again in one step, by day, store and batch. Read with FINAL.';

CREATE TABLE IF NOT EXISTS batch_counts
(
    batch_id String,
    partition UInt16,
    step UInt64,
    accepted Int32,
    duplicates Int32,
    dead Int32
)
ENGINE = ReplacingMergeTree
ORDER BY (batch_id, partition, step)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'Grain: what one step made of the transactions of an upload. Read with FINAL.';

CREATE TABLE IF NOT EXISTS upload_rows
(
    batch_id String,
    others Bool COMMENT 'True for the one row of all stores beyond the first 20,000',
    store_id String,
    received_at DateTime64(3, 'UTC'),
    outlier_above_minor Nullable(Int64) COMMENT 'Sales and refunds of the upload above it are outliers; NULL where the rule says nothing',
    accepted_rows UInt64,
    rejected_rows Map(LowCardinality(String), UInt64) COMMENT 'By reason',
    log_offset UInt64
)
ENGINE = ReplacingMergeTree(log_offset)
ORDER BY (batch_id, others, store_id)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'Grain: what was found in the rows of an upload, by store. Read with FINAL.';

-- One row for each transaction, with what there is to say of it; behind the bi_ views, no promise to the outside. Voids by
-- which an upload was taken back are left out: nobody delivered them.
-- Amounts that came without an upload are compared with those of their business day, by the rule that uploads have where
-- their profile says nothing: above the median by more than 100 times the median absolute deviation, of 100 or more.
CREATE OR REPLACE VIEW transaction_quality AS
WITH
    known AS
    (
        SELECT DISTINCT client_id, transaction_id
        FROM transactions
        WHERE (client_id, transaction_id) IN
            (SELECT client_id, original_transaction_id FROM transactions WHERE original_transaction_id != '')
    ),
    batch_rules AS (SELECT batch_id, any(outlier_above_minor) AS above_minor FROM upload_rows FINAL GROUP BY batch_id),
    day_amounts AS
    (
        SELECT day, groupArray(amount_minor) AS amounts, arrayReduce('quantileExactLow(0.5)', amounts) AS median
        FROM transactions FINAL
        WHERE batch_id = '' AND kind != 'void'
        GROUP BY day
        HAVING length(amounts) >= 100
    ),
    day_rules AS
    (
        SELECT
            day,
            arrayReduce('quantileExactLow(0.5)', arrayMap(amount -> abs(amount - median), amounts)) AS mad,
            if(mad = 0, NULL, median + 100 * mad) AS above_minor
        FROM day_amounts
    )
SELECT
    t.day AS day,
    t.store_id AS store_id,
    t.batch_id AS batch_id,
    t.kind AS kind,
    t.kind != 'void' AS is_receipt,
    is_receipt AND t.store_id = '' AS without_store,
    is_receipt AND t.receipt_number = '' AS without_receipt_number,
    is_receipt AND t.payment_method = '' AS without_payment_method,
    is_receipt AND t.items_count = 0 AS without_items,
    t.kind = 'refund' AND t.original_transaction_id = '' AS without_original,
    t.original_transaction_id != '' AND (t.client_id, t.original_transaction_id) NOT IN known AS unknown_original,
    is_receipt AND isNotNull(t.arrived_day) AS timed,
    timed AND assumeNotNull(t.arrived_day) > t.day + 1 AS late,
    if(t.batch_id = '', day_rules.above_minor, batch_rules.above_minor) AS outlier_above_minor,
    is_receipt AND ifNull(t.amount_minor > outlier_above_minor, false) AS outlier
FROM transactions AS t FINAL
LEFT JOIN batch_rules ON batch_rules.batch_id = t.batch_id
LEFT JOIN day_rules ON day_rules.day = t.day
WHERE NOT startsWith(t.source, 'undo:')
SETTINGS join_use_nulls = 1;

-- Counts of both reports; a UNION brings together what has no row in common.
CREATE OR REPLACE VIEW quality_counts AS
WITH undos AS (SELECT DISTINCT batch_id FROM transactions WHERE startsWith(source, 'undo:'))
SELECT
    day,
    batch_id,
    store_id,
    false AS others,
    countIf(is_receipt) AS transactions,
    countIf(kind = 'sale') AS sales,
    countIf(kind = 'refund') AS refunds,
    countIf(kind = 'void') AS voids,
    countIf(without_store) AS without_store,
    countIf(without_receipt_number) AS without_receipt_number,
    countIf(without_payment_method) AS without_payment_method,
    countIf(without_items) AS without_items,
    countIf(without_original) AS without_original,
    countIf(unknown_original) AS unknown_originals,
    countIf(timed) AS timed,
    countIf(late) AS late,
    countIf(outlier) AS outliers,
    toInt64(0) AS duplicates
FROM transaction_quality
GROUP BY day, batch_id, store_id
UNION ALL
SELECT day, batch_id, store_id, false, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, sum(repeats)
FROM transaction_repeats FINAL
WHERE batch_id NOT IN undos
GROUP BY day, batch_id, store_id;

CREATE OR REPLACE VIEW bi_data_quality_daily AS
SELECT
    day,
    nullIf(store_id, '') AS store,
    sum(transactions) AS transactions,
    sum(sales) AS sales,
    sum(refunds) AS refunds,
    sum(voids) AS voids,
    sum(without_store) AS without_store,
    sum(without_receipt_number) AS without_receipt_number,
    sum(without_payment_method) AS without_payment_method,
    sum(without_items) AS without_items,
    sum(without_original) AS without_original,
    sum(unknown_originals) AS unknown_originals,
    sum(timed) AS timed,
    sum(late) AS late,
    sum(outliers) AS outliers,
    sum(duplicates) AS duplicates
FROM quality_counts
GROUP BY day, store_id
COMMENT 'Grain: business day and store. Every number is a count and may be added up.';

CREATE OR REPLACE VIEW bi_data_quality_batch AS
WITH undos AS (SELECT DISTINCT batch_id FROM transactions WHERE startsWith(source, 'undo:'))
SELECT
    batch_id,
    nullIf(store_id, '') AS store,
    others,
    max(received_at) AS received_at,
    max(outlier_above_minor) AS outlier_above_minor,
    sum(accepted_rows) + sum(rejected) AS rows_read,
    sum(accepted_rows) AS rows_accepted,
    sumMap(rejected_rows) AS rows_rejected,
    sum(transactions) AS transactions,
    sum(sales) AS sales,
    sum(refunds) AS refunds,
    sum(voids) AS voids,
    sum(without_store) AS without_store,
    sum(without_receipt_number) AS without_receipt_number,
    sum(without_payment_method) AS without_payment_method,
    sum(without_items) AS without_items,
    sum(without_original) AS without_original,
    sum(unknown_originals) AS unknown_originals,
    sum(timed) AS timed,
    sum(late) AS late,
    sum(outliers) AS outliers,
    sum(duplicates) AS duplicates,
    sum(dead_letters) AS dead_letters
FROM
(
    SELECT
        batch_id, store_id, others,
        CAST(NULL, 'Nullable(DateTime64(3, \'UTC\'))') AS received_at,
        CAST(NULL, 'Nullable(Int64)') AS outlier_above_minor,
        toUInt64(0) AS accepted_rows,
        toUInt64(0) AS rejected,
        CAST(map(), 'Map(String, UInt64)') AS rejected_rows,
        transactions, sales, refunds, voids,
        without_store, without_receipt_number, without_payment_method, without_items, without_original,
        unknown_originals, timed, late, outliers, duplicates,
        toInt64(0) AS dead_letters
    FROM quality_counts
    WHERE batch_id != ''
    UNION ALL
    -- Dead letters have no store here, nor have repeats that version 1 of the blocks counted.
    SELECT
        batch_id, '', false, NULL, NULL, 0, 0, map(), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        sum(duplicates), sum(dead)
    FROM batch_counts FINAL
    WHERE batch_id != '' AND batch_id NOT IN undos
    GROUP BY batch_id
    UNION ALL
    SELECT
        batch_id, '', false, NULL, NULL, 0, 0, map(), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        -sum(repeats), 0
    FROM transaction_repeats FINAL
    WHERE batch_id != '' AND batch_id NOT IN undos
    GROUP BY batch_id
    UNION ALL
    SELECT
        batch_id, store_id, others, received_at, outlier_above_minor,
        accepted_rows, arraySum(mapValues(rejected_rows)), CAST(rejected_rows, 'Map(String, UInt64)'),
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
    FROM upload_rows FINAL
)
GROUP BY batch_id, store_id, others
COMMENT 'Grain: upload and store. Every number but outlier_above_minor is a count and may be added up.';
