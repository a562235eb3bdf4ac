package front_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"

	"culvert/tunnel/front"
)

type caused struct{ cause front.Cause }

func (caused) Error() string        { return "it did not work" }
func (c caused) Cause() front.Cause { return c.cause }

func TestAnErrorTellsItsCause(t *testing.T) {
	dial := func(err error) error { return &net.OpError{Op: "dial", Net: "tcp", Err: err} }
	for _, test := range []struct {
		err  error
		want front.Cause
	}{
		{errors.New("something"), front.CauseUnknown},
		{caused{front.CauseFull}, front.CauseFull},
		{fmt.Errorf("connect: %w", caused{front.CauseForbidden}), front.CauseForbidden},
		{fmt.Errorf("%w: %w", context.DeadlineExceeded, caused{front.CauseLate}), front.CauseLate},
		{dial(&net.DNSError{Err: "no such host", IsNotFound: true}), front.CauseUnresolved},
		{dial(&net.DNSError{Err: "timeout", IsTimeout: true}), front.CauseUnresolved},
		{dial(os.NewSyscallError("connect", syscall.ECONNREFUSED)), front.CauseRefused},
		{dial(os.NewSyscallError("connectex", syscall.Errno(10061))), front.CauseRefused},
		{dial(os.NewSyscallError("connect", syscall.ETIMEDOUT)), front.CauseSwallowed},
		{dial(os.ErrDeadlineExceeded), front.CauseSwallowed},
		{context.DeadlineExceeded, front.CauseSwallowed},
		{context.Canceled, front.CauseClosing},
		{dial(net.ErrClosed), front.CauseClosing},
		{io.EOF, front.CauseEnded},
		{fmt.Errorf("read: %w", io.ErrUnexpectedEOF), front.CauseEnded},
	} {
		if got := front.CauseOf(test.err); got != test.want {
			t.Errorf("%v: got cause %d, want %d", test.err, got, test.want)
		}
	}
}
