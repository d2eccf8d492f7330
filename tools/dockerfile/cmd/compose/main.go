// Command compose prints as JSON what compose-spec's own loader makes of a compose file with an environment file: every
// variable in its place, every default filled in, everything unknown refused.
//
//	compose deploy/compose.yaml ENVIRONMENT_FILE
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/compose-spec/compose-go/v2/cli"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: compose FILE ENVIRONMENT_FILE")
		os.Exit(2)
	}
	if err := printProject(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func printProject(file, environmentFile string) error {
	options, err := cli.NewProjectOptions([]string{file}, cli.WithEnvFiles(environmentFile), cli.WithDotEnv)
	if err != nil {
		return err
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		return err
	}
	text, err := project.MarshalJSON()
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(text)
	return err
}
