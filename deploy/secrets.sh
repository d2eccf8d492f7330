#!/bin/sh
# Makes the passwords of deploy/compose.yaml in deploy/.env, which only its owner can read: sh deploy/secrets.sh [FILE]
# Those that are there stay: databases and volumes know them.
set -eu
file="${1:-$(dirname "$0")/.env}"
umask 077
touch "$file"
for name in POSTGRES ADMIN GATEWAY DATASETS TRAINING TRAINER EVALUATION REGISTRY INFERENCE; do
  grep -q "^${name}_PASSWORD=" "$file" && continue
  # A letter first: NATS would take digits for a number.
  printf '%s_PASSWORD=p%s\n' "$name" "$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')" >>"$file"
done
