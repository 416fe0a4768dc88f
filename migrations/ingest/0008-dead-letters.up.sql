-- What was done about dead letters, by whom and when. The letters themselves stay in their topic as they are.
create table ingest.dead_letter_actions (
  -- Random: replayed records carry it.
  action_id uuid primary key,
  kind varchar(20) not null check (kind in ('replay', 'discard')),
  -- Which letters, as it was asked for.
  selector jsonb not null,
  -- How they were mended before they were replayed; empty where they were replayed as they are.
  rule jsonb,
  -- Why they were discarded.
  reason text,
  -- Who ordered it; empty where the caller did not say.
  ordered_by text,
  ordered_at timestamptz not null default current_timestamp,
  status varchar(20) not null default 'PENDING' check (status in ('PENDING', 'PROCESSING', 'COMPLETED', 'FAILED')),
  attempts integer not null default 0,
  -- Offsets of the dead letters, by partition: where they began and ended when the action was ordered.
  starts jsonb not null,
  ends jsonb not null,
  -- Next letter by partition, and where the transactions ended before the first record that is not marked yet.
  checkpoint jsonb,
  counts jsonb not null default '{}',
  finished_at timestamptz,
  error_code varchar(100),
  error_message text,
  check (case kind when 'discard' then reason is not null and rule is null else reason is null end)
);

create index dead_letter_actions_by_time on ingest.dead_letter_actions (ordered_at desc, action_id);
create index dead_letter_actions_to_do on ingest.dead_letter_actions (ordered_at, action_id)
  where status in ('PENDING', 'PROCESSING');

-- Which letters an action has dealt with: a bit for each of 4,096 offsets of a partition. A letter without one is open.
create table ingest.dead_letter_marks (
  partition integer not null check (partition >= 0),
  block bigint not null check (block >= 0),
  action_id uuid not null references ingest.dead_letter_actions (action_id),
  bits bytea not null check (octet_length(bits) = 512),
  primary key (partition, block, action_id)
);
