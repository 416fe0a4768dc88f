-- Current state and changes of segment. The rules of 0001 hold.

-- Sort key: one client at a time, exports in key order; the newest version wins.
CREATE TABLE IF NOT EXISTS client_state
(
    client_id String,
    first_purchase_at Nullable(DateTime64(3, 'UTC')),
    last_purchase_at Nullable(DateTime64(3, 'UTC')),
    first_purchase_day Nullable(Date32),
    last_purchase_day Nullable(Date32),
    frequency Int32 COMMENT 'Counted sales: not voided, not fully refunded',
    monetary_gross_minor Int64 COMMENT 'Sum of sales not voided',
    monetary_net_minor Int64 COMMENT 'Gross less refunds in effect',
    refunded_minor Int64,
    mean_receipt_minor Float64,
    purchases_30d Int32,
    purchases_90d Int32,
    purchases_365d Int32,
    spend_30d_minor Int64,
    spend_90d_minor Int64,
    spend_365d_minor Int64,
    mean_days_between Nullable(Float64),
    refund_share Float64,
    bonus_earned_minor Int64,
    bonus_spent_minor Int64,
    stores Int32,
    transactions Int32,
    waiting Int32,
    flags Int32,
    r_score Nullable(Int16),
    f_score Nullable(Int16),
    m_score Nullable(Int16),
    rfm_score LowCardinality(String),
    segment LowCardinality(String),
    loyalty_score Nullable(Int16),
    model_id LowCardinality(String),
    model_version LowCardinality(String),
    as_of Nullable(Date32),
    version UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY client_id
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'Grain: one client, its newest row. Read with FINAL.';

-- Sort key: changes are asked for by client; the version of the row that changed makes the identity.
CREATE TABLE IF NOT EXISTS segment_changes
(
    client_id String,
    version UInt64,
    changed_at DateTime64(3, 'UTC') COMMENT 'Arrival in the log',
    day Date32 COMMENT 'Date as of which it changed',
    before LowCardinality(String) COMMENT 'Empty at the first assignment',
    after LowCardinality(String) COMMENT 'Empty when no purchase counts any more',
    score_before Nullable(Int16),
    score_after Nullable(Int16),
    cause Enum8('purchase' = 1, 'refund' = 2, 'correction' = 3, 'time' = 4, 'model' = 5, 'cut_points' = 6),
    transaction_ids Array(String),
    model_id LowCardinality(String),
    model_version LowCardinality(String)
)
ENGINE = ReplacingMergeTree
ORDER BY (client_id, version)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'Grain: one change of segment of one client. Read with FINAL.';

-- Sort key: populations are sums over the days up to one.
CREATE TABLE IF NOT EXISTS segment_population
(
    day Date32,
    segment LowCardinality(String),
    delta SimpleAggregateFunction(sum, Int64) COMMENT 'Clients that entered less clients that left on this day'
)
ENGINE = AggregatingMergeTree
ORDER BY (day, segment)
SETTINGS non_replicated_deduplication_window = 1000
COMMENT 'Grain: day and segment, as partial sums of changes; the population is the sum up to a day. Filled by segment_population_mv.';

CREATE MATERIALIZED VIEW IF NOT EXISTS segment_population_mv TO segment_population AS
SELECT
    day,
    change.1 AS segment,
    sum(change.2) AS delta
FROM segment_changes
ARRAY JOIN [(before, toInt64(-1)), (after, toInt64(1))] AS change
WHERE change.1 != ''
GROUP BY day, segment;
