//go:build tools

// Package tools keeps the modules whose custom resources the chart is checked against among the dependencies of this one.
package tools

import (
	_ "github.com/prometheus-operator/prometheus-operator/pkg/versionutil"
	_ "sigs.k8s.io/gateway-api/pkg/consts"
)
