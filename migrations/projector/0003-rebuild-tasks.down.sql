DROP TABLE rebuild_task;
