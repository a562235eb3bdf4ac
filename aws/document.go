package aws

import (
	"fmt"
	"strconv"
	"strings"
)

// Document is a Session Manager document with its parameters.
type Document struct {
	Name       string
	Parameters map[string][]string
}

// PortForward forwards to a port of the target container itself.
func PortForward(port uint16) Document {
	return Document{Name: "AWS-StartPortForwardingSession", Parameters: portParameters(port)}
}

// PortForwardTo forwards through the target to another host, whose name the agent resolves when the session starts.
func PortForwardTo(host string, port uint16) Document {
	p := portParameters(port)
	p["host"] = []string{host}
	return Document{Name: "AWS-StartPortForwardingSessionToRemoteHost", Parameters: p}
}

// Document is the document with which the client's sessions are started: the account's own, where Options.Document names one,
// with the same parameters, else d.
func (c *Client) Document(d Document) Document {
	if c.ownDocument != "" {
		d.Name = c.ownDocument
	}
	return d
}

// CheckDocument refuses what cannot be the name or ARN of a document (SSM API Reference, StartSession, DocumentName), with a
// *DocumentNameError.
func CheckDocument(name string) error {
	strange := strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("_-.:/", r)
	})
	if strange || len(name) < 3 || len(name) > 128 || strings.HasPrefix(name, "arn:") && !strings.Contains(name, ":document/") {
		return &DocumentNameError{Name: name}
	}
	return nil
}

// DocumentNameError is a name that no Session Manager document can have.
type DocumentNameError struct{ Name string }

func (e *DocumentNameError) Error() string { return fmt.Sprintf("%q names no document", e.Name) }

// Remedy says what a document has to be.
func (e *DocumentNameError) Remedy() string {
	return "give the name or ARN of a Session document of type Port with the parameters portNumber and localPortNumber, and host for other hosts than the task"
}

// portParameters leaves the choice of the local port to culvert: the agent only repeats localPortNumber.
func portParameters(port uint16) map[string][]string {
	return map[string][]string{"portNumber": {strconv.Itoa(int(port))}, "localPortNumber": {"0"}}
}
