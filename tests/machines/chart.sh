#!/bin/sh
# chart.sh PYTHON: Helm lints the chart and renders it over the values in deploy/helm/ci; the texts are
# compared with tests/golden/helm; kubeconform checks them and deploy/kubernetes against every
# supported Kubernetes and the definitions of the custom resources. All programs are Go modules.
set -eu
python=$1
here=$(cd "$(dirname "$0")/../.." && pwd)
helm=helm.sh/helm/v3/cmd/helm@v3.22.0
kubeconform=github.com/yannh/kubeconform/cmd/kubeconform@v0.8.0
cd "$here"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

folder_of() { (cd "$scratch" && go mod download -json "$1") | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p'; }
prometheus=$(folder_of github.com/prometheus-operator/prometheus-operator@v0.85.0)
grafana=$(folder_of github.com/grafana/grafana-operator/v5@v5.18.0)
external=$(folder_of github.com/external-secrets/external-secrets@v1.3.2)
crds=$prometheus/example/prometheus-operator-crd/monitoring.coreos.com
"$python" -m deploy.manifests.kubernetes_schemas "$scratch/schemas" "${crds}_podmonitors.yaml" \
    "${crds}_prometheusrules.yaml" "${crds}_scrapeconfigs.yaml" "${crds}_servicemonitors.yaml" \
    "$external/config/crds/bases/external-secrets.io_externalsecrets.yaml" \
    "$grafana/config/crd/bases/grafana.integreatly.org_grafanadashboards.yaml"

GOBIN=$scratch/bin
export GOBIN
go install "$helm"
go install "$kubeconform"
"$python" -m deploy.manifests.rendered "$GOBIN/helm"
for values in deploy/helm/ci/*.yaml; do
    "$GOBIN/helm" lint deploy/helm --strict --quiet --values "$values"
done
for version in $("$python" -c 'from deploy.manifests.kubernetes_schemas import VERSIONS; print(*VERSIONS)'); do
    for values in deploy/helm/ci/*.yaml; do
        "$GOBIN/helm" template devin-exporter deploy/helm --kube-version "$version" --values "$values" \
            >"$scratch/$(basename "$values")"
    done
    "$GOBIN/kubeconform" -strict -summary -kubernetes-version "$version" \
        -schema-location "$scratch/schemas/{{.NormalizedKubernetesVersion}}/{{.ResourceKind}}{{.KindSuffix}}.json" \
        -schema-location "$scratch/schemas/{{.Group}}/{{.ResourceKind}}_{{.ResourceAPIVersion}}.json" \
        "$scratch"/*.yaml deploy/kubernetes
done
