package doctor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"culvert/aws"
	"culvert/tunnel"
)

// leg is a part of the path from StartSession to the port.
type leg int

const (
	legSession leg = iota
	legChannel
	legHandshake
	legPort
)

// legOf is the part of the path that an error is about.
func legOf(err error) leg {
	if is[*tunnel.HandshakeError](err) {
		return legHandshake
	}
	if e, ok := errors.AsType[*aws.DeniedError](err); ok {
		if e.Action == "ssmmessages:OpenDataChannel" {
			return legChannel
		}
		return legSession
	}
	if e, ok := errors.AsType[*aws.UnreachableError](err); ok && e.Stream {
		return legChannel
	}
	if is[*tunnel.UpgradeError](err) || is[*aws.StreamURLError](err) || is[*tunnel.GarbageError](err) {
		return legChannel
	}
	// The agent resolves and connects only after the handshake, so such an end is about the port, even if the session was never
	// seen open.
	if e, ok := errors.AsType[*tunnel.ClosedError](err); ok && (e.Refused() || e.Unresolved() || e.Forbidden()) {
		return legPort
	}
	if is[*tunnel.ClosedError](err) || is[*tunnel.EndedError](err) || is[*tunnel.ProtocolError](err) || is[*tunnel.StuckError](err) || is[*SlowError](err) {
		return legHandshake
	}
	return legSession
}

// judgeLive is the finding for a part of the path: a failure if the error of the examination's own tunnel is about this part,
// else a pass.
func (x *examination) judgeLive(l leg, evidence ...string) Finding {
	if x.ownErr != nil && legOf(x.ownErr) == l {
		return fail(x.ownErr, evidence...)
	}
	return pass(evidence...)
}

func (x *examination) sessionCheck() Check {
	return Check{
		ID: checkSession, Name: "StartSession gives a session", After: []string{checkAgent}, Lasts: true,
		Causes: []Cause{
			{"D1", "AccessDeniedException on ssm:StartSession, on the task's ARN or on the document's", "add the statement that is shown: it names both the task and the document"},
			{"D2", "TargetNotConnected although the agent is RUNNING", "try again in half a minute; then the task's route to ssmmessages, its role, another task"},
			{"D3", "InvalidDocument", "`aws ssm describe-document --name …`: a partition or region without it cannot forward ports"},
			{"D4", "ThrottlingException, InternalServerError or another fault of Session Manager, after retries", "wait and try again"},
		},
		Run: func(ctx context.Context) Finding {
			var err error
			if x.own, err = x.openTunnel(ctx, x.far()); err != nil {
				return fail(err)
			}
			x.ownErr = x.own.await(ctx, x.Patience)
			if is[*aws.NotConnectedError](x.ownErr) {
				if crash := x.restarted(ctx, x.found.Target); crash != nil {
					return fail(crash)
				}
			}
			var evidence []string
			if x.own.trouble != nil && x.ownErr == nil {
				evidence = append(evidence, "at first: "+x.own.trouble.Error())
			}
			if session := x.own.tunnel.Link().Session; session != "" {
				evidence = append(evidence, session)
			}
			return x.judgeLive(legSession, evidence...)
		},
	}
}

func (x *examination) channelCheck() Check {
	return Check{
		ID: checkChannel, Name: "the session's websocket opens", After: []string{checkSession},
		Causes: []Cause{
			{"E1", "the host of the websocket, ssmmessages.REGION.amazonaws.com, cannot be reached", "let it through: it is another host than the API's; a VPC endpoint without private DNS is named by `--stream-endpoint`"},
			{"E2", "an HTTP answer to the upgrade: 403 or 401 (ssmmessages:OpenDataChannel), 407 (corporate proxy), 426 or 5xx (a proxy without websockets)", "add ssmmessages:OpenDataChannel to the caller's policy; exempt the host from the proxy"},
		},
		Run: func(context.Context) Finding {
			var evidence []string
			if took, ok := x.own.reached(tunnel.Handshaking); ok {
				evidence = append(evidence, "session and websocket after "+brief(took))
			}
			if at := x.client.StreamEndpoint(); at != "" {
				evidence = append(evidence, "at "+at+" instead of where SSM says")
			}
			return x.judgeLive(legChannel, evidence...)
		},
	}
}

