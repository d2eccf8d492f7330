ALTER TABLE "registry"."models" ADD COLUMN "gives" text DEFAULT 'answers' NOT NULL;
