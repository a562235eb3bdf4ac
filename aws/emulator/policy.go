package emulator

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// policies are what users and roles are allowed; one without a policy is allowed everything. They are safe for concurrent use.
type policies struct {
	mu   sync.Mutex
	held map[string]policyDocument // by principal: user/NAME or role/NAME
}

// Attach gives a user ("user/ci") or a role ("role/proxy-caller") an IAM policy document, in place of an earlier one, and
// enforces it from then on. It fails for a document with elements that are not known here.
func (e *Emulator) Attach(principal string, document []byte) error {
	var p policyDocument
	if err := json.Unmarshal(document, &p); err != nil {
		return fmt.Errorf("attach a policy to %s: %w", principal, err)
	}
	if len(p.Statement) == 0 {
		return fmt.Errorf("attach a policy to %s: it has no statement", principal)
	}
	for i := range p.Statement {
		if err := p.Statement[i].check(); err != nil {
			return fmt.Errorf("attach a policy to %s: statement %d: %w", principal, i+1, err)
		}
	}
	e.policies.mu.Lock()
	defer e.policies.mu.Unlock()
	if e.policies.held == nil {
		e.policies.held = map[string]policyDocument{}
	}
	e.policies.held[principal] = p
	return nil
}

// of finds the policy of a caller.
func (p *policies) of(who caller) (policyDocument, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	name := who.ARN[strings.LastIndexByte(who.ARN, ':')+1:]
	if role, assumed := strings.CutPrefix(name, "assumed-role/"); assumed {
		role, _, _ = strings.Cut(role, "/")
		name = "role/" + role
	}
	held, ok := p.held[name]
	return held, ok
}

// authorize checks a call against its caller's policy, if there is one. It returns nil or the refusal.
func (e *Emulator) authorize(r *request, service, action, resource string) error {
	p, ok := e.policies.of(r.Caller)
	if !ok || action == "sts:GetCallerIdentity" || action == "sts:AssumeRoleWithWebIdentity" { // no policy is needed for these
		return nil
	}
	facts := e.facts(r, service, action, resource)
	allowed := false
	for _, s := range p.Statement {
		if !s.covers(action, resource, r.Caller) || !s.holds(facts, r.Caller) {
			continue
		}
		if s.Effect == "Deny" {
			return denied(r.Caller.ARN, service, action, resource, "with an explicit deny in an identity-based policy")
		}
		allowed = true
	}
	if !allowed {
		return denied(r.Caller.ARN, service, action, resource, "because no identity-based policy allows the "+action+" action")
	}
	return nil
}

// facts are the values of the condition keys of a call (Service Authorization Reference of ECS and of Systems Manager).
func (e *Emulator) facts(r *request, service, action, resource string) map[string]string {
	facts := map[string]string{"aws:userid": r.Caller.UserID}
	switch {
	case action == "ssm:StartSession":
		facts["ssm:SessionDocumentAccessCheck"] = "true"
	case action == "ssm:ResumeSession" || action == "ssm:TerminateSession":
		// The service tags each session with who has opened it and with its target.
		if s, found := e.data.find(path.Base(resource)); found {
			facts["ssm:resourceTag/aws:ssmmessages:session-id"] = s.owner.UserID
			facts["ssm:resourceTag/aws:ssmmessages:target-id"] = s.order.Target
		}
	case service == "ecs" && !slices.Contains([]string{"ecs:ListClusters", "ecs:DescribeClusters", "ecs:ListTaskDefinitions", "ecs:DescribeTaskDefinition"}, action):
		if in, err := decode[struct{ Cluster, Container string }](r); err == nil {
			facts["ecs:cluster"] = "arn:aws:ecs:" + r.Region + ":" + e.fleet.id + ":cluster/" + nameOf(in.Cluster)
			if action == "ecs:ExecuteCommand" && in.Container != "" {
				facts["ecs:container-name"] = in.Container
			}
		}
	}
	e.tagFacts(r, action, resource, facts)
	return facts
}

// policyDocument is the part of an IAM policy that is understood here.
type policyDocument struct {
	Statement []policyStatement `json:"Statement"`
}

type policyStatement struct {
	Sid       string                          `json:"Sid"`
	Effect    string                          `json:"Effect"`
	Action    oneOrMore                       `json:"Action"`
	Resource  oneOrMore                       `json:"Resource"`
	Condition map[string]map[string]oneOrMore `json:"Condition"`
}

// UnmarshalJSON implements json.Unmarshaler. It refuses unknown elements, as ignoring them would change what a policy means.
func (s *policyStatement) UnmarshalJSON(text []byte) error {
	type plain policyStatement
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.DisallowUnknownFields()
	return d.Decode((*plain)(s))
}

// oneOrMore is a text or a list of texts; true and false count as texts.
type oneOrMore []string

