package cli

import (
	"strings"
	"testing"

	"culvert/tunnel"
	"culvert/ui/screen"
)

// A saved tunnel to a name is written and changed as one, and reads back as what it was.
func TestASavedTunnelToANameIsWrittenAsOne(t *testing.T) {
	named := func(form string) tunnel.Forward {
		f, err := tunnel.ParseNamed(form)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	const file = "tunnels:\n  orders: {to: orders-db, lanes: 2} # mine\n"
	was, _ := asWritten(t, file, "orders")
	if was.Forward != named("orders-db") || was.Target.String() != "" {
		t.Fatalf("got %+v", was)
	}
	is := was
	is.Forward = named("15432:orders-db")
	fresh := screen.SavedTunnel{Name: "yes", Forward: named("0:5432"), Target: toSave(t, "", "c/s", "1").Target}
	got, err := changed("f", []byte(file), []screen.Change{{Was: was, Is: is}, {Is: fresh}}, sharedKeys())
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{`  orders: {to: '15432:orders-db', lanes: 2} # mine`, `{target: c/s, to: "0:5432"}`} {
		if !strings.Contains(string(got), line) {
			t.Errorf("got\n%s\nwant %s in it", got, line)
		}
	}
	if again, _ := asWritten(t, string(got), "yes"); again.Forward != fresh.Forward || again.Target != fresh.Target {
		t.Errorf("it reads back as %+v", again)
	}
}

// What a file says beside to that cannot be meant is refused with its line, in a project's file as in the user's own.
func TestASavedTunnelToANameRefusesWhatCannotBeMeant(t *testing.T) {
	for body, words := range map[string][]string{
		"{to: orders-db, forward: \"1\"}":          {"tunnel x has to, and forward or dynamic as well", "keep one of the two"},
		"{to: orders-db, dynamic: 1080}":           {"tunnel x has to, and forward or dynamic as well", "keep one of the two"},
		"{to: orders-db, warm: [\"a:1\"]}":         {"tunnel x has warm, which is for dynamic", "dynamic: PORT"},
		"{to: \"\"}":                               {"it is empty", "15432:orders-db"},
		"{to: \"a\\u001b[2Jb\"}":                   {"a control character", "15432:orders-db"},
		"{to: \"orders-db:70000\"}":                {"is not in 1–65535", "15432:orders-db"},
		"{to: \"70000:orders-db\"}":                {"the local port 70000 is not in 0–65535", "15432:orders-db"},
		"{to: localhost}":                          {"is this machine", "15432:orders-db"},
		"{to: [a, b]}":                             {"to", "to"},
		"{to: {name: a}}":                          {"to", "to"},
		"{to: " + strings.Repeat("a", 3_000) + "}": {"more than 2048 characters", "15432:orders-db"},
	} {
		for _, project := range []bool{false, true} {
			own, theirs := "tunnels: {x: "+body+"}\n", ""
			if project {
				own, theirs = theirs, own
			}
			inDirectory(t, own, theirs)
			_, err := resolved(t)
			mustRefuse(t, err, append([]string{"line 1: "}, words...)...)
		}
	}
}
