drop table ingest.dead_letter_marks;
drop table ingest.dead_letter_actions;
