ALTER TABLE "registry"."models" ADD COLUMN "files" jsonb;
--> statement-breakpoint
ALTER TABLE "registry"."models" ADD COLUMN "size_bytes" bigint;
--> statement-breakpoint
UPDATE "registry"."models" SET "files" = jsonb_build_object('form', 'whole', 'weights', "weights") WHERE "weights" IS NOT NULL;
--> statement-breakpoint
UPDATE "registry"."models" SET "files" = jsonb_build_object('form', 'adapter', 'adapter', "adapter") WHERE "weights" IS NULL AND "adapter" IS NOT NULL;
--> statement-breakpoint
ALTER TABLE "registry"."models" DROP COLUMN "weights";
--> statement-breakpoint
ALTER TABLE "registry"."models" DROP COLUMN "adapter";
