//go:build tools

// Package tools keeps JobSet's program among the dependencies of this module; it is built by its own path.
package tools

import _ "sigs.k8s.io/jobset"
