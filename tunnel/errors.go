package tunnel

import "fmt"

// FormError is a forward that cannot be parsed.
type FormError struct{ Form, Problem string }

func (e *FormError) Error() string { return fmt.Sprintf("forward %q: %s", e.Form, e.Problem) }

// Remedy says how a forward is written.
func (e *FormError) Remedy() string {
	return "write PORT, LOCAL:REMOTE, ADDRESS:LOCAL:REMOTE, LOCAL:HOST:REMOTE or /path.sock:REMOTE, for instance 8080:3128"
}
