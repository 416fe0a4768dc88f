-- Taking an upload back, and replacing what came with other content: tasks of their own, on the upload's batch. The id of
-- such a task is the batch id of the events that it publishes.
alter table ingest.tasks drop constraint tasks_kind_check;
alter table ingest.tasks add constraint tasks_kind_check check (kind in ('upload', 'undo', 'replace'));

-- An upload is taken back once: asked again, the answer is the same task.
create unique index tasks_one_undo on ingest.tasks (batch_id) where kind = 'undo';
create index tasks_of_batch on ingest.tasks (batch_id);

-- When the upload was taken back; empty while it stands.
alter table ingest.data_upload_batches add column undone_at timestamptz;