// UnmarshalJSON implements json.Unmarshaler.
func (o *oneOrMore) UnmarshalJSON(text []byte) error {
	var many []any
	if err := json.Unmarshal(text, &many); err != nil {
		var one any
		if err := json.Unmarshal(text, &one); err != nil {
			return err
		}
		many = []any{one}
	}
	for _, one := range many {
		switch v := one.(type) {
		case string:
			*o = append(*o, v)
		case bool:
			*o = append(*o, strconv.FormatBool(v))
		default:
			return fmt.Errorf("%v is no text", one)
		}
	}
	return nil
}

// variable is a policy variable, such as ${aws:userid}.
var variable = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\$\{[^}]*\}`) }) //nolint:gochecknoglobals // compiled when it is needed

// check refuses a statement that would be enforced wrongly.
func (s *policyStatement) check() error {
	switch {
	case s.Effect != "Allow" && s.Effect != "Deny":
		return fmt.Errorf("effect %q", s.Effect)
	case len(s.Action) == 0 || len(s.Resource) == 0:
		return errors.New("without an action or a resource")
	}
	for operator, keys := range s.Condition {
		if _, known := operators()[strings.TrimPrefix(strings.TrimSuffix(operator, "IfExists"), forAll)]; !known {
			return fmt.Errorf("operator %s is not known here", operator)
		}
		for _, values := range keys {
			for _, value := range values {
				for _, name := range variable().FindAllString(value, -1) {
					if name != "${aws:userid}" {
						return fmt.Errorf("variable %s is not known here", name)
					}
				}
			}
		}
	}
	return nil
}

// covers reports whether a statement is for an action on a resource.
func (s *policyStatement) covers(action, resource string, who caller) bool {
	return slices.ContainsFunc(s.Action, func(pattern string) bool { return like(strings.ToLower(pattern), strings.ToLower(action)) }) &&
		slices.ContainsFunc(s.Resource, func(pattern string) bool { return like(substitute(pattern, who), resource) })
}

// holds reports whether all conditions of a statement are met: every operator and every key, by any of its values.
func (s *policyStatement) holds(facts map[string]string, who caller) bool {
	for operator, keys := range s.Condition {
		name, ifExists := strings.CutSuffix(operator, "IfExists")
		name, everyOne := strings.CutPrefix(name, forAll)
		compare := operators()[name]
		for key, values := range keys {
			fact, there := facts[key]
			if !there && ifExists || everyOne && holdsForAll(fact, values, compare) {
				continue
			}
			if everyOne {
				return false
			}
			if !there || !slices.ContainsFunc(values, func(value string) bool { return compare(substitute(value, who), fact) }) {
				return false
			}
		}
	}
	return true
}

// forAll is the prefix of operators that compare every value of a set; an empty set meets them.
const forAll = "ForAllValues:"

// manyFacts separates the values of a set.
const manyFacts = "\n"

func holdsForAll(set string, values []string, compare func(value, fact string) bool) bool {
	for one := range strings.SplitSeq(set, manyFacts) {
		if one != "" && !slices.ContainsFunc(values, func(value string) bool { return compare(value, one) }) {
			return false
		}
	}
	return true
}

// operators compare a value of a policy with a fact.
func operators() map[string]func(value, fact string) bool {
	equal := func(value, fact string) bool { return value == fact }
	return map[string]func(value, fact string) bool{
		"StringEquals": equal,
		"StringLike":   like,
		"ArnEquals":    likeARN, // IAM's two ARN operators mean the same
		"ArnLike":      likeARN,
		"Bool":         strings.EqualFold,
	}
}

// substitute replaces the variables in a pattern by what they are for the caller. Only users have a name; for others the
// variable's default is used, if it has one.
func substitute(pattern string, who caller) string {
	pattern = strings.ReplaceAll(pattern, "${aws:userid}", who.UserID)
	return userName().ReplaceAllStringFunc(pattern, func(variable string) string {
		if _, name, is := strings.Cut(who.ARN, ":user/"); is {
			return name
		}
		return or(userName().FindStringSubmatch(variable)[1], variable)
	})
}

// userName is the policy variable for the name of a user, with its default ("Specifying default values").
var userName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\$\{aws:username(?:, '([^']*)')?\}`) }) //nolint:gochecknoglobals // compiled when it is needed

// likeARN compares ARNs part by part: a star does not match a colon, except in the resource.
func likeARN(pattern, arn string) bool {
	p, a := strings.SplitN(pattern, ":", 6), strings.SplitN(arn, ":", 6)
	return slices.EqualFunc(p, a, like)
}

// like reports whether a text matches a pattern, in which * stands for any text and ? for any character.
func like(pattern, text string) bool {
	for pattern != "" {
		switch pattern[0] {
		case '*':
			for pattern = strings.TrimLeft(pattern, "*"); ; text = text[1:] {
				if like(pattern, text) {
					return true
				}
				if text == "" {
					return false
				}
			}
		case '?':
			if text == "" {
				return false
			}
		default:
			if text == "" || text[0] != pattern[0] {
				return false
			}
		}
		pattern, text = pattern[1:], text[1:]
	}
	return text == ""
}
