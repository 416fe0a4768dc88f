-- Read models of the projector. `projector` alone writes them; the API reads them.

-- How far each projection is, and who may move it: an update names the offset and the epoch it starts from, so an owner
-- that was replaced changes nothing. record_ms is the arrival time of the last record applied.
CREATE TABLE projection_offset (
  projection text NOT NULL,
  topic text NOT NULL,
  partition int NOT NULL,
  next_offset bigint NOT NULL,
  epoch bigint NOT NULL,
  record_ms bigint,
  PRIMARY KEY (projection, topic, partition)
) WITH (fillfactor = 50);

-- One row per projection: its version, the epoch of its owner, and the rebuild under way.
CREATE TABLE projection (
  projection text PRIMARY KEY,
  version int NOT NULL,
  epoch bigint NOT NULL DEFAULT 0,
  rebuild text CHECK (rebuild IN ('building', 'swapping')),
  -- While swapping: identity of each new table, so that a swap that broke off is finished and never undone.
  swap jsonb
);

-- What is being inserted into ClickHouse: written before the insert, deleted with the offset. The ranges of one token are
-- one insert; after a crash the same ranges are read again and inserted under the same token.
CREATE TABLE intent (
  projection text NOT NULL,
  topic text NOT NULL,
  partition int NOT NULL,
  from_offset bigint NOT NULL,
  to_offset bigint NOT NULL,
  record_ms bigint,
  token text NOT NULL,
  PRIMARY KEY (projection, topic, partition)
) WITH (fillfactor = 50);

CREATE TABLE loyalty_segments (
  segment_id text PRIMARY KEY,
  segment_name text NOT NULL UNIQUE,
  description text NOT NULL,
  color_code text NOT NULL,
  min_score_threshold int NOT NULL,
  max_score_threshold int NOT NULL,
  position int NOT NULL
);

-- A client: the profile from `clients` (profile_offset tells which record is newer) and the current row from
-- `client-state` (version does). Either may come first. Keys sort by bytes.
CREATE TABLE clients (
  client_id text COLLATE "C" PRIMARY KEY,
  name text,
  email text,
  phone text,
  gender text,
  birth_date date,
  registered_at timestamptz,
  city text,
  communication_preferences jsonb,
  opening_bonus_minor bigint,
  opening_bonus_at timestamptz,
  profile_source text,
  attributes jsonb,
  profile_offset bigint NOT NULL DEFAULT -1,
  first_purchase_at timestamptz,
  last_purchase_at timestamptz,
  first_purchase_day date,
  last_purchase_day date,
  frequency int NOT NULL DEFAULT 0,
  monetary_gross_minor bigint NOT NULL DEFAULT 0,
  monetary_net_minor bigint NOT NULL DEFAULT 0,
  refunded_minor bigint NOT NULL DEFAULT 0,
  mean_receipt_minor float8 NOT NULL DEFAULT 0,
  purchases_30d int NOT NULL DEFAULT 0,
  purchases_90d int NOT NULL DEFAULT 0,
  purchases_365d int NOT NULL DEFAULT 0,
  spend_30d_minor bigint NOT NULL DEFAULT 0,
  spend_90d_minor bigint NOT NULL DEFAULT 0,
  spend_365d_minor bigint NOT NULL DEFAULT 0,
  mean_days_between float8,
  refund_share float8 NOT NULL DEFAULT 0,
  bonus_earned_minor bigint NOT NULL DEFAULT 0,
  bonus_spent_minor bigint NOT NULL DEFAULT 0,
  stores int NOT NULL DEFAULT 0,
  transactions int NOT NULL DEFAULT 0,
  waiting int NOT NULL DEFAULT 0,
  flags int NOT NULL DEFAULT 0,
  r_score int,
  f_score int,
  m_score int,
  rfm_score text,
  segment text,
  loyalty_score int,
  model_id text,
  model_version text,
  as_of date,
  version bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 70);

CREATE INDEX ON clients (segment, client_id) WHERE segment IS NOT NULL;
CREATE INDEX ON clients (lower(email)) WHERE email IS NOT NULL;
CREATE INDEX ON clients (phone) WHERE phone IS NOT NULL;

-- Every change of segment; version is that of the row that changed, so a change is stored once.
CREATE TABLE client_segment_history (
  client_id text COLLATE "C" NOT NULL,
  version bigint NOT NULL,
  changed_at timestamptz NOT NULL,
  before text,
  after text,
  score_before int,
  score_after int,
  cause text NOT NULL,
  transaction_ids text[] NOT NULL,
  model_id text,
  model_version text,
  as_of date,
  PRIMARY KEY (client_id, version)
);
