package emulator

import (
	"encoding/xml"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// simulationAnswer is the answer of SimulatePrincipalPolicy (IAM API Reference).
type simulationAnswer struct {
	XMLName   xml.Name     `xml:"https://iam.amazonaws.com/doc/2010-05-08/ SimulatePrincipalPolicyResponse"`
	Results   []simulation `xml:"SimulatePrincipalPolicyResult>EvaluationResults>member"`
	Truncated bool         `xml:"SimulatePrincipalPolicyResult>IsTruncated"`
	RequestID string       `xml:"ResponseMetadata>RequestId"`
}

type simulation struct {
	Action   string `xml:"EvalActionName"`
	Resource string `xml:"EvalResourceName"`
	Decision string `xml:"EvalDecision"`
}

// iamAction serves the one call of IAM that is emulated: it tells what a role may do by the policy that Attach has given it.
func (e *Emulator) iamAction(r *http.Request, body []byte, form url.Values) (any, error) {
	who, err := e.verify(r, "iam", body)
	if err != nil {
		return nil, inQueryWords(err)
	}
	action, role := form.Get("Action"), form.Get("PolicySourceArn")
	if action != "SimulatePrincipalPolicy" {
		return nil, &apiError{Code: "InvalidAction", Message: "Could not find operation " + action}
	}
	if err := e.data.admit(&request{Body: body, Caller: who, Region: scopeRegion(r), HTTP: r}, "iam", action, role); err != nil {
		refusal := asAPIError(err)
		if refusal.Code == accessDenied {
			refusal = &apiError{Code: "AccessDenied", Message: refusal.Message, Status: http.StatusForbidden}
		}
		return nil, refusal
	}
	answer := simulationAnswer{RequestID: uuid.NewString()}
	bearer := caller{ARN: role}
	held, limited := e.policies.of(bearer)
	var names []string
	for name := range form {
		if strings.HasPrefix(name, "ActionNames.member.") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		result := simulation{Action: form.Get(name), Resource: "*", Decision: "allowed"}
		if limited && !slices.ContainsFunc(held.Statement, func(s policyStatement) bool {
			return s.Effect == "Allow" && s.covers(result.Action, "*", bearer)
		}) {
			result.Decision = "implicitDeny"
		}
		answer.Results = append(answer.Results, result)
	}
	return answer, nil
}
