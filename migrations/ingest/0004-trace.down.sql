alter table ingest.tasks drop column trace_id, drop column correlation_id;
