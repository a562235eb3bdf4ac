// Package trust tells whether somebody else than the user could have written a file or a directory. On Windows, where modes
// say nothing about that and owners are often a group, it trusts all of them.
package trust

import (
	"slices"
	"strings"
)

// isPrivate reports whether a group is one user's alone, from the text of /etc/group and /etc/passwd. Many systems give
// each user such a group and a umask of 002, so that "the group may write" says nothing there.
func isPrivate(groups, users, user, id string) bool {
	private := false
	for line := range strings.Lines(groups) { // NAME:PASSWORD:GID:MEMBER,MEMBER
		field := strings.Split(strings.TrimSpace(line), ":")
		if len(field) < 4 || field[2] != id {
			continue
		}
		others := slices.DeleteFunc(strings.Split(field[3], ","), func(name string) bool { return name == "" || name == user })
		if field[0] != user || len(others) > 0 {
			return false
		}
		private = true
	}
	for line := range strings.Lines(users) { // NAME:PASSWORD:UID:GID:…
		if field := strings.Split(line, ":"); len(field) > 3 && field[3] == id && field[0] != user {
			return false
		}
	}
	return private
}
