-- File profiles that people saved by a name; those that ship are files.
create table ingest.file_profiles (
  name varchar(64) primary key,
  -- Kept as it was written, with its order: people read it.
  profile json not null,
  saved_at timestamptz not null default current_timestamp
);
