package emulator

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The documents of port sessions, and the one of shells.
const (
	portDocument   = "AWS-StartPortForwardingSession"
	remoteDocument = "AWS-StartPortForwardingSessionToRemoteHost"
	shellDocument  = "SSM-SessionManagerRunShell" // the default when a call names none
)

// startOrder is the input of StartSession, and what is read from it.
type startOrder struct {
	Target       string
	DocumentName string
	Reason       string
	Parameters   map[string][]string

	port  uint16
	local string
	host  string

	terminal bool   // the session is for a command, not for a port
	command  string // as ECS got it
}

// sessionOutput is the answer of StartSession, ResumeSession and TerminateSession.
type sessionOutput struct {
	SessionID  string `json:"SessionId"`
	StreamURL  string `json:"StreamUrl,omitempty"`
	TokenValue string `json:",omitempty"`
}

// ssmAction is the handler of an action of SSM.
func (e *Emulator) ssmAction(action string) (handler, bool) {
	switch action {
	case "StartSession":
		return e.startSession, true
	case "ResumeSession":
		return e.resumeSession, true
	case "TerminateSession":
		return e.terminateSession, true
	case "DescribeSessions":
		return e.describeSessions, true
	case "GetConnectionStatus":
		return e.connectionStatus, true
	}
	return nil, false
}

// invalid is AWS's refusal of a member that does not fit its model.
func invalid(member, value, constraint string) *apiError {
	if value != "null" {
		value = "'" + value + "'"
	}
	return &apiError{
		Code:    "ValidationException",
		Message: fmt.Sprintf("1 validation error detected: Value %s at '%s' failed to satisfy constraint: %s", value, member, constraint),
	}
}

func (e *Emulator) startSession(r *request) (any, error) {
	order, err := decode[startOrder](r)
	if err != nil {
		return nil, err
	}
	switch {
	case order.Target == "":
		return nil, invalid("target", "null", "Member must not be null")
	case len(order.Target) > 400:
		return nil, invalid("target", order.Target, "Member must have length less than or equal to 400")
	case len(order.Reason) > 256:
		return nil, invalid("reason", order.Reason, "Member must have length less than or equal to 256")
	}
	order.DocumentName = cmp.Or(order.DocumentName, shellDocument)
	if !regexp.MustCompile(`^[a-zA-Z0-9_\-.:/]{3,128}$`).MatchString(order.DocumentName) {
		return nil, invalid("documentName", order.DocumentName, "Member must satisfy regular expression pattern: ^[a-zA-Z0-9_\\-.:/]{3,128}$")
	}
	k, found := e.target(order.Target)
	for _, resource := range []string{e.targetARN(order.Target, k), e.documentARN(order.DocumentName)} {
		if err := e.data.admit(r, "ssm", "StartSession", resource); err != nil {
			return nil, err
		}
	}
	if err := order.check(e.data.knobs().OwnDocuments); err != nil {
		return nil, err
	}
	if slices.Contains(e.data.knobs().NoDocuments, order.DocumentName) {
		return nil, noDocument(order.DocumentName)
	}
	if !found || !k.agentRunning() || e.data.knobs().Unregistered {
		return nil, &apiError{Code: "TargetNotConnected", Message: order.Target + " is not connected."}
	}
	s, err := e.data.begin(k, order, r.Caller)
	if err != nil {
		return nil, err
	}
	url, token := s.ticket()
	return sessionOutput{SessionID: s.id, StreamURL: url, TokenValue: token}, nil
}

// targetARN is the resource for which IAM checks a call about a target.
func (e *Emulator) targetARN(target string, k *container) string {
	if k != nil {
		return k.arn()
	}
	if name, ok := strings.CutPrefix(target, "ecs:"); ok {
		parts := strings.Split(name, "_")
		if n := len(parts); n >= 3 {
			return e.fleet.arn("ecs", "task/"+strings.Join(parts[:n-2], "_")+"/"+parts[n-2])
		}
	}
	return e.fleet.arn("ec2", "instance/"+target)
}

// documentARN is the ARN of a document. Documents of AWS's have no account in it.
func (e *Emulator) documentARN(name string) string {
	if strings.HasPrefix(name, "arn:") {
		return name
	}
	arn := e.fleet.arn("ssm", "document/"+name)
	if strings.HasPrefix(name, "AWS-") {
		arn = strings.Replace(arn, ":"+e.fleet.id+":", "::", 1)
	}
	return arn
}

