package emulator

import (
	"strings"
	"testing"
	"time"

	"culvert/internal/need"
)

func TestAWSCommandLineSeesNetworksRangesTaskSetsAndFamilies(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	pair := func(network string) Task {
		task := Task{Network: network, Containers: []Container{
			{Name: "app", Ports: map[uint16]string{80: ""}, Ranges: []string{"3000-4000"}},
			{Name: "prepare", Over: true, NonEssential: true},
		}}
		if network != "awsvpc" {
			task.Launch = "EC2"
		}
		return task
	}
	var services []Service
	for _, network := range []string{"awsvpc", "bridge", "host", "none"} {
		services = append(services, Service{Name: network, Count: 1, Task: pair(network)})
	}
	next := pair("awsvpc")
	next.Revision = 2
	for _, controller := range []string{"CODE_DEPLOY", "EXTERNAL"} {
		services = append(services, Service{Name: controller, Count: 1, Task: pair("awsvpc"), Controller: controller, Rollout: &Rollout{Task: next, Running: 1}, Steady: true})
	}
	e := open(t, Options{Fleet: Fleet{Clusters: []Cluster{{Name: "c", Services: services}}}, Pace: 5 * time.Millisecond})
	aws := awsCLI(t, e)

	for network, bindings := range map[string]int{"awsvpc": 0, "bridge": 2, "host": 0, "none": 0} {
		var tasks struct {
			Tasks []struct {
				Attachments []struct{ Type string }
				Containers  []struct {
					Name, LastStatus string
					ExitCode         *int
					NetworkBindings  []struct {
						ContainerPort, HostPort int
						ContainerPortRange      string
						Protocol                string
					}
				}
			}
		}
		aws.must(t, &tasks, "ecs", "describe-tasks", "--cluster", "c", "--tasks", e.Tasks("c", network)[0])
		task := tasks.Tasks[0]
		if attached := len(task.Attachments) == 1; attached != (network == "awsvpc") || len(task.Containers[0].NetworkBindings) != bindings {
			t.Errorf("%s: got %+v", network, task)
		}
		if over := task.Containers[1]; over.LastStatus != "STOPPED" || over.ExitCode == nil || *over.ExitCode != 0 {
			t.Errorf("%s: got %+v, want a container that is over", network, over)
		}
		var defined struct {
			TaskDefinition struct {
				NetworkMode          string
				ContainerDefinitions []struct {
					PortMappings []struct {
						ContainerPort      int
						ContainerPortRange string
					}
				}
			}
		}
		aws.must(t, &defined, "ecs", "describe-task-definition", "--task-definition", network)
		mappings := defined.TaskDefinition.ContainerDefinitions[0].PortMappings
		if defined.TaskDefinition.NetworkMode != network || len(mappings) != 2 || mappings[0].ContainerPort != 80 || mappings[1].ContainerPortRange != "3000-4000" {
			t.Errorf("%s: got %+v", network, defined)
		}
	}
	for _, controller := range []string{"CODE_DEPLOY", "EXTERNAL"} {
		var described struct {
			Services []struct {
				TaskDefinition string
				Deployments    []struct{ Status string }
				TaskSets       []struct{ ID, Status, TaskDefinition string }
			}
		}
		aws.must(t, &described, "ecs", "describe-services", "--cluster", "c", "--services", controller)
		s := described.Services[0]
		if len(s.Deployments) != 0 || len(s.TaskSets) != 2 || s.TaskSets[0].Status != "PRIMARY" || !strings.HasSuffix(s.TaskSets[0].TaskDefinition, ":2") ||
			(s.TaskDefinition == "") != (controller == "EXTERNAL") {
			t.Errorf("%s: got %+v", controller, s)
		}
	}

	var run struct {
		Tasks []struct{ TaskARN, Group, StartedBy string }
	}
	aws.must(t, &run, "ecs", "run-task", "--cluster", "c", "--task-definition", "bridge", "--count", "2", "--enable-execute-command", "--started-by", "me")
	if len(run.Tasks) != 2 || run.Tasks[0].Group != "family:bridge" || run.Tasks[0].StartedBy != "me" {
		t.Errorf("got %+v, want two tasks of family bridge", run)
	}
	need.Eventually(t, "three tasks of the family", func() bool {
		var listed struct{ TaskARNs []string }
		aws.must(t, &listed, "ecs", "list-tasks", "--cluster", "c", "--family", "bridge")
		return len(listed.TaskARNs) == 3
	})
	aws.refused(t, "ClientException", "ecs", "run-task", "--cluster", "c", "--task-definition", "nosuch")
	aws.refused(t, "InvalidParameterException", "ecs", "run-task", "--cluster", "c", "--task-definition", "bridge", "--count", "11")
}
