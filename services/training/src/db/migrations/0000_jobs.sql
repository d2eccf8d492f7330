CREATE SCHEMA "training";
--> statement-breakpoint
CREATE TABLE "training"."checkpoints" (
	"id" text PRIMARY KEY NOT NULL,
	"seq" bigserial NOT NULL,
	"job_id" text NOT NULL,
	"run_id" text NOT NULL,
	"attempt" integer NOT NULL,
	"incarnation" integer NOT NULL,
	"step" integer NOT NULL,
	"uri" text NOT NULL,
	"sha256" text NOT NULL,
	"metrics" jsonb NOT NULL,
	"created_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "training"."inbox" (
	"consumer" text NOT NULL,
	"event_id" text NOT NULL,
	"handled_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "inbox_consumer_event_id_pk" PRIMARY KEY("consumer","event_id")
);
--> statement-breakpoint
CREATE TABLE "training"."incarnations" (
	"run_id" text NOT NULL,
	"attempt" integer NOT NULL,
	"incarnation" integer NOT NULL,
	"resume_step" integer NOT NULL,
	CONSTRAINT "incarnations_run_id_attempt_incarnation_pk" PRIMARY KEY("run_id","attempt","incarnation")
);
--> statement-breakpoint
CREATE TABLE "training"."job_events" (
	"id" text PRIMARY KEY NOT NULL,
	"seq" bigserial NOT NULL,
	"job_id" text NOT NULL,
	"created_at" timestamp with time zone NOT NULL,
	"level" text NOT NULL,
	"type" text NOT NULL,
	"message" text NOT NULL,
	"data" jsonb
);
--> statement-breakpoint
CREATE TABLE "training"."job_stream" (
	"job_id" text NOT NULL,
	"id" integer NOT NULL,
	"type" text NOT NULL,
	"data" jsonb NOT NULL,
	CONSTRAINT "job_stream_job_id_id_pk" PRIMARY KEY("job_id","id")
);
--> statement-breakpoint
CREATE TABLE "training"."jobs" (
	"id" text PRIMARY KEY NOT NULL,
	"seq" bigserial NOT NULL,
	"status" text NOT NULL,
	"phase" text NOT NULL,
	"priority" integer DEFAULT 0 NOT NULL,
	"metadata" jsonb NOT NULL,
	"stream_seq" integer DEFAULT 0 NOT NULL,
	"data" jsonb NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "training"."metric_points" (
	"run_id" text NOT NULL,
	"step" integer NOT NULL,
	"name" text NOT NULL,
	"value" double precision NOT NULL,
	"attempt" integer NOT NULL,
	"incarnation" integer NOT NULL,
	CONSTRAINT "metric_points_run_id_step_name_pk" PRIMARY KEY("run_id","step","name")
);
--> statement-breakpoint
CREATE TABLE "training"."outbox" (
	"id" text PRIMARY KEY NOT NULL,
	"seq" bigserial NOT NULL,
	"subject" text NOT NULL,
	"payload" jsonb NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"published_at" timestamp with time zone,
	"published_stream" text
);
--> statement-breakpoint
CREATE TABLE "training"."runs" (
	"id" text PRIMARY KEY NOT NULL,
	"job_id" text NOT NULL,
	"attempt" integer NOT NULL,
	"generation" integer NOT NULL,
	"projected_generation" integer DEFAULT 0 NOT NULL,
	"desired" text NOT NULL,
	"stop_reason" text,
	"stop_grace_seconds" integer NOT NULL,
	"checkpoint_request" integer DEFAULT 0 NOT NULL,
	"request_uri" text NOT NULL,
	"request_sha256" text NOT NULL,
	"resources" jsonb NOT NULL,
	"runtime" text NOT NULL,
	"profile" text NOT NULL,
	"priority" integer NOT NULL,
	"deadline_seconds" integer NOT NULL,
	"seen_attempt" integer,
	"seen_object_uid" text,
	"status" jsonb,
	"outcome" jsonb,
	"live" boolean NOT NULL,
	"closed" boolean DEFAULT false NOT NULL,
	"finished_at" timestamp with time zone,
	"purged_at" timestamp with time zone,
	"retries" integer DEFAULT 0 NOT NULL,
	"interruptions" integer DEFAULT 0 NOT NULL,
	"crashes" integer DEFAULT 0 NOT NULL,
	"step_at_retry" integer DEFAULT -1 NOT NULL,
	"first_step_at" timestamp with time zone
);
--> statement-breakpoint
CREATE UNIQUE INDEX "checkpoints_uri" ON "training"."checkpoints" USING btree ("uri");--> statement-breakpoint
CREATE INDEX "checkpoints_job" ON "training"."checkpoints" USING btree ("job_id","seq");--> statement-breakpoint
CREATE INDEX "inbox_handled_at" ON "training"."inbox" USING btree ("handled_at");--> statement-breakpoint
CREATE INDEX "job_events_job" ON "training"."job_events" USING btree ("job_id","seq");--> statement-breakpoint
CREATE UNIQUE INDEX "jobs_seq" ON "training"."jobs" USING btree ("seq");--> statement-breakpoint
CREATE INDEX "jobs_status" ON "training"."jobs" USING btree ("status","seq");--> statement-breakpoint
CREATE INDEX "outbox_published" ON "training"."outbox" USING btree ("published_stream","seq");--> statement-breakpoint
CREATE INDEX "runs_open" ON "training"."runs" USING btree ("purged_at","closed");--> statement-breakpoint
CREATE INDEX "runs_job" ON "training"."runs" USING btree ("job_id");