#!/usr/bin/env bash
# Whether runs of the PyTorch runtime compute on this machine's GPU as its contract wants: about ten minutes. Needs what
# the torch tier needs, and NVIDIA's driver.
# Exits 0 when all passed, 1 when something failed, 2 when there is no GPU, so that nothing was checked.
set -uo pipefail
cd "${BASH_SOURCE%/*}/.."

gpus=$(nvidia-smi --list-gpus 2>/dev/null)
if [ -z "$gpus" ]; then
  echo "No GPU was found here (nvidia-smi --list-gpus shows none): nothing was checked." >&2
  exit 2
fi
echo "$gpus"

table=()
failed=0

check() { # NAME COMMAND...
  local name=$1 begin=$SECONDS end=passed
  shift
  echo "--- $name"
  "$@" || { end=FAILED failed=1; }
  table+=("$(printf '%-44s %-6s %5d s' "$name" "$end" $((SECONDS - begin)))")
}

conformance() { # PRECISION
  LUTHIER_TORCH_DEVICE=cuda LUTHIER_CONFORMANCE_PRECISION=$1 LUTHIER_TEST_REQUIRE=all \
    node --experimental-vm-modules --disable-warning=ExperimentalWarning node_modules/jest/bin/jest.js \
    --runInBand --runTestsByPath test/torch/conformance.test.ts
}

speed() { # PRECISION [offloaded]
  python=$(node scripts/torch-env.mjs) &&
    PYTHONPATH=services/runtime-torch "$python" -B services/runtime-torch/tests/device_speed.py cuda "$@"
}

check "build" node scripts/boot.mjs build
export PATH=$PWD/node_modules/.bin:$PATH
check "Python environment" node scripts/torch-env.mjs
# Rows pinned ahead and checkpoints written beside the steps are what every run does.
check "contract on the GPU, float32" conformance float32
check "contract on the GPU, bfloat16" conformance bfloat16
check "speed and memory plan, bfloat16" speed bfloat16
check "weights in the machine's memory" speed bfloat16 offloaded

echo
printf '%s\n' "${table[@]}"
exit "$failed"
