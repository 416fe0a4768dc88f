-- When the original was deleted where it was kept; empty while it is there. Of clients it goes once the upload has ended.
alter table ingest.data_upload_batches add column original_removed_at timestamptz;
