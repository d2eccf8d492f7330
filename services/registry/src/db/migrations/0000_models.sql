CREATE SCHEMA IF NOT EXISTS "registry";
--> statement-breakpoint
CREATE TABLE "registry"."models" (
	"id" text PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"kind" text NOT NULL,
	"state" text NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"title" text NOT NULL,
	"license" text,
	"languages" jsonb NOT NULL,
	"shape" jsonb,
	"weights" jsonb,
	"adapter" jsonb,
	"base_model_id" text,
	"job_id" text,
	"local_dir" text,
	"source" text,
	"sources_tried" jsonb NOT NULL,
	"proof" text NOT NULL,
	"proof_reason" text,
	"error" jsonb,
	CONSTRAINT "models_name_unique" UNIQUE("name"),
	CONSTRAINT "models_job_id_unique" UNIQUE("job_id")
);
--> statement-breakpoint
CREATE INDEX "models_created" ON "registry"."models" USING btree ("created_at","id");
--> statement-breakpoint
CREATE INDEX "models_base" ON "registry"."models" USING btree ("base_model_id");
--> statement-breakpoint
CREATE TABLE "registry"."outbox" (
	"id" text PRIMARY KEY NOT NULL,
	"seq" bigserial NOT NULL,
	"subject" text NOT NULL,
	"payload" jsonb NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"published_at" timestamp with time zone,
	"published_stream" text
);
--> statement-breakpoint
CREATE INDEX "outbox_published" ON "registry"."outbox" USING btree ("published_stream","seq");
--> statement-breakpoint
CREATE TABLE "registry"."inbox" (
	"consumer" text NOT NULL,
	"event_id" text NOT NULL,
	"handled_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "inbox_consumer_event_id_pk" PRIMARY KEY("consumer","event_id")
);
--> statement-breakpoint
CREATE INDEX "inbox_handled_at" ON "registry"."inbox" USING btree ("handled_at");
