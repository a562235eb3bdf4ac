// Package deploy carries the infrastructure that culvert reaches: a Terraform module and a CloudFormation template of a
// proxy in the VPC, its roles, and the trust in GitHub.
package deploy

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"culvert/internal/tree"
)

//go:embed terraform cloudformation
var files embed.FS

// Form is what the infrastructure is written in.
type Form string

// The forms there are.
const (
	Terraform      Form = "terraform"
	CloudFormation Form = "cloudformation"
)

// File is one that Write has dealt with.
type File struct {
	Path    string `json:"path"`
	Written bool   `json:"written"` // false: it was there already, as it should be
}

// Write puts the files of a form below dir, which is made. Files that are there with another content make it a
// *ChangedError and nothing is written, unless force. Links are not followed: one below dir, or in its place, is a
// *tree.LinkError with nothing written.
func Write(form Form, dir string, force bool) ([]File, error) {
	names, err := list(form)
	if err != nil {
		return nil, err
	}
	to, err := tree.Open(dir)
	if err != nil {
		return nil, err
	}
	defer to.Close() //nolint:errcheck // a directory that was only looked at
	contents := make([][]byte, len(names))
	var done []File
	var changed []string
	for i, embedded := range names {
		if contents[i], err = files.ReadFile(embedded); err != nil {
			return nil, fmt.Errorf("read %s: %w", embedded, err)
		}
		names[i] = strings.TrimPrefix(embedded, string(form)+"/")
		file := File{Path: to.Path(names[i])}
		same, err := to.Holds(names[i], contents[i])
		switch {
		case errors.Is(err, fs.ErrNotExist):
			file.Written = true
		case err != nil:
			return nil, err
		case !same:
			file.Written = true
			changed = append(changed, file.Path)
		}
		done = append(done, file)
	}
	if len(changed) > 0 && !force {
		return nil, &ChangedError{Files: changed}
	}
	for i, name := range names {
		if !done[i].Written {
			continue
		}
		if err := to.Put(name, contents[i]); err != nil {
			return nil, err
		}
	}
	return done, nil
}

// list names the files of a form. Hidden ones, which a run of Terraform leaves behind, are not embedded.
func list(form Form) ([]string, error) {
	var names []string
	err := fs.WalkDir(files, string(form), func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list the files of %s: %w", form, err)
	}
	return names, nil
}

// ChangedError means that files would be overwritten that somebody has changed, or that an older culvert wrote.
type ChangedError struct{ Files []string }

func (e *ChangedError) Error() string {
	if len(e.Files) == 1 {
		return e.Files[0] + " is there with another content"
	}
	return fmt.Sprintf("%d files are there with another content: %s", len(e.Files), strings.Join(e.Files, ", "))
}

// Remedy names the ways out.
func (e *ChangedError) Remedy() string {
	return "name an empty directory and compare, or overwrite what was changed with --force"
}
