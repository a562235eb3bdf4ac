package need

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A release is held up by a vulnerability in what culvert calls: not by one that it does not call, nor by a database that
// does not answer, which is said and listed.
func TestAKnownVulnerabilityHoldsUpARelease(t *testing.T) {
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	tool := regexp.MustCompile(`(?m)^GOVULNCHECK := (\S+)$`).FindSubmatch(makefile)
	if tool == nil {
		t.Fatal("the Makefile names no govulncheck")
	}
	Tool(t, string(tool[1]))
	database := func(symbol string) string {
		dir := t.TempDir()
		entry := `{"schema_version":"1.3.1","id":"GO-2026-9999","summary":"for a test","modified":"2026-01-01T00:00:00Z","published":"2026-01-01T00:00:00Z",` +
			`"affected":[{"package":{"name":"github.com/spf13/cobra","ecosystem":"Go"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}],` +
			`"ecosystem_specific":{"imports":[{"path":"github.com/spf13/cobra","symbols":["` + symbol + `"]}]}}],"database_specific":{"url":"https://example.com/"}}`
		if err := os.WriteFile(filepath.Join(dir, "GO-2026-9999.json"), []byte(entry), 0o600); err != nil {
			t.Fatal(err)
		}
		return "file://" + filepath.ToSlash(dir)
	}
	for name, row := range map[string]struct {
		environment, arguments []string
		passes                 bool
		says, lists            string
	}{
		"called":       {arguments: []string{"-db", database("Command.ExecuteContext")}, says: "GO-2026-9999"},
		"not called":   {arguments: []string{"-db", database("Command.GenZshCompletionFileNoDesc")}, passes: true, says: "No vulnerabilities found"},
		"out of reach": {environment: []string{"HTTPS_PROXY=http://127.0.0.1:1"}, passes: true, says: "govulncheck: database out of reach: not run", lists: "database"},
		"no database":  {arguments: []string{"-db", "file:///no-such-directory"}, says: "no-such-directory"},
	} {
		list := filepath.Join(t.TempDir(), "not-run")
		cmd := exec.CommandContext(t.Context(), filepath.Join(root, ".ci", "vulnerabilities"), append([]string{string(tool[1])}, row.arguments...)...)
		cmd.Env = append(append(os.Environ(), NotRunFile+"="+list), row.environment...)
		said, err := cmd.CombinedOutput()
		if (err == nil) != row.passes || !strings.Contains(string(said), row.says) {
			t.Errorf("%s: got %v and\n%s\nwant passed %t and %q", name, err, said, row.passes, row.says)
		}
		listed, _ := os.ReadFile(filepath.Clean(list))
		if (len(listed) > 0) != (row.lists != "") || !strings.Contains(string(listed), row.lists) {
			t.Errorf("%s: got list %q, want %q", name, listed, row.lists)
		}
	}
}
