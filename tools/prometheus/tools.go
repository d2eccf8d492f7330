//go:build tools

// Package tools keeps Prometheus' programs among the dependencies of this module; they are built by their own paths.
package tools

import (
	_ "github.com/prometheus/prometheus/cmd/prometheus"
	_ "github.com/prometheus/prometheus/cmd/promtool"
)
