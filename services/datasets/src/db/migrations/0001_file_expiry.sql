ALTER TABLE "datasets"."files" ADD COLUMN "expires_at" timestamp with time zone;--> statement-breakpoint
CREATE INDEX "files_expires" ON "datasets"."files" USING btree ("expires_at");