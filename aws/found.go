package aws

import (
	"fmt"
	"strings"

	"culvert/internal/say"
)

// NotFoundError means that nothing of that kind has that name here.
type NotFoundError struct {
	Kind            string // cluster, service, task, container, target or destination
	Name, In        string // In is what was searched, for instance "cluster shop"; empty for the region
	Near            []string
	Region, Account string // what was searched; empty when it does not matter
	Shell           Shell
	Err             error
}

func (e *NotFoundError) Error() string {
	text := fmt.Sprintf("no %s %q", e.Kind, say.Brief(e.Name))
	if e.In != "" {
		text += " in " + e.In
	}
	if e.Region != "" {
		text += " (" + e.Region
		if e.Account != "" {
			text += ", account " + e.Account
		}
		text += ")"
	}
	return text
}
func (e *NotFoundError) Unwrap() error { return e.Err }

// Remedy lists the nearest names, else how to see what there is.
func (e *NotFoundError) Remedy() string {
	switch {
	case len(e.Near) > 0:
		return "the nearest are: " + strings.Join(e.Near, ", ")
	case e.Kind == "destination":
		return e.Shell.Culvert("list", "hosts") + " shows what there is"
	case e.Region != "":
		return e.Shell.Culvert("list") + " shows what there is; --region, --profile and --role-arn choose where to look"
	}
	return e.Shell.Culvert("list") + " shows what there is"
}

// AmbiguousError means that several things have a name, or that no name was given, and that culvert does not choose for the
// user.
type AmbiguousError struct {
	Kind       string // cluster, service, task, container, target or destination
	Name, In   string // Name is empty when none was given
	Why        string // why the choice matters; empty when that is obvious
	Candidates []string
}

func (e *AmbiguousError) Error() string {
	text := fmt.Sprintf("several %ss to choose from", e.Kind)
	if e.Name != "" {
		text = fmt.Sprintf("%s %q may be any of several", e.Kind, say.Brief(e.Name))
	}
	if e.In != "" {
		text += " in " + e.In
	}
	if e.Why != "" {
		text += ": " + e.Why
	}
	return text
}

// Remedy lists the candidates.
func (e *AmbiguousError) Remedy() string {
	candidates, more := e.Candidates, ""
	if len(candidates) > 12 {
		candidates, more = candidates[:12], fmt.Sprintf(" and %d more", len(e.Candidates)-12)
	}
	if e.Kind == "destination" {
		return "name one by its address: " + strings.Join(candidates, ", ") + more
	}
	flag := map[string]string{"container": "--container", "service": "--service", "cluster": "--cluster", "task": "--task"}[e.Kind]
	return fmt.Sprintf("name one with %s: %s%s", orWord(flag, "--target"), strings.Join(candidates, ", "), more)
}

// DocumentError means that Session Manager has no such document here, or that the document does not fit.
type DocumentError struct {
	Document, Region, Message string
	Unfit                     bool // it exists, but takes other parameters
	Shell                     Shell
	Err                       error
}

func (e *DocumentError) Error() string {
	if e.Unfit {
		return fmt.Sprintf("document %s does not take what a forward needs: %s", e.Document, e.Message)
	}
	return fmt.Sprintf("no document %s in %s: %s", e.Document, e.Region, e.Message)
}
func (e *DocumentError) Unwrap() error { return e.Err }

// Remedy says how to see the document.
func (e *DocumentError) Remedy() string {
	if e.Unfit {
		return "give it the parameters portNumber, localPortNumber and host, as AWS-StartPortForwardingSessionToRemoteHost has them, and look: " +
			e.Shell.AWS("ssm", "get-document", "--name", e.Document)
	}
	return "run: " + e.Shell.AWS("ssm", "describe-document", "--name", e.Document) + "; a partition without it cannot forward ports"
}

// GapError is a part of the account that could not be listed.
type GapError struct {
	What     string   // clusters, services, tasks, task definitions
	Clusters []string // where; empty for the whole region
	Err      error
}

func (g *GapError) Error() string {
	where := ""
	switch n := len(g.Clusters); {
	case n == 1:
		where = " of cluster " + g.Clusters[0]
	case n > 3:
		where = fmt.Sprintf(" of %d clusters (%s, …)", n, strings.Join(g.Clusters[:3], ", "))
	case n > 1:
		where = " of clusters " + strings.Join(g.Clusters, ", ")
	}
	return fmt.Sprintf("list %s%s: %v", g.What, where, g.Err)
}
func (g *GapError) Unwrap() error { return g.Err }

// Remedy is the remedy of the cause, else to try again.
func (g *GapError) Remedy() string {
	return orWord(say.Remedy(g.Err), "try again")
}
