package emulator

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"
)

// maxBody is how many bytes of a request are read. ECS's own limit for a call is well below.
const maxBody = 1 << 20

// request is an API call whose signature is valid.
type request struct {
	Body   []byte
	Caller caller
	Region string // of the signature's scope
	HTTP   *http.Request
}

// caller is whose key has signed a request.
type caller struct{ ARN, AccessKey, UserID, SessionName string }

// accessDenied is the error code of a refusal by policy. The services of the query protocol have other codes.
const accessDenied = "AccessDeniedException"

// apiError is a refusal with AWS's code and text. Status 0 stands for 400.
type apiError struct {
	Code, Message string
	Status        int
	Resources     []string // of a ConflictException: what exists already
}

func (e *apiError) Error() string { return e.Code + ": " + e.Message }

func (e *apiError) status() int {
	if e.Status == 0 {
		return http.StatusBadRequest
	}
	return e.Status
}

// unreachableError has the connection cut without an answer.
type unreachableError struct{}

func (unreachableError) Error() string { return "the endpoint is unreachable" }

// serve routes a request by what AWS's clients send: a target header (JSON 1.1), a form with an Action (query), or a path.
func (e *Emulator) serve(w http.ResponseWriter, r *http.Request) {
	target := r.Header.Get("X-Amz-Target")
	inventoryService, inventoryAction := bareInventory(r)
	switch {
	case strings.HasPrefix(r.URL.Path, "/v1/data-channel/"):
		e.serveDataChannel(w, r)
	case r.URL.Path == gitHubTokenPath:
		e.github.ServeHTTP(w, r)
	case r.URL.Path == ssoPath:
		e.serveSSO(w, r)
	case inventoryService != "":
		e.serveNothing(w, r, inventoryService, inventoryAction)
	case target != "":
		e.serveJSON(w, r, target)
	case strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded"):
		e.serveQuery(w, r)
	default:
		e.refuse(w, &apiError{Code: "UnknownOperationException", Message: fmt.Sprintf("no operation is known by %s %s", r.Method, r.URL.Path), Status: http.StatusNotFound})
	}
}

// serveJSON serves a call of the AWS JSON 1.1 protocol.
func (e *Emulator) serveJSON(w http.ResponseWriter, r *http.Request, target string) {
	prefix, action, _ := strings.Cut(target, ".")
	e.count(action)
	body, err := read(w, r)
	if err != nil {
		e.refuse(w, err)
		return
	}
	service, run := e.operation(prefix, action)
	if run == nil {
		e.refuse(w, &apiError{Code: "UnknownOperationException", Message: "The requested operation is not served here: " + target})
		return
	}
	req := &request{Body: body, Region: scopeRegion(r), HTTP: r}
	if req.Caller, err = e.verify(r, service, body); err != nil {
		e.refuse(w, err)
		return
	}
	answer, err := run(req)
	if err != nil {
		e.refuse(w, err)
		return
	}
	e.answer(w, http.StatusOK, answer)
}

// operation is the handler of an action, and the service that its requests are signed for.
func (e *Emulator) operation(prefix, action string) (service string, run handler) {
	switch prefix {
	case "AmazonEC2ContainerServiceV20141113":
		run, _ = e.ecsAction(action)
		return "ecs", run
	case "AmazonSSM":
		run, _ = e.ssmAction(action)
		return "ssm", run
	case "TrentService":
		run, _ = e.kmsAction(action)
		return "kms", run
	}
	return "", nil
}

func read(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return nil, &apiError{Code: "RequestEntityTooLargeException", Message: fmt.Sprintf("the body is larger than %d bytes", maxBody), Status: http.StatusRequestEntityTooLarge}
	}
	if err != nil {
		return nil, fmt.Errorf("read request: %w", err)
	}
	return body, nil
}

