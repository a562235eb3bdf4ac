package aws

import (
	"slices"
	"strconv"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"culvert/internal/say"
)

// Port is a port mapping of the task definition.
type Port struct {
	Container uint16 // the first port of a range
	Last      uint16 // the last port of a range (containerPortRange); 0 for a single port
	Protocol  string // tcp or udp
	Name      string
}

// String is the port, or the range, as ECS writes it: 3000-4000.
func (p Port) String() string {
	if p.Last == 0 {
		return strconv.Itoa(int(p.Container))
	}
	return strconv.Itoa(int(p.Container)) + "-" + strconv.Itoa(int(p.Last))
}

// holds reports whether a port is in the mapping.
func (p Port) holds(port uint16) bool { return p.Container <= port && port <= max(p.Container, p.Last) }

// maxMappings bounds how many mappings of a container are read; ECS takes a hundred.
const maxMappings = 100

// portsFrom are the port mappings of a container that can be read.
func portsFrom(mappings []types.PortMapping) []Port {
	var ports []Port
	for _, m := range mappings[:min(len(mappings), maxMappings)] {
		if p, ok := portFrom(sdk.ToInt32(m.ContainerPort), sdk.ToString(m.ContainerPortRange), m.Protocol); ok {
			p.Name = sdk.ToString(m.Name)
			ports = append(ports, p)
		}
	}
	return ports
}

// boundPorts are the ports that ECS has bound to the host. DescribeTasks tells nothing else of mappings, and these only in the
// network modes bridge and host.
func boundPorts(bindings []types.NetworkBinding) []Port {
	var ports []Port
	for _, b := range bindings[:min(len(bindings), maxMappings)] {
		p, ok := portFrom(sdk.ToInt32(b.ContainerPort), sdk.ToString(b.ContainerPortRange), b.Protocol)
		if ok && !slices.Contains(ports, p) { // IPv4 and IPv6 have the same
			ports = append(ports, p)
		}
	}
	return ports
}

func portFrom(single int32, span string, protocol types.TransportProtocol) (Port, bool) {
	first, last := strconv.Itoa(int(single)), "0"
	if low, high, ok := strings.Cut(span, "-"); ok {
		first, last = low, high
	}
	from, errFrom := strconv.ParseUint(first, 10, 16)
	to, errTo := strconv.ParseUint(last, 10, 16)
	if errFrom != nil || errTo != nil || from == 0 || last != "0" && to < from {
		return Port{}, false
	}
	if to == from {
		to = 0
	}
	return Port{Container: uint16(from), Last: uint16(to), Protocol: orWord(say.Brief(string(protocol)), "tcp")}, true
}
