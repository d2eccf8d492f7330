#!/bin/sh
# Luthier on a cluster in containers, to try the chart: sh deploy/kind.sh [NAME]
# Needs docker, kind 0.27 or newer, kubectl, helm and Node. Makes a registry beside the cluster, since runs name their image by
# digest, and only a registry gives one. Repeat it after a change. `kind delete cluster` and `docker rm -f` remove both.
set -eu

cluster=${1:-luthier}
registry=$cluster-registry
address=localhost:5001
cd "$(dirname "$0")/.."

for program in docker kind kubectl helm node; do
  command -v "$program" >/dev/null || { echo "kind.sh: $program is missing" >&2; exit 1; }
done

if ! docker inspect "$registry" >/dev/null 2>&1; then
  docker run --detach --restart always --publish "127.0.0.1:5001:5000" --name "$registry" registry:3.0.0
fi
if ! kind get clusters | grep -qx "$cluster"; then
  kind create cluster --name "$cluster" --wait 3m
fi
docker network inspect kind --format '{{range .Containers}}{{println .Name}}{{end}}' | grep -qx "$registry" ||
  docker network connect kind "$registry"
# In the nodes the registry has another address than here.
kind get nodes --name "$cluster" | while read -r node; do
  printf '[host."http://%s:5000"]\n' "$registry" |
    docker exec --interactive "$node" sh -c "mkdir -p '/etc/containerd/certs.d/$address' && cat >'/etc/containerd/certs.d/$address/hosts.toml'"
done

values=$(mktemp)
trap 'rm -f "$values"' EXIT
parts=gateway,datasets,training,trainer,evaluation,registry,inference,cli,web,runtime-node
node scripts/images.mjs --registry "$address" --only "$parts" --push >"$values"
helm upgrade --install luthier charts/luthier --kube-context "kind-$cluster" --namespace luthier --create-namespace \
  --values charts/luthier/ci/minimal-values.yaml --values "$values" --wait --timeout 15m

echo "kubectl --context kind-$cluster --namespace luthier port-forward service/luthier-gateway 4180:80"
