-- What ingest owns: upload batches (requirement DATA-06) and the tasks that work on them.
create table ingest.data_upload_batches (
  -- Random, not serial: it is written into events, which outlive this database.
  batch_id uuid primary key,
  file_name varchar(255) not null,
  -- Where the original is kept, relative to the data directory.
  original_file_path varchar(255) not null,
  -- The user who uploaded it; empty until accounts exist.
  uploaded_by_user_id uuid,
  upload_timestamp timestamptz not null default current_timestamp,
  status varchar(50) not null default 'PENDING' check (status in ('PENDING', 'PROCESSING', 'COMPLETED', 'FAILED')),
  processing_start_time timestamptz,
  processing_end_time timestamptz,
  total_rows integer check (total_rows >= 0),
  processed_rows integer check (processed_rows between 0 and total_rows),
  error_message text,
  associated_task_id varchar(100),
  -- Beyond the requirement.
  error_code varchar(100),
  profile jsonb not null,
  size_bytes bigint not null check (size_bytes >= 0),
  content_sha256 char(64) not null
);

create index data_upload_batches_by_time on ingest.data_upload_batches (upload_timestamp desc, batch_id);
create index data_upload_batches_by_content on ingest.data_upload_batches (content_sha256);

create table ingest.tasks (
  task_id uuid primary key,
  kind varchar(50) not null check (kind in ('upload')),
  batch_id uuid not null references ingest.data_upload_batches (batch_id) on delete cascade,
  status varchar(50) not null default 'PENDING' check (status in ('PENDING', 'PROCESSING', 'COMPLETED', 'FAILED')),
  phase varchar(50) not null default 'queued',
  progress_percentage smallint not null default 0 check (progress_percentage between 0 and 100),
  created_at timestamptz not null default current_timestamp,
  started_at timestamptz,
  finished_at timestamptz,
  -- How often work on it was begun: more than 1 after a crash.
  attempts integer not null default 0,
  -- What a resumed attempt must know, written before the act it describes.
  checkpoint jsonb not null default '{}',
  -- Kept as it was written, with its order: people read it.
  report json,
  error_code varchar(100),
  error_message text
);

create index tasks_to_do on ingest.tasks (created_at, task_id) where status in ('PENDING', 'PROCESSING');
