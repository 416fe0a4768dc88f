-- What a task under way waits for, and since when: {"code", "message", "details"}; empty while it gets on.
alter table ingest.tasks add column waiting jsonb, add column waiting_since timestamptz;
