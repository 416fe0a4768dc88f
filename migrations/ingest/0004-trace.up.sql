-- Trace of the request that ordered a task, and what its caller called the matter (empty where nothing was said): log
-- lines of the work carry them. Empty for tasks that are older than these columns.
alter table ingest.tasks add column trace_id varchar(32), add column correlation_id text;
