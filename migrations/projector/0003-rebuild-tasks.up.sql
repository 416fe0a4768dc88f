-- Orders to build a projection anew. An order is durable before it is answered: any projector takes it in, whoever owns the
-- projection carries it out, also after a crash. At most one per projection is open.
CREATE TABLE rebuild_task (
  task_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  projection text NOT NULL,
  state text NOT NULL DEFAULT 'ordered' CHECK (state IN ('ordered', 'building', 'done', 'failed')),
  -- Begun so many times: what breaks off is begun again from the start of the log.
  attempts int NOT NULL DEFAULT 0,
  applied_records bigint NOT NULL DEFAULT 0,
  total_records bigint NOT NULL DEFAULT 0,
  -- While open what it waits for, afterwards why it failed.
  error_code text,
  error_message text,
  ordered_at timestamptz NOT NULL DEFAULT now(),
  ended_at timestamptz,
  CHECK ((ended_at IS NULL) = (state IN ('ordered', 'building')))
);

CREATE UNIQUE INDEX rebuild_task_open ON rebuild_task (projection) WHERE ended_at IS NULL;
