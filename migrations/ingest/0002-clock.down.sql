drop table ingest.clock_positions;
