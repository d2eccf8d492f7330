// Command dockerfile prints as JSON what BuildKit reads in a Dockerfile: its stages, what its linter says, and which files
// of the build context it copies, by the ignore file beside it.
//
//	dockerfile deploy/Dockerfile.service CONTEXT
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

type instruction struct {
	Keyword string `json:"keyword"`
	Line    int    `json:"line"`
	// Of COPY and ADD.
	Sources []source `json:"sources,omitempty"`
	From    string   `json:"from,omitempty"`
	To      string   `json:"to,omitempty"`
	// Of RUN, CMD and ENTRYPOINT; words, or one line for a shell.
	Command []string `json:"command,omitempty"`
	Shell   bool     `json:"shell,omitempty"`
	// Of ENV, LABEL and ARG.
	Values map[string]string `json:"values,omitempty"`
	// Of USER and WORKDIR.
	Value string `json:"value,omitempty"`
}

type source struct {
	Path string `json:"path"`
	// What the build sees of it, relative to the context; nothing where it comes from another stage or image.
	Files []string `json:"files"`
}

type stage struct {
	Name         string        `json:"name"`
	Base         string        `json:"base"`
	Instructions []instruction `json:"instructions"`
}

type warning struct {
	Rule    string `json:"rule"`
	Message string `json:"message"`
	Line    int    `json:"line"`
}

type dockerfile struct {
	Stages   []stage   `json:"stages"`
	Warnings []warning `json:"warnings"`
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: dockerfile FILE CONTEXT")
		os.Exit(2)
	}
	read, err := readDockerfile(os.Args[1], os.Args[2])
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(read)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func readDockerfile(path, root string) (*dockerfile, error) {
	ignored, err := readIgnoreFile(path + ".dockerignore")
	if err != nil {
		return nil, err
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	parsed, err := parser.Parse(file)
	if err != nil {
		return nil, err
	}
	read := &dockerfile{Warnings: []warning{}}
	for _, said := range parsed.Warnings {
		read.Warnings = append(read.Warnings, warning{Message: said.Short})
	}
	lint := linter.New(&linter.Config{Warn: func(rule, _, _, message string, at []parser.Range) {
		read.Warnings = append(read.Warnings, warning{Rule: rule, Message: message, Line: lineOf(at)})
	}})
	stages, _, err := instructions.Parse(parsed.AST, lint)
	if err != nil {
		return nil, err
	}
	for _, one := range stages {
		own := stage{Name: one.Name, Base: one.BaseName, Instructions: []instruction{}}
		for _, command := range one.Commands {
			told, err := tell(command, buildContext{root, ignored})
			if err != nil {
				return nil, err
			}
			own.Instructions = append(own.Instructions, told)
		}
		read.Stages = append(read.Stages, own)
	}
	return read, nil
}

func tell(command instructions.Command, context buildContext) (instruction, error) {
	told := instruction{Keyword: command.Name(), Line: lineOf(command.Location())}
	switch one := command.(type) {
	case *instructions.CopyCommand:
		told.From, told.To = one.From, one.DestPath
		for _, path := range one.SourcePaths {
			copied := source{Path: path, Files: []string{}}
			if one.From == "" {
				var err error
				if copied.Files, err = context.files(path); err != nil {
					return told, err
				}
			}
			told.Sources = append(told.Sources, copied)
		}
	case *instructions.RunCommand:
		told.Command, told.Shell = one.CmdLine, one.PrependShell
	case *instructions.CmdCommand:
		told.Command, told.Shell = one.CmdLine, one.PrependShell
	case *instructions.EntrypointCommand:
		told.Command, told.Shell = one.CmdLine, one.PrependShell
	case *instructions.EnvCommand:
		told.Values = valuesOf(one.Env)
	case *instructions.LabelCommand:
		told.Values = valuesOf(one.Labels)
	case *instructions.ArgCommand:
		told.Values = map[string]string{}
		for _, arg := range one.Args {
			told.Values[arg.Key] = arg.ValueString()
		}
	case *instructions.UserCommand:
		told.Value = one.User
	case *instructions.WorkdirCommand:
		told.Value = one.Path
	}
	return told, nil
}

// The folder that is sent to the build.
type buildContext struct {
	root    string
	ignored *patternmatcher.PatternMatcher
}

// files lists what the build sees at a path and below it.
func (context buildContext) files(path string) ([]string, error) {
	seen := []string{}
	err := filepath.WalkDir(filepath.Join(context.root, path), func(at string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		relative, err := filepath.Rel(context.root, at)
		if err != nil {
			return err
		}
		hidden, err := context.ignored.MatchesOrParentMatches(relative)
		if err == nil && !hidden {
			seen = append(seen, relative)
		}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return seen, nil
	}
	return seen, err
}

func readIgnoreFile(path string) (*patternmatcher.PatternMatcher, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	patterns, err := ignorefile.ReadAll(file)
	if err != nil {
		return nil, err
	}
	return patternmatcher.New(patterns)
}

func valuesOf(pairs instructions.KeyValuePairs) map[string]string {
	values := map[string]string{}
	for _, pair := range pairs {
		values[pair.Key] = pair.Value
	}
	return values
}

func lineOf(at []parser.Range) int {
	if len(at) == 0 {
		return 0
	}
	return at[0].Start.Line
}