func (x *examination) handshakeCheck() Check {
	return Check{
		ID: checkHandshake, Name: "the agent agrees", After: []string{checkChannel},
		Causes: []Cause{
			{"E3", "the websocket is open, but the agent asks for no handshake: it hangs or has reached its limit of sessions", "end old sessions of the container, or try another task"},
			{"E4", "the handshake wants encryption and kms:GenerateDataKey is denied to the caller, or kms:Decrypt to the task role", "add the statement that is shown"},
			{"E5", "channel_closed with a text, for instance `CreateDataChannel failed … AccessDeniedException`", "give the task role ssmmessages:CreateDataChannel and OpenDataChannel"},
		},
		Run: func(context.Context) Finding {
			var evidence []string
			if took, ok := x.own.reached(tunnel.Open); ok {
				evidence = append(evidence, "open after "+brief(took), "agent "+x.own.tunnel.Link().Agent)
			}
			return x.judgeLive(legHandshake, evidence...)
		},
	}
}

func (x *examination) portCheck() Check {
	return Check{
		ID: checkPort, Name: "something listens on the port", After: []string{checkHandshake}, Lasts: true,
		Causes: []Cause{
			{"E6", "the agent cannot connect to the port: the service in the task is down, or listens elsewhere", "look at the container's log; it must listen on localhost:PORT inside the task"},
			{"E7", "the connection is taken and closed at once, without a word", "look at the container's log"},
		},
		Run: func(ctx context.Context) Finding {
			if x.ownErr != nil {
				return x.judgeLive(legPort)
			}
			accepts, err := x.own.prove(ctx, x.Patience)
			if err != nil {
				return fail(x.dropped(ctx, x.Spec.Remote, err))
			}
			x.answer, err = Question{Remote: x.Spec.Remote, Patience: x.Patience, Greeting: greetingWithin, Login: x.Login}.Ask(ctx, x.own.dial)
			if err == nil || is[*SilentError](err) {
				x.answerErr = err
				return pass(accepts)
			}
			shut, isShut := errors.AsType[*ShutError](err)
			if !isShut {
				return fail(err)
			}
			if why := x.own.whyEnded(ctx); why != nil {
				return fail(why)
			}
			if shut.Asked {
				x.answerErr = err
				return pass(accepts)
			}
			return fail(err)
		},
	}
}

func (x *examination) answerCheck() Check {
	return Check{
		ID: checkAnswer, Name: "what answers there is what it should be", After: []string{checkPort}, Lasts: true,
		Causes: []Cause{
			{"F1", "the port takes connections and says nothing to an HTTP request", "forward to the proxy's port; a proxy never keeps silent"},
			{"F2", "another server answers where the proxy should: a web server, SSH, a mail server, TLS", "forward to the proxy's port, in the container that has it"},
			{"F19", "the proxy wants a user and password (407, or no method of SOCKS without them), or others than those of `--proxy-user`", "`--proxy-user USER`, with the password in CULVERT_PROXY_PASSWORD or in the file of `--proxy-password-file`"},
		},
		Run: func(context.Context) Finding {
			wanted := x.wantsProxy()
			silent := is[*SilentError](x.answerErr)
			switch {
			case x.answerErr != nil && wanted:
				return fail(x.answerErr)
			case silent:
				return pass("it waits for its client to speak")
			case x.answerErr != nil:
				return pass("it hangs up on an HTTP request: it speaks another protocol")
			case wanted && !x.answer.Proxy:
				return fail(&NotProxyError{Remote: x.Spec.Remote, Answer: x.answer})
			case x.answer.Login && len(x.Probes) == 0: // with probes, these show whether the login is wanted
				return Finding{Verdict: Warn, Evidence: []string{x.answer.String()}, Err: &LoginWantedError{Remote: x.Spec.Remote, Given: x.Login}}
			}
			return pass(x.answer.String(), "after "+brief(x.answer.Took))
		},
	}
}

func brief(d time.Duration) string {
	switch {
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}
