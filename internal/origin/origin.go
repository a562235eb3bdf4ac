// Package origin is the one place that names culvert's own repository. Who publishes culvert changes it by
// `make rename OWNER=…`, and everything that names the repository follows.
package origin

import (
	_ "embed"
	"strings"
)

// The line is owner/repository@tag, the GitHub action as a workflow step names it; a comment may follow.
//
//go:embed origin.txt
var line string

// Step is what a workflow step has behind `uses:`, with the comment.
func Step() string { return strings.TrimSpace(line) }

// Action is Step without its comment.
func Action() string {
	action, _, _ := strings.Cut(Step(), " ")
	return action
}

// Owner is whoever has the repository.
func Owner() string {
	owner, _, _ := strings.Cut(Action(), "/")
	return owner
}

// Repository is its name.
func Repository() string {
	_, rest, _ := strings.Cut(Action(), "/")
	name, _, _ := strings.Cut(rest, "@")
	return name
}
