CREATE SCHEMA "evaluation";
--> statement-breakpoint
CREATE TABLE "evaluation"."answers" (
	"evaluation_id" text NOT NULL,
	"file_id" text NOT NULL,
	"line" integer NOT NULL,
	"side" text NOT NULL,
	"answer" text NOT NULL,
	CONSTRAINT "answers_evaluation_id_file_id_line_side_pk" PRIMARY KEY("evaluation_id","file_id","line","side")
);
--> statement-breakpoint
CREATE TABLE "evaluation"."evaluations" (
	"id" text PRIMARY KEY NOT NULL,
	"job_id" text NOT NULL,
	"model_id" text NOT NULL,
	"state" text NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"request" jsonb NOT NULL,
	"record" jsonb NOT NULL,
	CONSTRAINT "evaluations_job_id_unique" UNIQUE("job_id")
);
--> statement-breakpoint
CREATE TABLE "evaluation"."inbox" (
	"consumer" text NOT NULL,
	"event_id" text NOT NULL,
	"handled_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "inbox_consumer_event_id_pk" PRIMARY KEY("consumer","event_id")
);
--> statement-breakpoint
CREATE TABLE "evaluation"."outbox" (
	"id" text PRIMARY KEY NOT NULL,
	"seq" bigserial NOT NULL,
	"subject" text NOT NULL,
	"payload" jsonb NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"published_at" timestamp with time zone,
	"published_stream" text
);
--> statement-breakpoint
ALTER TABLE "evaluation"."answers" ADD CONSTRAINT "answers_evaluation_id_evaluations_id_fk" FOREIGN KEY ("evaluation_id") REFERENCES "evaluation"."evaluations"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "evaluations_created_at" ON "evaluation"."evaluations" USING btree ("created_at");--> statement-breakpoint
CREATE INDEX "evaluations_state" ON "evaluation"."evaluations" USING btree ("state");--> statement-breakpoint
CREATE INDEX "inbox_handled_at" ON "evaluation"."inbox" USING btree ("handled_at");--> statement-breakpoint
CREATE INDEX "outbox_published" ON "evaluation"."outbox" USING btree ("published_stream","seq");