//go:build tools

// Package tools keeps Kubeflow Trainer's program among the dependencies of this module; it is built by its own path.
package tools

import _ "github.com/kubeflow/trainer/v2/cmd/trainer-controller-manager"
