package screen

import (
	"culvert/aws"
	"culvert/tunnel"
)

// Workflow is a step of a GitHub Actions workflow, for callers other than the screen.
type Workflow struct {
	Action    string // the action as owner/name@version; empty when it is not known
	Target    aws.Target
	Forwards  []tunnel.Forward // at least one
	ProxyUser string
	Further   [][2]string // names and values of other inputs, which are among WorkflowInputs
}

// WorkflowInputs returns the inputs of the action that are flags of the same name.
func WorkflowInputs() []string {
	return []string{"region", "role-arn", "profile", "endpoint-url", "probe", "wait", "lanes", "spread", "keep-alive", "proxy-password-file"}
}

// Text is the text of the step, as the screen copies it.
func (w Workflow) Text() string {
	return recipe{action: w.Action, target: w.Target, forward: w.Forwards[0], also: w.Forwards[1:], user: w.ProxyUser, inputs: w.Further}.step()
}