// answer writes a result in the JSON 1.1 protocol.
func (e *Emulator) answer(w http.ResponseWriter, status int, result any) {
	body, err := json.Marshal(result)
	if err != nil {
		e.log.Error("encode answer", "error", err)
		status, body = http.StatusInternalServerError, []byte(`{"__type":"ServerException"}`)
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	e.write(w, status, body)
}

// refuse writes an error in the JSON 1.1 protocol, or cuts the connection for an unreachableError.
func (e *Emulator) refuse(w http.ResponseWriter, err error) {
	if _, gone := errors.AsType[unreachableError](err); gone {
		panic(http.ErrAbortHandler) // how net/http hangs up without an answer
	}
	refusal := asAPIError(err)
	e.answer(w, refusal.status(), struct {
		Type      string   `json:"__type"`
		Message   string   `json:"message"`
		Resources []string `json:"resourceIds,omitempty"`
	}{refusal.Code, refusal.Message, refusal.Resources})
}

func asAPIError(err error) *apiError {
	if refusal, ok := errors.AsType[*apiError](err); ok {
		return refusal
	}
	return &apiError{Code: "ServerException", Message: err.Error(), Status: http.StatusInternalServerError}
}

func (e *Emulator) write(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("X-Amzn-Requestid", uuid.NewString())
	w.Header().Set("Date", e.now().UTC().Format(http.TimeFormat))
	w.WriteHeader(status)
	if _, err := w.Write(body); err != nil {
		e.log.Debug("write answer", "error", err)
	}
}

// decode reads the input of a request. It ignores unknown members, as AWS does.
func decode[T any](r *request) (T, error) {
	var in T
	body := bytes.TrimSpace(r.Body)
	if len(body) == 0 {
		return in, nil
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return in, &apiError{Code: "SerializationException", Message: "the request could not be read: " + err.Error()}
	}
	return in, nil
}

// serveQuery serves a call of the query protocol: of IAM, EC2, the services that have an inventory, and STS for all others.
func (e *Emulator) serveQuery(w http.ResponseWriter, r *http.Request) {
	body, err := read(w, r)
	if err != nil {
		e.refuseQuery(w, err)
		return
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		e.refuseQuery(w, &apiError{Code: "MalformedQueryString", Message: err.Error()})
		return
	}
	action := form.Get("Action")
	e.count(action)
	run, refuse := e.stsAction, e.refuseQuery
	switch service := scopeService(r); service {
	case "rds", "elasticache", "elasticloadbalancing", "redshift":
		run = e.inventoryAction
	case "iam":
		run = e.iamAction
	case "ec2":
		run, refuse = e.ec2Action, e.refuseEC2
	}
	answer, err := run(r, body, form)
	if err != nil {
		refuse(w, err)
		return
	}
	e.answerQuery(w, http.StatusOK, answer)
}

func (e *Emulator) answerQuery(w http.ResponseWriter, status int, result any) {
	body, err := xml.Marshal(result)
	if err != nil {
		e.log.Error("encode answer", "error", err)
		status, body = http.StatusInternalServerError, nil
	}
	w.Header().Set("Content-Type", "text/xml")
	e.write(w, status, body)
}

// queryError is the form of a refusal in the query protocol.
type queryError struct {
	XMLName   xml.Name `xml:"https://sts.amazonaws.com/doc/2011-06-15/ ErrorResponse"`
	Type      string   `xml:"Error>Type"`
	Code      string   `xml:"Error>Code"`
	Message   string   `xml:"Error>Message"`
	RequestID string   `xml:"RequestId"`
}

func (e *Emulator) refuseQuery(w http.ResponseWriter, err error) {
	if _, gone := errors.AsType[unreachableError](err); gone {
		panic(http.ErrAbortHandler) // how net/http hangs up without an answer
	}
	refusal := asAPIError(err)
	kind := "Sender"
	if refusal.status() >= http.StatusInternalServerError {
		kind = "Receiver"
	}
	e.answerQuery(w, refusal.status(), queryError{Type: kind, Code: refusal.Code, Message: refusal.Message, RequestID: uuid.NewString()})
}

// epoch is a time in the form of the JSON protocol: seconds since 1970, with a fraction.
type epoch time.Time

// MarshalJSON implements json.Marshaler.
func (t epoch) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, "%.3f", float64(time.Time(t).UnixMilli())/1000), nil
}

// when is nil for a zero time, so that the member is left out.
func when(t time.Time) *epoch {
	if t.IsZero() {
		return nil
	}
	e := epoch(t)
	return &e
}
