alter table ingest.data_upload_batches drop column original_removed_at;
