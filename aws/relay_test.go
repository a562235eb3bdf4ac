package aws

import (
	"strings"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

func relayMappings(mappings ...types.PortMapping) types.ContainerDefinition {
	return types.ContainerDefinition{Name: sdk.String("culvert-relay"), PortMappings: mappings}
}

func relayPort(port int32) types.PortMapping {
	return types.PortMapping{Name: sdk.String(RelayName), ContainerPort: &port, Protocol: types.TransportProtocolTcp}
}

// Whoever wrote the task definition is not who uses it.
func TestAMappingOfARelayIsReadAsItIs(t *testing.T) {
	ranged, udp, odd, unsaid, cased, both := relayPort(0), relayPort(7300), relayPort(7300), relayPort(7300), relayPort(7300), relayPort(7300)
	ranged.ContainerPort, ranged.ContainerPortRange = nil, sdk.String("7300-7310")
	udp.Protocol, odd.Protocol, unsaid.Protocol = types.TransportProtocolUdp, "\x1b[2Jtcp", ""
	cased.Name = sdk.String("Culvert-Relay")
	both.ContainerPortRange = sdk.String("x-y")
	squid := types.ContainerDefinition{Name: sdk.String("squid"), PortMappings: []types.PortMapping{{Name: sdk.String("proxy"), ContainerPort: sdk.Int32(3128)}}}
	last := make([]types.PortMapping, maxMappings, maxMappings+1)
	for name, test := range map[string]struct {
		containers []types.ContainerDefinition
		port       uint16
		problem    string
	}{
		"none":                   {[]types.ContainerDefinition{squid}, 0, "no port mapping of its task definition is named culvert-relay"},
		"no containers":          {nil, 0, "no port mapping"},
		"one":                    {[]types.ContainerDefinition{squid, relayMappings(relayPort(7300))}, 7300, ""},
		"no protocol said":       {[]types.ContainerDefinition{squid, relayMappings(unsaid)}, 7300, ""},
		"another spelling":       {[]types.ContainerDefinition{squid, relayMappings(cased)}, 0, "no port mapping"},
		"no port":                {[]types.ContainerDefinition{relayMappings(types.PortMapping{Name: sdk.String(RelayName)})}, 0, "no port that there is"},
		"port 0":                 {[]types.ContainerDefinition{relayMappings(relayPort(0))}, 0, "no port that there is"},
		"below 0":                {[]types.ContainerDefinition{relayMappings(relayPort(-1))}, 0, "no port that there is"},
		"beyond the last":        {[]types.ContainerDefinition{relayMappings(relayPort(65536))}, 0, "no port that there is"},
		"a range":                {[]types.ContainerDefinition{relayMappings(ranged)}, 0, "of a range, 7300-7310"},
		"no range":               {[]types.ContainerDefinition{relayMappings(both)}, 0, "no port that there is"},
		"udp":                    {[]types.ContainerDefinition{relayMappings(udp)}, 0, "is of udp"},
		"a protocol of its own":  {[]types.ContainerDefinition{relayMappings(odd)}, 0, "is of "},
		"twice in a container":   {[]types.ContainerDefinition{relayMappings(relayPort(7300), relayPort(7300))}, 0, "two port mappings have that name"},
		"in two containers":      {[]types.ContainerDefinition{relayMappings(relayPort(7300)), squid, relayMappings(relayPort(7301))}, 0, "two port mappings have that name"},
		"a good one after a bad": {[]types.ContainerDefinition{relayMappings(relayPort(0)), relayMappings(relayPort(7300))}, 0, "two port mappings have that name"},
		"beyond what is read":    {[]types.ContainerDefinition{relayMappings(append(last, relayPort(7300))...)}, 0, "no port mapping"},
	} {
		d := definitionFrom(types.TaskDefinition{ContainerDefinitions: test.containers, NetworkMode: types.NetworkModeAwsvpc})
		got, err := d.relay(Task{NetworkMode: networkVPC}, Target{Container: "squid"})
		if got.Port != test.port || (err == nil) != (test.problem == "") || !strings.Contains(text(err), test.problem) {
			t.Errorf("%s: got port %d, %v; want %d, %q", name, got.Port, err, test.port, test.problem)
		}
		if strings.ContainsRune(text(err), 0x1b) {
			t.Errorf("%s: %q acts on a terminal", name, text(err))
		}
	}
}

// A port on the loopback address is reached from where that is the same.
func TestARelayIsReachedWhereTheLoopbackIsTheSame(t *testing.T) {
	d := definitionFrom(types.TaskDefinition{ContainerDefinitions: []types.ContainerDefinition{
		{Name: sdk.String("squid")}, relayMappings(relayPort(7300)),
	}})
	for network, want := range map[string]string{
		"awsvpc": "squid culvert-relay", "host": "squid culvert-relay", "bridge": "culvert-relay", "default": "culvert-relay", "": "culvert-relay",
	} {
		var reached []string
		for _, container := range []string{"squid", "culvert-relay"} {
			if _, err := d.relay(Task{NetworkMode: network}, Target{Container: container}); err == nil {
				reached = append(reached, container)
			} else if e := mustBe[*NoRelayError](t, err); e.Why != RelayApart || e.Container != "culvert-relay" {
				t.Errorf("%s, %s: got %v", network, container, err)
			}
		}
		if got := strings.Join(reached, " "); got != want {
			t.Errorf("%q: reached from %s, want %s", network, got, want)
		}
	}
	over := Task{NetworkMode: networkVPC, Containers: []Container{{Name: "squid"}, {Name: "culvert-relay", Status: "STOPPED", Reason: "exit code 1"}}}
	_, err := d.relay(over, Target{Container: "squid"})
	if e := mustBe[*NoRelayError](t, err); e.Why != RelayOver {
		t.Errorf("a relay that has stopped: got %v", err)
	}
	mustSay(t, err, "its container culvert-relay has stopped (exit code 1)")
}

func TestWhatATaskAffords(t *testing.T) {
	for _, test := range []struct {
		cpu, memory string
		own         int32 // MiB of the container's
		sessions    int
		small       bool
	}{
		{"256", "512", 0, 2, true},
		{"512", "1024", 0, 4, true},
		{"1024", "2048", 0, 8, false},
		{"1024", "1024", 0, 8, false},
		{"2048", "4096", 0, 16, false},
		{"16384", "32768", 0, 16, false},
		{"1024", "2048", 256, 3, true},
		{"1024", "2048", 100, 1, true},
		{"", "", 0, 4, false},
		{"a lot", "1 GB", 0, 4, false},
		{"-1024", "-1", -1, 4, false},
		{"99999999999999999999", "99999999999999999999", 0, 16, false},
	} {
		d := definitionFrom(types.TaskDefinition{Cpu: &test.cpu, Memory: &test.memory, ContainerDefinitions: []types.ContainerDefinition{
			{Name: sdk.String("squid"), Memory: &test.own}, relayMappings(relayPort(7300)),
		}})
		got, err := d.relay(Task{NetworkMode: networkVPC}, Target{Container: "squid"})
		if err != nil || got.Affords() != test.sessions || got.Small() != test.small {
			t.Errorf("%s units, %s MiB, %d of its own: got %+v, %d sessions, small %t (%v); want %d, %t", test.cpu, test.memory, test.own, got, got.Affords(), got.Small(), err, test.sessions, test.small)
		}
	}
}
