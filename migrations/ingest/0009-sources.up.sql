-- What sources of files have given, and how far they are.
create table ingest.sources (
  name varchar(64) primary key,
  -- How far a source without files has been read, as text; empty before its first run, and for sources of files.
  watermark text,
  last_run_at timestamptz,
  last_error_code varchar(100),
  last_error_message text
);

-- One row per file taken, until it is out of the way: moved into the folder of what went well or badly.
create table ingest.source_files (
  source varchar(64) not null,
  file_name text not null,
  -- Tells a file from a later one of the same name: size and times, or the tag of an object.
  version text not null,
  -- The upload it became; empty where it was refused before it was one.
  task_id uuid,
  error_code varchar(100),
  error_message text,
  taken_at timestamptz not null default current_timestamp,
  primary key (source, file_name, version)
);
