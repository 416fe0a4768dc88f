drop table ingest.source_files;
drop table ingest.sources;
