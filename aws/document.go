package aws

import "strconv"

// Document is a Session Manager document with its parameters.
type Document struct {
	Name       string
	Parameters map[string][]string
}

// PortForward forwards to a port of the target container itself.
func PortForward(port uint16) Document {
	return Document{Name: "AWS-StartPortForwardingSession", Parameters: portParameters(port)}
}

// PortForwardTo forwards through the target to another host, which the agent resolves when the session starts.
func PortForwardTo(host string, port uint16) Document {
	p := portParameters(port)
	p["host"] = []string{host}
	return Document{Name: "AWS-StartPortForwardingSessionToRemoteHost", Parameters: p}
}

// portParameters leaves the choice of the local port to culvert: the agent only echoes localPortNumber.
func portParameters(port uint16) map[string][]string {
	return map[string][]string{"portNumber": {strconv.Itoa(int(port))}, "localPortNumber": {"0"}}
}
