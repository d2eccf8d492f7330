-- Notes of plans were sentences and are ids with values now: those of plans that were made before are dropped.
UPDATE "training"."jobs" SET "data" = jsonb_set("data", '{advice}', '[]') WHERE "data" ? 'advice';
--> statement-breakpoint
UPDATE "training"."jobs" SET "data" = jsonb_set("data", '{plan,notes}', '[]') WHERE "data"->'plan' ? 'notes';
--> statement-breakpoint
UPDATE "training"."job_stream" SET "data" = jsonb_set("data", '{plan,notes}', '[]') WHERE "type" = 'job' AND "data"->'plan' ? 'notes';
