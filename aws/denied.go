package aws

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"

	"culvert/internal/pattern"
)

// DeniedError means that a policy does not allow an action.
type DeniedError struct {
	Action    string // service:Operation
	Resource  string // as AWS names it; empty when it does not
	Principal string // ARN; empty when not known
	Why       string // AWS's own reason: which policy denies, or lacks the permission; empty when AWS gives none
	Statement Statement
	Shell     Shell // writes the commands of the remedy
	Err       error
}

// Statement is the policy statement that a caller lacks.
type Statement struct {
	Sid       string                    `json:"Sid,omitempty"`
	Effect    string                    `json:"Effect"`
	Action    []string                  `json:"Action"`
	Resource  []string                  `json:"Resource"`
	Condition map[string]map[string]any `json:"Condition,omitempty"`
}

// String is the statement as it is pasted into a policy, on one line.
func (s Statement) String() string { return statementJSON(s) }

func (e *DeniedError) Error() string {
	text := "not allowed: " + e.Action
	if e.Resource != "" && e.Resource != "*" {
		text += " on " + e.Resource
	}
	if e.Principal != "" {
		text += " for " + e.Principal
	}
	if e.Why != "" {
		text += " (" + e.Why + ")"
	}
	return text
}
func (e *DeniedError) Unwrap() error { return e.Err }

// Remedy is the missing statement, with the ARNs of this account.
func (e *DeniedError) Remedy() string {
	who := "the caller"
	if e.Principal != "" {
		who = roleOf(e.Principal)
	}
	statement := statementJSON(e.Statement)
	switch {
	case e.Action == "sts:AssumeRole" && e.Why == "":
		return fmt.Sprintf("let the trust policy of %s name %s, and add to the policy of %s: %s", orWord(e.Resource, "the role"), who, who, statement)
	case strings.Contains(e.Why, "explicit deny"):
		return fmt.Sprintf("a deny outweighs every allow: whoever owns the policy (%s) must exempt %s; the least that is needed is %s", e.Why, who, statement)
	case strings.Contains(e.Why, "service control policy"), strings.Contains(e.Why, "permissions boundary"),
		strings.Contains(e.Why, "session policy"), strings.Contains(e.Why, "endpoint policy"), strings.Contains(e.Why, "resource control policy"):
		return fmt.Sprintf("a policy above %s must allow it as well (%s): %s", who, e.Why, statement)
	case strings.Contains(statement, unknownRoleID):
		return fmt.Sprintf("add to the policy of %s: %s, with the id of the role in place of %s: %s prints it", who, statement, unknownRoleID, e.Shell.Culvert("doctor", "policy"))
	case strings.HasPrefix(e.Action, "ssm:") && e.ofAnotherName():
		return fmt.Sprintf("the session was opened under another name than %s has now: have whatever assumes %s name its sessions always the same "+
			"(role_session_name in a profile, or AWS_ROLE_SESSION_NAME)", e.Principal, who)
	}
	return fmt.Sprintf("add to the policy of %s: %s", who, statement)
}

// unknownRoleID stands in a statement for the id of a role, which AWS's refusals do not have.
const unknownRoleID = "ROLEID"

// refusalForm is how AWS words a refusal (IAM User Guide, "Troubleshoot access denied error messages").
var refusalForm = pattern.Of(`(?:User: )?(\S+) is not authorized to perform: ([\w-]+:\w+)(?: on resource: (\S+))?(?:\s+(because|with)\s+(.*))?`) //nolint:gochecknoglobals // compiled when it is needed

// denied reads AWS's refusal; action and at are used for what it does not say.
func (c *Client) denied(err error, message, action string, at about) *DeniedError {
	e := &DeniedError{Action: action, Resource: at.Resource, Shell: c.shell, Err: err}
	if m := refusalForm().FindStringSubmatch(message); m != nil {
		e.Action, e.Why = m[2], strings.TrimRight(m[5], ". ")
		if strings.HasPrefix(m[1], "arn:") {
			e.Principal = m[1]
			c.learnAccount(accountOf(m[1]))
		}
		if m[3] != "" {
			e.Resource = m[3]
		}
	}
	e.Statement = c.statement(e.Action, e.Resource, at)
	if e.Action == terminateAction && e.ofAnotherName() && strings.Contains(e.Resource, ":session/"+roleSessionPrefix) {
		reach := c.Reach("")
		reach.RoleID = unknownRoleID
		e.Statement = reach.endEarlier()
	}
	return e
}

