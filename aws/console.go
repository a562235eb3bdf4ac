package aws

import (
	"net/url"
	"strings"
)

// NoConsoleError means that no address is known of a console for the account or partition.
type NoConsoleError struct {
	Endpoint, Partition string // what has no console; both are empty for the account inside culvert --demo
}

func (e *NoConsoleError) Error() string {
	switch {
	case e.Endpoint != "":
		return "there is no console for what answers at " + e.Endpoint
	case e.Partition != "":
		return "the address of the console in partition " + e.Partition + " is not known"
	}
	return "the demo account has no console"
}

// Remedy is to look at what culvert shows.
func (e *NoConsoleError) Remedy() string { return "the details here show what ECS tells" }

// Console is the address of the page that AWS's console has for a target: a service, a task, else the cluster. The page is of
// the account that the browser is signed in to; an address cannot choose that. The error is a *NoConsoleError.
func (c *Client) Console(at Target) (string, error) {
	host := map[string]string{ // AWS General Reference, "AWS Management Console endpoints"
		"aws": "console.aws.amazon.com", "aws-cn": "console.amazonaws.cn", "aws-us-gov": "console.amazonaws-us-gov.com", "aws-eusc": "console.amazonaws-eusc.eu",
	}[c.partition()]
	switch endpoint := c.ecs.Options().BaseEndpoint; {
	case c.shell.Demo:
		return "", &NoConsoleError{}
	case endpoint != nil:
		return "", &NoConsoleError{Endpoint: *endpoint}
	case host == "":
		return "", &NoConsoleError{Partition: c.partition()}
	}
	path := []string{"ecs", "v2", "clusters", at.Cluster}
	switch {
	case at.Task != "":
		if at.Service != "" {
			path = append(path, "services", at.Service)
		}
		path = append(path, "tasks", at.Task, "configuration")
	case at.Service != "":
		path = append(path, "services", at.Service, "health")
	default:
		path = append(path, "services")
	}
	for i := range path {
		path[i] = url.PathEscape(path[i])
	}
	return "https://" + c.region + "." + host + "/" + strings.Join(path, "/") + "?region=" + url.QueryEscape(c.region), nil
}
