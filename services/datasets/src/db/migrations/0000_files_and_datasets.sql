CREATE SCHEMA IF NOT EXISTS "datasets";
--> statement-breakpoint
CREATE TABLE "datasets"."files" (
	"id" text PRIMARY KEY NOT NULL,
	"filename" text NOT NULL,
	"purpose" text NOT NULL,
	"size_bytes" bigint NOT NULL,
	"sha256" text NOT NULL,
	"uri" text NOT NULL,
	"created_at" timestamp with time zone NOT NULL,
	"status" text NOT NULL,
	"status_details" text,
	"report" jsonb
);
--> statement-breakpoint
CREATE INDEX "files_created" ON "datasets"."files" USING btree ("created_at","id");
--> statement-breakpoint
CREATE TABLE "datasets"."datasets" (
	"id" text PRIMARY KEY NOT NULL,
	"cache_key" text NOT NULL,
	"role" text NOT NULL,
	"state" text NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"preparation" jsonb NOT NULL,
	"sources" jsonb NOT NULL,
	"rows" integer DEFAULT 0 NOT NULL,
	"tokens" bigint DEFAULT 0 NOT NULL,
	"trained_tokens" bigint DEFAULT 0 NOT NULL,
	"longest_row_tokens" integer DEFAULT 0 NOT NULL,
	"cutoff_length" integer NOT NULL,
	"artifact" jsonb,
	"error" jsonb,
	CONSTRAINT "datasets_cache_key_role" UNIQUE("cache_key","role")
);
--> statement-breakpoint
CREATE INDEX "datasets_created" ON "datasets"."datasets" USING btree ("created_at","id");
--> statement-breakpoint
CREATE TABLE "datasets"."outbox" (
	"id" text PRIMARY KEY NOT NULL,
	"seq" bigserial NOT NULL,
	"subject" text NOT NULL,
	"payload" jsonb NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"published_at" timestamp with time zone,
	"published_stream" text
);
--> statement-breakpoint
CREATE INDEX "outbox_published" ON "datasets"."outbox" USING btree ("published_stream","seq");
--> statement-breakpoint
CREATE TABLE "datasets"."inbox" (
	"consumer" text NOT NULL,
	"event_id" text NOT NULL,
	"handled_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "inbox_consumer_event_id_pk" PRIMARY KEY("consumer","event_id")
);
--> statement-breakpoint
CREATE INDEX "inbox_handled_at" ON "datasets"."inbox" USING btree ("handled_at");
