//go:build unix

package trust

import (
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// Problem says who else could have written a file or directory, as the end of a sentence; empty when only the user could.
// Whoever is root trusts root's files alone, whatever sudo says. A sticky directory is one that others may write.
func Problem(info fs.FileInfo) string {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "has no owner"
	}
	switch mode := info.Mode(); {
	case int(stat.Uid) != os.Geteuid():
		return "belongs to " + name(int(stat.Uid)) + ", not to " + name(os.Geteuid())
	case mode.Perm()&0o002 != 0:
		return fmt.Sprintf("may be written by everybody (mode %04o)", mode.Perm())
	case mode.Perm()&0o020 != 0 && !private(stat.Gid):
		return fmt.Sprintf("may be written by its group (mode %04o)", mode.Perm())
	}
	return ""
}

// SameOwner reports whether two files belong to the same user.
func SameOwner(a, b fs.FileInfo) bool {
	of, ok := a.Sys().(*syscall.Stat_t)
	other, also := b.Sys().(*syscall.Stat_t)
	return ok && also && of.Uid == other.Uid
}

// name is a user's name, else the number.
func name(id int) string {
	if u, err := user.LookupId(strconv.Itoa(id)); err == nil {
		return u.Username
	}
	return "user " + strconv.Itoa(id)
}

// private reports whether a group is the user's alone; one that the files of this machine do not know is not.
func private(id uint32) bool {
	me, err := user.LookupId(strconv.Itoa(os.Geteuid()))
	if err != nil {
		return false
	}
	groups, err := os.ReadFile("/etc/group")
	if err != nil {
		return false
	}
	users, err := os.ReadFile("/etc/passwd")
	return err == nil && isPrivate(string(groups), string(users), me.Username, strconv.Itoa(int(id)))
}

// noFollow keeps from following a link that appears in the last moment, and from waiting for the reader of a pipe.
const noFollow = syscall.O_NOFOLLOW | syscall.O_NONBLOCK

// writable reports whether somebody else than the user and root may write a directory.
func writable(dir fs.FileInfo) bool {
	stat, ok := dir.Sys().(*syscall.Stat_t)
	return !ok || stat.Uid != 0 && int(stat.Uid) != os.Geteuid() || dir.Mode().Perm()&0o002 != 0 || dir.Mode().Perm()&0o020 != 0 && !private(stat.Gid)
}

// ownAlone reports whether something is a file of the user's that has one name: a second one could be anywhere.
func ownAlone(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && info.Mode().IsRegular() && int(stat.Uid) == os.Geteuid() && stat.Nlink == 1
}
