package screen

import (
	"context"
	"sync"

	tea "charm.land/bubbletea/v2"

	"culvert/aws"
	"culvert/internal/say"
	"culvert/ui/draw"
)

// Codes passes questions for one-time codes from the code that opens an account to the user at the screen. Safe for concurrent
// use.
type Codes struct {
	questions chan codeQuestion
	over      chan struct{} // closed when the screen is gone; tunnels may go on

	mu       sync.Mutex
	declined map[string]bool // profiles for which the user does not want to be asked until the next look that the user asks for
}

// NewCodes returns Codes, for Options.Codes and for Options.Connect.
func NewCodes() *Codes {
	return &Codes{questions: make(chan codeQuestion), over: make(chan struct{}), declined: map[string]bool{}}
}

// again says that the user may be asked again.
func (c *Codes) again() {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.declined)
}

func (c *Codes) isDeclined(profile string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.declined[profile]
}

func (c *Codes) decline(profile string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.declined[profile] = true
}

func (c *Codes) end() {
	if c != nil {
		close(c.over)
	}
}

type codeQuestion struct {
	profile, serial string
	answer          chan<- string // gets the code; closed when the user gives none
}

// Ask waits for the user's answer; the error is aws.ErrNoCode when there is no screen any more.
func (c *Codes) Ask(ctx context.Context, profile, serial string) (string, error) {
	if c.isDeclined(profile) {
		return "", &NoCodeError{Profile: profile}
	}
	answer := make(chan string, 1)
	select {
	case c.questions <- codeQuestion{profile, serial, answer}:
	case <-c.over:
		return "", aws.ErrNoCode
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	select {
	case code, ok := <-answer:
		if !ok {
			c.decline(profile)
			return "", &NoCodeError{Profile: profile}
		}
		return code, nil
	case <-c.over:
		return "", aws.ErrNoCode
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// NoCodeError means that the user did not type the one-time code that was asked for.
type NoCodeError struct{ Profile string }

func (e *NoCodeError) Error() string {
	return "no one-time code was typed for the role of profile " + e.Profile
}

// Remedy says how to be asked again.
func (e *NoCodeError) Remedy() string {
	return "look again (ctrl+r) to be asked for it once more, or choose another profile"
}

// next waits for a question; it reports false when ctx has ended.
func (c *Codes) next(ctx context.Context) (q codeQuestion, ok bool) {
	select {
	case q = <-c.questions:
		return q, true
	case <-ctx.Done():
		return q, false
	}
}

// codeBox is the dialog that asks for a one-time code.
type codeBox struct {
	*look

	question codeQuestion
	beneath  screen // the dialog that was open before; nil for none
	code     *draw.Field
}

func newCodeBox(l *look, q codeQuestion, beneath screen) *codeBox {
	b := &codeBox{look: l, question: q, beneath: beneath, code: draw.NewField("code", "six digits")}
	b.code.About = "each is taken once; the role's session then lasts an hour, or as long as duration_seconds says"
	return b
}

func (b *codeBox) title() string { return b.theme.Strong.Paint("one-time code") }

func (b *codeBox) foot() string { return "" }

func (b *codeBox) draw(w, _ int, _ bool) []string {
	t := b.theme
	lines := []string{""}
	for _, line := range draw.Wrap("The role of profile "+say.Line(b.question.profile)+" wants the code that this device shows now: "+say.Line(b.question.serial), w-4) {
		lines = append(lines, "  "+t.Text.Paint(line))
	}
	lines = append(lines, "", b.code.Line(t, w, true))
	return append(lines, t.Fill(b.code.Hint(t, w-1), w-1, draw.HintLines)...)
}

func (b *codeBox) help() []draw.Binding {
	return []draw.Binding{b.keys.in.As("send it"), b.keys.back.As("not now")}
}

func (b *codeBox) update(msg tea.Msg) (wish, bool) {
	if k, ok := msg.(tea.KeyPressMsg); ok {
		switch k.String() {
		case "esc":
			close(b.question.answer)
			return b.done(), true
		case "enter":
			if !aws.IsCode(b.code.Value()) {
				b.code.Wrong = "a code has six digits"
				return nil, true
			}
			b.question.answer <- b.code.Value()
			return b.done(), true
		}
	}
	if b.code.Update(msg) {
		b.code.Wrong = ""
	}
	return nil, true
}

// done closes the dialog, shows the one from before, and waits for the next question.
func (b *codeBox) done() wish {
	back := dismiss(b)
	if b.beneath != nil {
		back = ask(b.beneath)
	}
	return all(back, awaitCode())
}
