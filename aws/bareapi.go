package aws

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"

	"culvert/internal/say"
)

// The SDK's clients for a dozen services would double the size of the program, only to read a dozen lists. So these services
// are called here by their own protocols: AWS query (queryapi.go), AWS JSON 1.1, and REST with JSON.

// bareAPI is a service that is called without a client of the SDK.
type bareAPI struct {
	name    string // the beginning of its host name and, unless signs is set, the service that requests are signed for
	version string // of the API, for the query protocol
	signs   string
	action  string // the beginning of the names of its permissions, where it is neither signs nor name
	target  string // the prefix of X-Amz-Target, for AWS JSON 1.1
	id      string // the ID in AWS_ENDPOINT_URL_<ID>, where it is not name
}

// operation is the name of an action in policies.
func (a bareAPI) operation(action string) string {
	return orWord(a.action, orWord(a.signs, a.name)) + ":" + action
}

// callJSON calls an action of AWS JSON 1.1 and decodes its answer. It tries once.
func (c *Client) callJSON(ctx context.Context, a bareAPI, action string, in, into any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("%s: %w", a.operation(action), err)
	}
	header := http.Header{"Content-Type": {"application/x-amz-json-1.1"}, "X-Amz-Target": {a.target + "." + action}}
	return c.callBare(ctx, a, action, http.MethodPost, "/", header, body, into)
}

// callREST calls an action that has a path of its own, by GET where in is nil, else by POST. It tries once.
func (c *Client) callREST(ctx context.Context, a bareAPI, action, path string, in, into any) error {
	if in == nil {
		return c.callBare(ctx, a, action, http.MethodGet, path, nil, nil, into)
	}
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("%s: %w", a.operation(action), err)
	}
	return c.callBare(ctx, a, action, http.MethodPost, path, http.Header{"Content-Type": {"application/json"}}, body, into)
}

func (c *Client) callBare(ctx context.Context, a bareAPI, action, method, path string, header http.Header, body []byte, into any) error {
	operation := a.operation(action)
	address, region := c.endpoint(ctx, a)
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(address, "/")+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%s: %w", operation, err)
	}
	maps.Copy(request.Header, header)
	text, answer, err := c.exchange(ctx, request, body, operation, signing{orWord(a.signs, a.name), region})
	if err != nil {
		return err
	}
	if answer.status/100 != 2 {
		return c.bareRefused(operation, answer, text)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return &AnswerError{Operation: operation, Status: answer.status, Problem: say.Brief(err.Error()), Err: err}
	}
	return nil
}

// bareRefused explains a refusal. AWS JSON has the name of the error in the body, REST has it in a header.
func (c *Client) bareRefused(operation string, answer answered, text []byte) error {
	var said struct {
		Type    string `json:"__type"`
		Code    string `json:"code"`
		Message string `json:"message"`
		Words   string `json:"Message"`
	}
	_ = json.Unmarshal(text, &said) // a body that is no JSON has no name of an error
	code := orWord(orWord(answer.header.Get("X-Amzn-Errortype"), said.Type), said.Code)
	code, _, _ = strings.Cut(code, ":")
	code = code[strings.LastIndexByte(code, '#')+1:]
	return c.refused(operation, code, orWord(said.Message, said.Words), answer.status)
}

// refused is the error for an error code and message of AWS.
func (c *Client) refused(operation, code, message string, status int) error {
	if code == "" {
		return &AnswerError{Operation: operation, Status: status, Problem: "no AWS error code in it"}
	}
	cause, message := errors.New(code), say.Brief(message)
	switch code {
	case "AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "ForbiddenException", "AuthorizationException":
		return c.denied(cause, message, operation, about{})
	case "Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequestsException":
		return &ThrottledError{Operation: operation, Err: cause}
	}
	return &FaultError{Operation: operation, Code: say.Brief(code), Message: message, Status: status, Err: cause}
}

// queryPages calls a listing action of the query protocol until there are no more pages. page decodes one answer and returns
// the marker of the next page.
func (c *Client) queryPages(ctx context.Context, a bareAPI, action string, form url.Values, page func(decode func(into any) error) (marker string, err error)) error {
	if form == nil {
		form = url.Values{}
	}
	return walk(a.operation(action), func(marker string) (string, error) {
		if marker != "" {
			form.Set("Marker", marker)
		}
		return page(func(into any) error { return c.query(ctx, a, action, form, into) })
	})
}

// mostBarePages is how many pages of a list are read: lists are shown to people.
const mostBarePages = 100

// walk fetches pages until there is no next one. It fails when a token comes twice, or when there are too many pages.
func walk(operation string, fetch func(token string) (next string, err error)) error {
	seen := map[string]bool{}
	token := ""
	for range mostBarePages {
		next, err := fetch(token)
		if err != nil || next == "" {
			return err
		}
		if seen[next] {
			return &AnswerError{Operation: operation, Problem: "it hands out the same page token again"}
		}
		seen[next] = true
		token = next
	}
	return &AnswerError{Operation: operation, Problem: fmt.Sprintf("it has more than %d pages", mostBarePages)}
}
