drop table ingest.file_profiles;
