package screen

import (
	"testing"

	"culvert/tunnel"
)

func TestAShellIsOfferedWhereThereIsAContainerForIt(t *testing.T) {
	a := visiting(t, sampleAccount(), 100, 30)
	press(t, a, "enter", "enter", "s")
	want(t, a, "not signed in yet")
	a.here.engine = &tunnel.Engine{}
	press(t, a, "s")
	want(t, a, "its exec agent is still starting")
	press(t, a, "esc", "esc", "G", "enter", "enter", "s")
	want(t, a, "a shell in", "1  nginx", "2  app")
	press(t, a, "esc")
	press(t, a, "i")
	want(t, a, "s shell")
	press(t, a, "s") // from its details as well
	want(t, a, "a shell in", "1  nginx", "2  app")
	press(t, a, "esc", "esc", "esc", "i")
	wantNot(t, a, "s shell") // a service has no container
	a.here.engine = nil

	a = newTestApp(t, Options{ReadOnly: true}, 100, 30)
	arrives(a, sampleAccount())
	press(t, a, "enter", "enter", "s")
	want(t, a, (&ReadOnlyError{}).Error())
	press(t, a, "esc", "s")
	want(t, a, "no tunnel is open that could be saved") // on a service it is for saving
}