func noDocument(name string) error {
	return &apiError{Code: "InvalidDocument", Message: "Document with name " + name + " does not exist."}
}

// check checks the parameters against the document, by the patterns of AWS's own documents.
func (o *startOrder) check(own []string) error {
	wanted := map[string]string{"portNumber": "80", "localPortNumber": "0"}
	switch o.DocumentName {
	case portDocument:
	case remoteDocument:
		wanted["host"] = "localhost"
	case shellDocument:
		return &apiError{Code: "InvalidDocument", Message: "This account serves port forwarding only: name the document " + portDocument + " or " + remoteDocument + "."}
	default:
		if !slices.Contains(own, o.DocumentName) {
			return noDocument(o.DocumentName)
		}
		wanted["host"] = ""
	}
	for name, values := range o.Parameters {
		if _, ok := wanted[name]; !ok {
			return &apiError{Code: "InvalidParameters", Message: fmt.Sprintf("Parameter %q is not defined in document %s.", name, o.DocumentName)}
		}
		if len(values) != 1 {
			return &apiError{Code: "InvalidParameters", Message: fmt.Sprintf("Parameter %q takes one value, not %d.", name, len(values))}
		}
		wanted[name] = values[0]
	}
	port, err := portValue("portNumber", wanted["portNumber"])
	if err != nil {
		return err
	}
	if _, err := portValue("localPortNumber", wanted["localPortNumber"]); err != nil {
		return err
	}
	o.port, o.local, o.host = port, wanted["localPortNumber"], wanted["host"]
	if pattern := "^[^,$^&\\(\\)!;'\"<>\\`{}\\[\\]\\|#=]{3,}$"; o.DocumentName != portDocument && (o.host != "" || o.DocumentName == remoteDocument) && !regexp.MustCompile(pattern).MatchString(o.host) {
		return mismatch("host", o.host, pattern)
	}
	return nil
}

func portValue(name, value string) (uint16, error) {
	const pattern = "^([0-9]|[1-9][0-9]{1,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])$"
	n, err := strconv.ParseUint(value, 10, 16)
	if err != nil || strconv.FormatUint(n, 10) != value {
		return 0, mismatch(name, value, pattern)
	}
	return uint16(n), nil
}

func mismatch(name, value, pattern string) error {
	return &apiError{Code: "InvalidParameters", Message: fmt.Sprintf("Parameter %q has value %q not matching %q.", name, value, pattern)}
}

type sessionInput struct {
	SessionID string `json:"SessionId"`
}

// named decodes a call that names one session, and checks that the caller may make it.
func (e *Emulator) named(r *request, action string) (*session, error) {
	in, err := decode[sessionInput](r)
	if err != nil {
		return nil, err
	}
	switch {
	case in.SessionID == "":
		return nil, invalid("sessionId", "null", "Member must not be null")
	case len(in.SessionID) > 96:
		return nil, invalid("sessionId", in.SessionID, "Member must have length less than or equal to 96")
	}
	arn := e.data.sessionARN(in.SessionID)
	if err := e.data.admit(r, "ssm", action, arn); err != nil {
		return nil, err
	}
	unknown := &apiError{Code: "DoesNotExistException", Message: "Session " + in.SessionID + " does not exist."}
	s, found := e.data.find(in.SessionID)
	if action == "ResumeSession" {
		switch e.data.knobs().ResumeWith {
		case ResumeDenied:
			return nil, denied(r.Caller.ARN, "ssm", "ssm:ResumeSession", arn, "because no identity-based policy allows the ssm:ResumeSession action")
		case ResumeUnknown:
			return nil, unknown
		case ResumeWorks, ResumeWithoutToken:
		}
	}
	if !found {
		return nil, unknown
	}
	return s, nil
}

// resumeSession answers without a token when the session is over.
func (e *Emulator) resumeSession(r *request) (any, error) {
	s, err := e.named(r, "ResumeSession")
	if err != nil {
		return nil, err
	}
	if s.status() == "Terminated" || e.data.knobs().ResumeWith == ResumeWithoutToken {
		return sessionOutput{SessionID: s.id}, nil
	}
	s.busy.Store(e.data.now().UnixNano())
	url, token := s.ticket()
	return sessionOutput{SessionID: s.id, StreamURL: url, TokenValue: token}, nil
}

// terminateSession ends a session. It may be called for one that has ended.
func (e *Emulator) terminateSession(r *request) (any, error) {
	s, err := e.named(r, "TerminateSession")
	if err != nil {
		return nil, err
	}
	s.end("")
	return sessionOutput{SessionID: s.id}, nil
}

