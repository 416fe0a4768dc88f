-- How far the clock of a programme has looked for newer days in the blocks of accepted transactions.
create table ingest.clock_positions (
  topic text not null,
  partition integer not null check (partition >= 0),
  next_offset bigint not null check (next_offset >= 0),
  primary key (topic, partition)
);
