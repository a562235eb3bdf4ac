package cli

import (
	"strings"
	"testing"

	"culvert/aws"
)

// ECS Exec may be on for a service and off for each of its tasks: then nothing of it can be reached.
func TestTheListSaysThatAllTasksHaveExecOff(t *testing.T) {
	tasks := []aws.Task{{Service: "web", Status: "RUNNING"}, {Service: "web", Status: "RUNNING"}, {Service: "other", Status: "RUNNING", ExecEnabled: true}}
	cluster := aws.Cluster{Name: "shop", Services: []aws.Service{{Name: "web", Cluster: "shop", ExecEnabled: true}}, Tasks: tasks}
	list := func() string {
		return newListing("eu-west-1", listServices, []aws.Cluster{cluster}, nil).table(listServices)
	}
	if got := list(); !strings.Contains(got, "on, tasks off") {
		t.Errorf("got\n%s", got)
	}
	tasks[0].ExecEnabled = true
	if got := list(); strings.Contains(got, "tasks off") {
		t.Errorf("with one task that can be reached: got\n%s", got)
	}
}
