package screen

import (
	"fmt"
	"testing"

	"culvert/aws/emulator"
	"culvert/tunnel"
)

// From the first page of the demo to a forward to a database: the page, the dialog, and a yes.
func TestADatabaseIsForwardedToInThreeKeys(t *testing.T) {
	l, account := worldOf(t, Options{Demo: true}, emulator.Demo())
	l.until("automation", "as of")
	if n := account.Calls("DescribeDBInstances"); n > 0 {
		t.Errorf("RDS was asked %d times before anybody wanted to see hosts", n)
	}
	l.press("H")
	l.until("private hosts 4", "▌postgres", "orders-db", "● admitted", "◐ not checked", "✕ no rule", "as of")
	if n := account.Calls("DescribeDBInstances"); n != 1 {
		t.Errorf("RDS was asked %d times, want once", n)
	}
	l.press("F")
	l.until("forward shop/web", "remote port   5432", "remote host   orders-db.internal", "admitted", "  free")
	l.press("enter")
	l.until("● open", "orders-db.internal:5432")
	r := l.a.tunnels.rows[0]
	if got := fmt.Sprint(r.Spec.Remote); got != fmt.Sprint(tunnel.Endpoint{Host: "orders-db.internal", Port: 5432}) {
		t.Errorf("the tunnel leads to %s", got)
	}
}
