package screen

import (
	"strings"
	"testing"

	"culvert/aws/emulator"
	"culvert/tunnel"
)

// A program that is not there, a destination that is no database and one that nothing leads to: each is said, and nothing is opened.
func TestAProgramThatCannotRunIsSaid(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	l, account := worldOf(t, Options{Demo: true}, emulator.Demo())
	l.until("automation", "as of")
	l.press("H")
	l.until("private hosts 4", "▌postgres", "orders-db", "as of")
	l.press("s")
	l.until("psql is not installed here, or not in PATH", "culvert db orders-db")
	l.press("G")
	l.press("s")
	l.until("web (web.internal:80) is http, and culvert knows no program for that", "--to web.internal:80")
	l.press("k")
	l.press("s")
	l.until("no rule of sg-")
	if n := len(account.Sessions()); n > 0 || len(l.a.tunnels.rows) > 0 {
		t.Errorf("%d sessions were opened for it", n)
	}
}

func TestReadOnlyRunsNoProgram(t *testing.T) {
	l, _ := worldOf(t, Options{Demo: true, ReadOnly: true}, emulator.Demo())
	l.until("automation", "as of")
	l.press("H")
	l.until("private hosts 4", "▌postgres", "as of")
	l.press("s")
	l.until("--read-only: it opens and ends nothing")
}

func TestALineForADatabaseIsAmongWhatIsCopied(t *testing.T) {
	r := somewhere("127.0.0.1:3128")
	r.Spec.Remote = tunnel.Endpoint{Host: "orders-db.internal", Port: 5432}
	var found string
	for _, c := range copyables(r, tunnel.ProtocolPostgres) {
		if c.Name == "exports" {
			found = c.Text
		}
	}
	if want := "export PGHOST=orders-db.internal PGHOSTADDR=127.0.0.1 PGPORT=3128 PGSSLMODE=verify-full PGSSLROOTCERT="; !strings.HasPrefix(found, want) {
		t.Errorf("got %q, want %q", found, want)
	}
}
