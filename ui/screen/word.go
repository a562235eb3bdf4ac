package screen

import (
	"context"
	"errors"
	"strings"

	"culvert/aws"
	"culvert/internal/say"
	"culvert/tunnel"
)

// word says in a word or two what an error is, for where there is no room for its text.
func word(err error) string {
	if err == nil {
		return "no reason given"
	}
	for _, known := range []func(error) string{
		wordOf(func(*aws.DeniedError) string { return "not allowed" }),
		wordOf(func(*aws.ExpiredError) string { return "credentials expired" }),
		wordOf(func(*aws.NoCredentialsError) string { return "no credentials" }),
		wordOf(func(*aws.NotFoundError) string { return "not found" }),
		wordOf(func(*aws.AmbiguousError) string { return "not clear which" }),
		wordOf(func(*aws.ThrottledError) string { return "throttled" }),
		wordOf(func(*aws.UnreachableError) string { return "AWS not reached" }),
		wordOf(causeWord),
		wordOf(func(*aws.PlacementError) string { return "no place for a task" }),
		wordOf(func(*aws.NoDefinitionError) string { return "no such definition" }),
		wordOf(func(*aws.NoLimitError) string { return "no limit of its own" }),
		wordOf(func(*aws.NotRunError) string { return "ECS refuses it" }),
		wordOf(func(*tunnel.PortTakenError) string { return "port in use" }),
		wordOf(func(*tunnel.NoAddressError) string { return "no such address" }),
		wordOf(func(*tunnel.PrivilegedPortError) string { return "port not allowed" }),
		wordOf(func(*tunnel.LinkLocalError) string { return "link-local" }),
		wordOf(func(*tunnel.RefusedError) string { return "refused" }),
		wordOf(func(*tunnel.UnansweredError) string { return "no answer" }),
		wordOf(func(*tunnel.HandshakeError) string { return "no handshake" }),
		wordOf(func(*tunnel.StuckError) string { return "stuck" }),
		wordOf(func(*tunnel.SilentError) string { return "agent silent" }),
		wordOf(func(*tunnel.EndedError) string { return "session ended" }),
		wordOf(func(*tunnel.ClosedError) string { return "session closed" }),
		wordOf(func(e *tunnel.AnswerError) string { return e.Error() }),
		wordOf(func(*tunnel.UpgradeError) string { return "websocket refused" }),
		wordOf(func(e *heldError) string { return heldWord(e.text) }),
	} {
		if text := known(err); text != "" {
			return text
		}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "too late"
	}
	text, _, _ := strings.Cut(say.Brief(err.Error()), ": ")
	if len(text) > longWord {
		return "error"
	}
	return text
}

// heldWord is a word for an error of which the holder of a tunnel has told only the text, not the kind; empty when the text is
// short, or says nothing that has a word here.
func heldWord(text string) string {
	for _, known := range []string{"not allowed", "not ready", "in use", "not found", "expired"} {
		if len(text) > longWord && strings.Contains(text, known) {
			return known
		}
	}
	return ""
}

// longWord is how many bytes of text can be read at a glance.
const longWord = 32

// wordOf returns a function that says the word for one kind of error, and is empty for others.
func wordOf[E error](of func(E) string) func(error) string {
	return func(err error) string {
		if e, ok := errors.AsType[E](err); ok {
			return of(e)
		}
		return ""
	}
}
