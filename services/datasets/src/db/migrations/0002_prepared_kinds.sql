ALTER TABLE "datasets"."datasets" ADD COLUMN "kind" text DEFAULT 'sft' NOT NULL;--> statement-breakpoint
ALTER TABLE "datasets"."datasets" ADD COLUMN "longest_pass_tokens" integer DEFAULT 0 NOT NULL;