type targetInput struct{ Target string }

type connectionOutput struct{ Target, Status string }

func (e *Emulator) connectionStatus(r *request) (any, error) {
	in, err := decode[targetInput](r)
	if err != nil {
		return nil, err
	}
	if in.Target == "" {
		return nil, invalid("target", "null", "Member must not be null")
	}
	k, found := e.target(in.Target)
	if err := e.data.admit(r, "ssm", "GetConnectionStatus", e.targetARN(in.Target, k)); err != nil {
		return nil, err
	}
	if !found || !k.agentRunning() {
		return connectionOutput{Target: in.Target, Status: "notconnected"}, nil
	}
	return connectionOutput{Target: in.Target, Status: "connected"}, nil
}

type describeInput struct {
	State      string
	MaxResults *int
	NextToken  string
	Filters    []struct{ Key, Value string }
}

type describeOutput struct {
	Sessions  []sessionView
	NextToken string `json:",omitempty"`
}

type sessionView struct {
	SessionID    string `json:"SessionId"`
	Target       string
	Status       string
	StartDate    *epoch
	EndDate      *epoch `json:",omitempty"`
	DocumentName string
	Owner        string
	Reason       string `json:",omitempty"`
	AccessType   string
	Longest      string `json:"MaxSessionDuration,omitempty"` // minutes
}

func (s *session) view() sessionView {
	status, longest := s.status(), ""
	if limit := s.data.knobs().Longest; limit > 0 {
		longest = strconv.Itoa(int(limit / time.Minute))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return sessionView{
		SessionID: s.id, Target: s.order.Target, Status: status, StartDate: when(s.started), EndDate: when(s.ended),
		DocumentName: s.order.DocumentName, Owner: s.owner.ARN, Reason: s.order.Reason, AccessType: "Standard", Longest: longest,
	}
}

// describeSessions lists sessions, newest first.
func (e *Emulator) describeSessions(r *request) (any, error) {
	in, err := decode[describeInput](r)
	if err != nil {
		return nil, err
	}
	if err := e.data.admit(r, "ssm", "DescribeSessions", e.fleet.arn("ssm", "*")); err != nil {
		return nil, err
	}
	limit := 200
	if in.MaxResults != nil {
		if limit = *in.MaxResults; limit < 1 || limit > 200 {
			return nil, invalid("maxResults", strconv.Itoa(limit), "Member must have value between 1 and 200")
		}
	}
	d := &e.data
	d.mu.Lock()
	var list []*session
	switch in.State {
	case "Active":
		list = slices.Clone(d.active)
	case "History":
		list = slices.Clone(d.history)
	}
	d.mu.Unlock()
	if in.State != "Active" && in.State != "History" {
		return nil, invalid("state", cmp.Or(in.State, "null"), "Member must satisfy enum value set: [Active, History]")
	}
	slices.Reverse(list)
	past := in.NextToken == ""
	out := describeOutput{Sessions: []sessionView{}}
	for _, s := range list {
		if !past { // the token is the last session of the page before
			past = s.id == in.NextToken
			continue
		}
		v := s.view()
		ok, err := in.matches(v, s.began())
		switch {
		case err != nil:
			return nil, err
		case !ok:
		case len(out.Sessions) == limit:
			out.NextToken = out.Sessions[limit-1].SessionID
			return out, nil
		default:
			out.Sessions = append(out.Sessions, v)
		}
	}
	if !past {
		return nil, &apiError{Code: "InvalidNextToken", Message: "The specified token is not valid."}
	}
	return out, nil
}

func (in *describeInput) matches(v sessionView, started time.Time) (bool, error) {
	for _, f := range in.Filters {
		var have string
		switch f.Key {
		case "InvokedAfter", "InvokedBefore":
			at, err := time.Parse(time.RFC3339, f.Value)
			if err != nil {
				return false, &apiError{Code: "InvalidFilterKey", Message: "The filter value " + f.Value + " is not a time."}
			}
			if started.Before(at) == (f.Key == "InvokedAfter") {
				return false, nil
			}
			continue
		case "Target":
			have = v.Target
		case "Owner":
			have = v.Owner
		case "Status":
			have = v.Status
		case "SessionId":
			have = v.SessionID
		case "AccessType":
			have = v.AccessType
		default:
			return false, &apiError{Code: "InvalidFilterKey", Message: "The specified filter key " + f.Key + " is not valid."}
		}
		if have != f.Value {
			return false, nil
		}
	}
	return true, nil
}
