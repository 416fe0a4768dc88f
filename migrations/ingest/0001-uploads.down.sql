drop table ingest.tasks;
drop table ingest.data_upload_batches;
