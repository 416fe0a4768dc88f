-- What BI tools read (docs/bi.md). Every view states its grain; names and meanings here are a promise to the outside.

CREATE OR REPLACE VIEW bi_transactions AS
SELECT
    transaction_id,
    client_id,
    toString(kind) AS kind,
    occurred_at,
    day,
    amount_minor,
    nullIf(store_id, '') AS store_id,
    nullIf(terminal_id, '') AS terminal_id,
    nullIf(receipt_number, '') AS receipt_number,
    nullIf(original_transaction_id, '') AS original_transaction_id,
    nullIf(payment_method, '') AS payment_method,
    items_count,
    categories,
    discount_minor,
    bonus_earned_minor,
    bonus_spent_minor,
    source,
    nullIf(batch_id, '') AS batch_id,
    purchase_number,
    days_since_previous,
    nullIf(segment_before, '') AS segment_before
FROM transactions FINAL
COMMENT 'Grain: one accepted transaction.';

CREATE OR REPLACE VIEW bi_daily_sales AS
SELECT
    day,
    nullIf(store_id, '') AS store,
    sum(sales) AS sales,
    sum(gross_minor) AS gross_minor,
    sum(net_minor) AS net_minor,
    uniqIfMerge(clients) AS clients
FROM daily_sales
GROUP BY day, store_id
COMMENT 'Grain: day and store. Clients are distinct within the row only: do not add them up.';

CREATE OR REPLACE VIEW bi_clients AS
SELECT
    client_id,
    first_purchase_day,
    last_purchase_day,
    frequency,
    monetary_gross_minor,
    monetary_net_minor,
    refunded_minor,
    mean_receipt_minor,
    purchases_30d,
    purchases_90d,
    purchases_365d,
    spend_30d_minor,
    spend_90d_minor,
    spend_365d_minor,
    mean_days_between,
    refund_share,
    bonus_earned_minor,
    bonus_spent_minor,
    stores,
    r_score,
    f_score,
    m_score,
    nullIf(rfm_score, '') AS rfm_score,
    nullIf(segment, '') AS segment,
    loyalty_score,
    nullIf(model_id, '') AS model_id,
    nullIf(model_version, '') AS model_version,
    as_of
FROM client_state FINAL
COMMENT 'Grain: one client, as it is now. No personal data.';

CREATE OR REPLACE VIEW bi_segment_changes AS
SELECT
    client_id,
    changed_at,
    day,
    nullIf(before, '') AS segment_before,
    nullIf(after, '') AS segment_after,
    score_before,
    score_after,
    toString(cause) AS cause,
    nullIf(model_id, '') AS model_id,
    nullIf(model_version, '') AS model_version
FROM segment_changes FINAL
COMMENT 'Grain: one change of segment of one client.';

CREATE OR REPLACE VIEW bi_segment_population AS
WITH
    deltas AS (SELECT day, segment, sum(delta) AS change FROM segment_population GROUP BY day, segment),
    span AS (SELECT toInt32(min(day)) AS first, toInt32(max(day)) AS last, count() AS n FROM deltas),
    days AS (SELECT toDate32(arrayJoin(range(first, last + 1))) AS day FROM span WHERE n > 0),
    names AS (SELECT DISTINCT segment FROM deltas)
SELECT
    grid.day AS day,
    grid.segment AS segment,
    sum(deltas.change) OVER (PARTITION BY grid.segment ORDER BY grid.day) AS clients
FROM (SELECT days.day AS day, names.segment AS segment FROM days CROSS JOIN names) AS grid
LEFT JOIN deltas ON deltas.day = grid.day AND deltas.segment = grid.segment
COMMENT 'Grain: day and segment, every day from the first change to the last: clients in the segment at the end of the day.';
