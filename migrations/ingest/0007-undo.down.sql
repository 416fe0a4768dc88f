-- What was taken back stays so in the log; that it was is not known here any more.
alter table ingest.data_upload_batches drop column undone_at;
drop index ingest.tasks_of_batch;
drop index ingest.tasks_one_undo;
delete from ingest.tasks where kind in ('undo', 'replace');
alter table ingest.tasks drop constraint tasks_kind_check;
alter table ingest.tasks add constraint tasks_kind_check check (kind in ('upload'));