// ofAnotherName reports whether a role was refused a session that was opened under another role session name, such as that of
// an earlier run (ids of sessions begin with that name). A policy that allows the owner's sessions does not help then.
func (e *DeniedError) ofAnotherName() bool {
	_, id, isSession := strings.Cut(e.Resource, ":session/")
	_, assumed, isRole := strings.Cut(e.Principal, ":assumed-role/")
	_, own, _ := strings.Cut(assumed, "/")
	return isSession && isRole && !strings.HasPrefix(id, own+"-")
}

// Refusal finds AWS's refusal in a text that the agent has sent over a session: its task role lacks what the statement allows.
// nil when there is none in the text.
func Refusal(text string) *DeniedError {
	m := refusalForm().FindStringSubmatch(text)
	if m == nil {
		return nil
	}
	e := &DeniedError{Action: m[2], Resource: orWord(m[3], "*"), Why: strings.TrimRight(m[5], ". ")}
	if strings.HasPrefix(m[1], "arn:") {
		e.Principal = m[1]
	}
	e.Statement = Statement{Effect: "Allow", Action: []string{e.Action}, Resource: []string{e.Resource}}
	return e
}

// ChannelDenied is the error for a websocket upgrade that the service refused although the session had just been opened: the
// caller lacks ssmmessages:OpenDataChannel.
func (c *Client) ChannelDenied(session string, err error) *DeniedError {
	const action = "ssmmessages:OpenDataChannel"
	e := &DeniedError{Action: action, Resource: c.arn("ssm", "session/"+session), Err: err}
	e.Statement = c.statement(action, e.Resource, about{})
	return e
}

// statement is the least that allows an action in this account (Service Authorization Reference, ecs, ssm, ssmmessages, sts,
// kms).
func (c *Client) statement(action, resource string, at about) Statement {
	s := Statement{Effect: "Allow", Action: []string{action}, Resource: []string{"*"}}
	cluster := orWord(at.Cluster, "*")
	switch action {
	case "ecs:ListTasks", "ecs:ListServices":
		if at.Cluster != "" {
			s.Condition = map[string]map[string]any{"ArnEquals": {"ecs:cluster": c.arn("ecs", "cluster/"+cluster)}}
		}
	case "ecs:DescribeClusters":
		s.Resource = []string{c.arn("ecs", "cluster/"+cluster)}
	case "ecs:DescribeServices":
		s.Resource = []string{c.arn("ecs", "service/"+cluster+"/*")}
	case "ecs:DescribeTasks":
		s.Resource = []string{c.arn("ecs", "task/"+cluster+"/*")}
	case "ssm:StartSession":
		document := orWord(at.Document, c.Document(PortForward(0)).Name)
		s.Resource = []string{c.arn("ecs", "task/"+cluster+"/*"), c.Reach(cluster).document(document)}
		s.Condition = map[string]map[string]any{"BoolIfExists": {"ssm:SessionDocumentAccessCheck": "true"}}
	case "ssm:ResumeSession", terminateAction:
		s.Action = []string{"ssm:ResumeSession", terminateAction}
		s.Resource = []string{c.arn("ssm", "session/*")}
		s.Condition = map[string]map[string]any{"StringLike": {ownerTag: []string{"${aws:userid}"}}}
	case "ssmmessages:OpenDataChannel":
		s.Resource = []string{c.arn("ssm", "session/*")}
	case execAction:
		s = c.Reach(cluster).exec()
		s.Sid = ""
	case "ecs:ListClusters", describeDefinitionAction, "sts:GetCallerIdentity":
	default:
		if resource != "" {
			s.Resource = []string{resource}
		}
	}
	return s
}

// arn is the ARN of something in this account and region; it has * for an account that is not known yet.
func (c *Client) arn(service, resource string) string {
	return "arn:" + c.partition() + ":" + service + ":" + c.region + ":" + orWord(c.accountID(), "*") + ":" + resource
}

// accountOf is the account in an ARN, "" when there is none.
func accountOf(text string) string {
	a, err := arn.Parse(text)
	if err != nil {
		return ""
	}
	return a.AccountID
}

// roleOf names what a policy is attached to: the role of a role session, else the principal itself.
func roleOf(principal string) string {
	a, err := arn.Parse(principal)
	if err != nil {
		return principal
	}
	name, ok := strings.CutPrefix(a.Resource, "assumed-role/")
	if !ok {
		return principal
	}
	role, _, _ := strings.Cut(name, "/")
	return "role " + role
}

// statementJSON writes a part of a policy as JSON on one line.
func statementJSON(v any) string {
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return fmt.Sprint(v)
	}
	return strings.TrimSpace(text.String())
}

// orWord is text or, when that is empty, instead.
func orWord(text, instead string) string {
	if text == "" {
		return instead
	}
	return text
}
