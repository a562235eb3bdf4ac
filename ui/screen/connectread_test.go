package screen

import (
	"testing"

	"culvert/aws"
)

// servicesAlone is the sample account before the tasks of its services have come.
func servicesAlone() (partly, whole *aws.Catalog, of aws.Sight) {
	whole = counted(sampleAccount())
	partly = bare()
	partly.Clusters[0].Services = whole.Clusters[0].Services
	return partly, whole, aws.Sight{Cluster: whole.Clusters[0].Name, Parts: inside}
}

// Who is quicker than AWS has the form at once, is told that it is not complete, and sees it filled in.
func TestAFormOfAServiceWhoseTasksAreStillReadFillsItselfIn(t *testing.T) {
	partly, whole, of := servicesAlone()
	open := func(t *testing.T) *app {
		t.Helper()
		a := newTestApp(t, Options{}, 100, 40)
		glimpse(a, partly, clusters)
		press(t, a, "enter")
		glimpse(a, partly, clusters)
		a.browse.table().MoveTo("squid")
		press(t, a, "F")
		want(t, a, "forward automation/squid", "the tasks of the service are still being read", "a port, as 5432")
		return a
	}
	t.Run("as it is", func(t *testing.T) {
		a := open(t)
		glimpse(a, whole, clusters, of)
		settle(t, a, a.grant(a.dialog.(*connect).askFree()))
		want(t, a, "any ready task of the service, now 2 of 2", "remote port   3128")
		wantNot(t, a, "still being read", "no task of the service is ready")
		says(t, a, "--target automation/squid -L ")
	})
	t.Run("with a port that was typed", func(t *testing.T) {
		a := open(t)
		typed(t, a, "9000")
		glimpse(a, whole, clusters, of)
		want(t, a, "now 2 of 2", "remote port   9000", "local port    9000")
	})
	t.Run("with a host that was typed", func(t *testing.T) {
		a := open(t)
		press(t, a, "down")
		typed(t, a, "db.internal")
		glimpse(a, whole, clusters, of)
		want(t, a, "now 2 of 2", "▌ remote host   db.internal", "a port, as 5432")
	})
	t.Run("and none is ready", func(t *testing.T) {
		a := open(t)
		glimpse(a, partly, clusters, of)
		want(t, a, "no task of the service is ready now; the tunnel waits for one")
		glimpse(a, whole, clusters, of) // one is started
		want(t, a, "now 2 of 2", "remote port   3128")
	})
	t.Run("whose ports come after its containers", func(t *testing.T) {
		portless := counted(sampleAccount())
		for i := range portless.Clusters[0].Tasks {
			for j := range portless.Clusters[0].Tasks[i].Containers {
				portless.Clusters[0].Tasks[i].Containers[j].Ports = nil
			}
		}
		a := open(t)
		press(t, a, "down")
		glimpse(a, portless, clusters)
		want(t, a, "now 2 of 2", "a port, as 5432")
		glimpse(a, whole, clusters, of)
		want(t, a, "remote port   3128", "▌ remote host")
	})
	t.Run("of several containers", func(t *testing.T) {
		several := counted(sampleAccount())
		for i := range several.Clusters[0].Tasks {
			if task := &several.Clusters[0].Tasks[i]; task.Service == "squid" {
				other := task.Containers[0]
				other.Name, other.Ports = "log-router", nil
				task.Containers = append(task.Containers, other)
			}
		}
		a := open(t)
		press(t, a, "down", "down")
		glimpse(a, several, clusters, of)
		want(t, a, "container     squid", "remote port   3128", "▌ local port    3128")
	})
}

// Nobody reads the tasks of a tunnel's service in an account that is not looked at.
func TestAFormDoesNotClaimThatSomebodyReads(t *testing.T) {
	a := newTestApp(t, Options{}, 100, 40)
	glimpse(a, bare(), clusters)
	a.here.looking = false
	r := addRow(a, somewhere("127.0.0.1:3128"))
	settle(t, a, a.grant(editForward(r)))
	want(t, a, "any ready task of the service; followed through deployments")
	wantNot(t, a, "being read")
}
