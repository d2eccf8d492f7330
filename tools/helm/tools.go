//go:build tools

// Package tools keeps Helm's program among the dependencies of this module; it is built by its own path.
package tools

import _ "helm.sh/helm/v4/cmd/helm"
