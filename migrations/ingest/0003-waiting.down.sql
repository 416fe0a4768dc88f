alter table ingest.tasks drop column waiting, drop column waiting_since;
